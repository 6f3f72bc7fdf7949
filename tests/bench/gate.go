package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const (
	gateConns    = 64
	gateRequests = 51_200
	gateRuns     = 5
	// mostCalls is how many system calls a request may cost all processes of the agent: two sends, two receives, and a share
	// of waiting for events.
	mostCalls = 4.3
)

// gate counts the system calls of the agent from outside while requests are served, and fails when they are too many. Unlike
// times they are nearly the same on every machine.
func gate(o *options) error {
	started, err := newPrograms()
	if err != nil {
		return err
	}
	b := &bench{options: o, programs: started}
	defer b.stop()
	name, count, err := findCounter(b.dir)
	if err != nil {
		return err
	}
	if err := b.startAncora(); err != nil {
		return err
	}
	c := b.contenders[0]
	clients := newAsker(&workload{conns: gateConns, path: "/1k"}, c)
	if err := clients.times(gateRequests); err != nil { // connections to the instance, stacks, as many processors as it takes
		return err
	}
	var each []float64
	for range gateRuns {
		calls, err := count(filepath.Join(b.dir, "calls"), lab.Family(c.Pid()), func() error { return clients.times(gateRequests) })
		if err != nil {
			return err
		}
		each = append(each, float64(calls)/gateRequests)
	}
	slices.Sort(each)
	fmt.Printf("figure: %.2f system calls a request (%.2f to %.2f, %d runs of %d requests over %d connections, at most %.1f; counted by %s)\n",
		each[gateRuns/2], each[0], each[gateRuns-1], gateRuns, gateRequests, gateConns, mostCalls, name)
	if each[0] > mostCalls { // a busy machine adds waits for events, and takes none away
		return errors.New("too many system calls a request")
	}
	return nil
}

// counter counts the system calls of processes while work goes on.
type counter func(file string, pids []int, work func() error) (int64, error)

// findCounter prefers perf, which hardly slows what it counts; under strace there are a few calls more. Whether perf can
// count here, and is new enough to say when it has begun (Linux 5.10), it shows on the benchmark itself.
func findCounter(dir string) (name string, count counter, err error) {
	_, perfErr := countByPerf(filepath.Join(dir, "probe"), []int{os.Getpid()}, func() error { return nil })
	if perfErr == nil {
		return "perf", countByPerf, nil
	}
	if _, err := exec.LookPath("strace"); err == nil {
		return "strace", countByStrace, nil
	}
	return "", nil, fmt.Errorf("perf with tracepoints or strace is needed: apt-get install linux-perf strace (%w)", perfErr)
}

// countByPerf starts perf with its counters off, and has it answer when they are on and when they are off again.
func countByPerf(file string, pids []int, work func() error) (int64, error) {
	var list []string
	for _, pid := range pids {
		list = append(list, strconv.Itoa(pid))
	}
	control, err1 := openFIFO(file + ".control")
	answers, err2 := openFIFO(file + ".answers")
	if err := errors.Join(err1, err2); err != nil {
		return 0, err
	}
	defer control.Close()
	defer answers.Close()
	cmd := exec.Command("perf", "stat", "-x,", "-D", "-1", "--control", "fifo:"+control.Name()+","+answers.Name(),
		"-o", file, "-e", "raw_syscalls:sys_enter", "-p", strings.Join(list, ","))
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // it ends with the signal, or has said why not
		close(ended)
		_ = answers.SetReadDeadline(time.Unix(1, 0)) // nobody will answer any more
	}()
	_ = answers.SetReadDeadline(time.Now().Add(patience))
	heard := bufio.NewReader(answers)
	tell := func(word string) error {
		if _, err := io.WriteString(control, word+"\n"); err != nil {
			return err
		}
		_, err := heard.ReadString('\n')
		return err
	}
	err := tell("enable")
	if err == nil {
		err = work()
		_ = answers.SetReadDeadline(time.Now().Add(patience))
		err = errors.Join(err, tell("disable"))
	}
	_ = cmd.Process.Signal(os.Interrupt)
	<-ended
	if err != nil {
		return 0, fmt.Errorf("perf: %w: %s", err, complaints.String())
	}
	text, err := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if count, _, ok := strings.Cut(line, ","); ok && strings.Contains(line, "sys_enter") {
			n, err := strconv.ParseInt(count, 10, 64)
			if err == nil && n == 0 {
				break // a kernel that hides what others do
			}
			return n, err
		}
	}
	return 0, errors.Join(err, fmt.Errorf("perf counted nothing: %s", text))
}

// openFIFO makes a FIFO and opens it for both, so that neither side waits for the other.
func openFIFO(path string) (*os.File, error) {
	_ = os.Remove(path)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}

func countByStrace(file string, pids []int, work func() error) (int64, error) {
	args := []string{"-f", "-c", "-q", "-o", file}
	for _, pid := range pids {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	cmd := exec.Command("strace", args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	if err := traced(pids); err != nil {
		_ = cmd.Process.Kill()
		return 0, fmt.Errorf("%w: %s", err, complaints.String())
	}
	workErr := work()
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait() // it ends with the signal
	text, err := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) >= 4 && fields[len(fields)-1] == "total" {
			n, err := strconv.ParseInt(fields[3], 10, 64)
			return n, errors.Join(workErr, err)
		}
	}
	return 0, errors.Join(workErr, err, fmt.Errorf("strace counted nothing: %s", text))
}

// traced waits until somebody traces every process.
func traced(pids []int) error {
	for begin := time.Now(); time.Since(begin) < patience; time.Sleep(20 * time.Millisecond) {
		missing := 0
		for _, pid := range pids {
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if strings.Contains(string(status), "TracerPid:\t0\n") {
				missing++
			}
		}
		if missing == 0 {
			return nil
		}
	}
	return errors.New("strace does not attach")
}
