package processors

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// relist is after how many looks threads are looked for that are new: to find all costs as much as to read three, and Go keeps
// those that it has.
const relist = 10

// threads reads how long the threads of a process have waited. What it reads of each stays open, since it is read ten times a
// second: one system call instead of three.
type threads struct {
	dir   string // task of proc(5)
	open  map[string]*thread
	looks int
	sum   time.Duration
}

type thread struct {
	fd  int
	was time.Duration
}

// waited is how long the threads have waited for a processor although they had something to do: all that there were in the
// beginning since they are there, those that were found later since then.
func (t *threads) waited() (time.Duration, error) {
	if t.looks%relist == 0 {
		if err := t.find(); err != nil {
			return 0, err
		}
	}
	t.looks++
	for id, thread := range t.open {
		is, err := thread.waited()
		if errors.Is(err, unix.ESRCH) { // it has ended
			delete(t.open, id)
			_ = unix.Close(thread.fd)
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("schedstat of thread %s: %w", id, err)
		}
		t.sum += is - thread.was
		thread.was = is
	}
	return t.sum, nil
}

// find opens what is not open yet.
func (t *threads) find() error {
	dir, err := os.Open(t.dir)
	if err != nil {
		return err
	}
	ids, err := dir.Readdirnames(-1)
	if err := errors.Join(err, dir.Close()); err != nil {
		return err
	}
	first := t.open == nil
	if first {
		t.open = make(map[string]*thread, len(ids))
	}
	for _, id := range ids {
		if t.open[id] != nil {
			continue
		}
		fd, err := unix.Open(t.dir+"/"+id+"/schedstat", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			continue // it has ended, or the kernel does not count
		}
		if err != nil {
			return err
		}
		found := &thread{fd: fd}
		t.open[id] = found
		if !first {
			found.was, _ = found.waited() // if that fails, so it does next time
		}
	}
	return nil
}

func (t *thread) waited() (time.Duration, error) {
	line, err := lineOf(t.fd)
	if err != nil {
		return 0, err
	}
	waited, err := field(line, 1) // of three: ran, waited, how often (Documentation/scheduler/sched-stats.rst)
	return time.Duration(waited), err
}

// close closes what is open.
func (t *threads) close() {
	for _, thread := range t.open {
		_ = unix.Close(thread.fd)
	}
	t.open = nil
}
