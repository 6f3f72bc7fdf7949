package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	gateConns    = 64
	gateRequests = 51_200
	gateRuns     = 3
	// mostCalls is how many system calls a request may cost all processes of the agent: two sends, two receives, and a share
	// of waiting for events.
	mostCalls = 4.3
)

// gate counts the system calls of the agent from outside while requests are served, and fails when they are too many. Unlike
// times they are nearly the same on every machine.
func gate(o *options) error {
	counter, err := findCounter()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ancora-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir}
	defer b.stop()
	self, err := os.Executable()
	if err := errors.Join(err, os.Chmod(dir, 0o755), copyFile(self, b.self()), b.certificate(), b.startAncora()); err != nil {
		return err
	}
	c := b.contenders[0]
	if err := ask(c.plain, gateRequests/10); err != nil { // connections to the instance, stacks
		return err
	}
	var each []float64
	for range gateRuns {
		calls, err := counter(filepath.Join(dir, "calls"), family(c.cmd.Process.Pid), func() error { return ask(c.plain, gateRequests) })
		if err != nil {
			return err
		}
		each = append(each, float64(calls)/gateRequests)
	}
	slices.Sort(each)
	fmt.Printf("figure: %.2f system calls a request (%.2f to %.2f, %d runs of %d requests over %d connections, at most %.1f)\n",
		each[gateRuns/2], each[0], each[gateRuns-1], gateRuns, gateRequests, gateConns, mostCalls)
	if each[0] > mostCalls { // a busy machine adds waits for events, and takes none away
		return errors.New("too many system calls a request")
	}
	return nil
}

// counter counts the system calls of processes while work goes on.
type counter func(file string, pids []int, work func() error) (int64, error)

// findCounter prefers perf, which hardly slows what it counts; under strace there are a few calls more.
func findCounter() (counter, error) {
	if exec.Command("perf", "stat", "-e", "raw_syscalls:sys_enter", "true").Run() == nil {
		return countByPerf, nil
	}
	if _, err := exec.LookPath("strace"); err == nil {
		return countByStrace, nil
	}
	return nil, errors.New("perf with tracepoints or strace is needed: apt-get install linux-perf strace")
}

func countByPerf(file string, pids []int, work func() error) (int64, error) {
	var list []string
	for _, pid := range pids {
		list = append(list, strconv.Itoa(pid))
	}
	control := file + ".control"
	_ = os.Remove(control)
	if err := syscall.Mkfifo(control, 0o600); err != nil {
		return 0, err
	}
	// Opened for both, so that neither side waits for the other; perf begins to count when it is told.
	fifo, err := os.OpenFile(control, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer fifo.Close()
	cmd := exec.Command("perf", "stat", "-x,", "-D", "-1", "--control", "fifo:"+control, "-o", file, "-e", "raw_syscalls:sys_enter", "-p", strings.Join(list, ","))
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(fifo, "enable\n"); err != nil {
		return 0, err
	}
	time.Sleep(200 * time.Millisecond) // there is no word of when it has begun
	workErr := work()
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait() // it ends with the signal
	text, err := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if count, _, ok := strings.Cut(line, ","); ok && strings.Contains(line, "sys_enter") {
			n, err := strconv.ParseInt(count, 10, 64)
			return n, errors.Join(workErr, err)
		}
	}
	return 0, errors.Join(workErr, err, fmt.Errorf("perf counted nothing: %s", text))
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

// ask makes n requests over gateConns connections.
func ask(address string, n int) error {
	var all sync.WaitGroup
	errs := make(chan error, gateConns)
	for range gateConns {
		all.Go(func() { errs <- askOver(address, n/gateConns) })
	}
	all.Wait()
	close(errs)
	var problems []error
	for err := range errs {
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

func askOver(address string, n int) error {
	nc, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer nc.Close()
	r := bufio.NewReader(nc)
	request := "GET /1k HTTP/1.1\r\nHost: " + hostname + "\r\n" + strings.Join(fields, "\r\n") + "\r\n\r\n"
	for range n {
		if _, err := io.WriteString(nc, request); err != nil {
			return err
		}
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		size, err := io.Copy(io.Discard, answer.Body)
		if err != nil || size != 1024 || answer.StatusCode != 200 {
			return fmt.Errorf("status %d, %d bytes, %w", answer.StatusCode, size, err)
		}
	}
	return nil
}
