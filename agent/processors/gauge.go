package processors

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// little load needs no closer look: what its threads wait for is not a processor.
const little = 0.05

// gauges read the load from Linux. What costs more to read is left out where it could change nothing: waits without a load or a
// second processor, and what is idle unless there are too few.
type gauges struct {
	ran, waited, idle gauge
	at                time.Time // of the last look
	close             func()
}

// newGauges reads below proc, a mounted proc(5).
func newGauges(proc string) *gauges {
	all := &threads{dir: proc + "/self/task"}
	return &gauges{
		ran:    gauge{total: processTime},
		waited: gauge{total: all.waited},
		idle:   gauge{total: func() (time.Duration, error) { return idleTime(proc + "/stat") }},
		close:  all.close,
	}
}

// read gives the load since it was called last. What is read for the first time in a row is 0.
func (g *gauges) read(at time.Time, now, most int) load {
	l := load{ran: g.ran.rate(at)}
	if !g.at.IsZero() {
		l.took = at.Sub(g.at)
	}
	g.at = at
	if most > 1 && l.ran >= little {
		l.waited = g.waited.rate(at)
	} else {
		g.waited.forget()
	}
	if now < most && (l.ran >= full*float64(now) || l.waited >= held*float64(now)) {
		l.idle = g.idle.rate(at)
	} else {
		g.idle.forget()
	}
	return l
}

// gauge makes rates of a total.
type gauge struct {
	total func() (time.Duration, error)
	at    time.Time // of the last call; zero: there is none to count from
	was   time.Duration
}

func (g *gauge) forget() { g.at = time.Time{} }

// rate is how much the total has grown since the last call; 0 when there was none, or nobody knows.
func (g *gauge) rate(at time.Time) float64 {
	is, err := g.total()
	if err != nil {
		g.forget()
		return 0
	}
	passed, grown := at.Sub(g.at), is-g.was
	known := !g.at.IsZero() && passed > 0
	g.at, g.was = at, is
	if !known {
		return 0
	}
	return max(0, float64(grown)/float64(passed))
}

// processTime is what all threads have used, also those that have ended.
func processTime() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err
}

// idleTime is how long the processors of the host have had nothing to do.
func idleTime(stat string) (time.Duration, error) {
	line, err := readLine(stat)
	if err != nil {
		return 0, err
	}
	idle, err1 := field(line, 4) // cpu user nice system idle iowait (proc(5))
	iowait, err2 := field(line, 5)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("%s: %w", stat, err)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every architecture that Go runs on
	return time.Duration(idle+iowait) * tick, nil
}

// readLine gives the first line of a file, which is a short one, with three system calls: os.ReadFile takes seven.
func readLine(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	line, err := lineOf(fd)
	return line, errors.Join(err, unix.Close(fd))
}

// lineOf is readLine of a file that is open, with one system call.
func lineOf(fd int) ([]byte, error) {
	buf := make([]byte, 256)
	n, err := unix.Pread(fd, buf, 0)
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(buf[:n], []byte("\n"))
	return line, nil
}

// field is a number among those of a line, the first of which is 0.
func field(line []byte, at int) (int64, error) {
	fields := bytes.Fields(line)
	if len(fields) <= at {
		return 0, fmt.Errorf("%q has no field %d", line, at)
	}
	return strconv.ParseInt(string(fields[at]), 10, 64)
}
