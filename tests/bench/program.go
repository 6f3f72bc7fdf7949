package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// patience is how long a program may take to start, to answer or to end.
const patience = lab.Deadline

// program is one that runs until it is stopped.
type program struct {
	*lab.Process
	ready map[string]string // what our own say in their ready line
}

// programs are all that were started. What they leave on the machine would be in the way of the next measurement, so a signal
// stops them too.
type programs struct {
	mu  sync.Mutex
	all []*program
	dir string
}

// newPrograms makes a directory that an unprivileged user can reach.
func newPrograms() (*programs, error) {
	dir, err := lab.TempDir("ancora-bench-")
	if err != nil {
		return nil, err
	}
	p := &programs{dir: dir}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := <-signals
		p.stop()
		exit(fmt.Errorf("ended by a signal: %v", s))
	}()
	return p, nil
}

// stop ends all and removes the directory. Nothing starts afterwards.
func (p *programs) stop() {
	p.mu.Lock() // for ever
	for _, one := range p.all {
		one.Terminate()
	}
	for _, one := range p.all {
		one.Wait()
	}
	_ = os.RemoveAll(p.dir)
}

// start starts a program that stop will end.
func (p *programs) start(complaints io.Writer, path string, args ...string) (*program, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	process, err := lab.Launch(complaints, path, args...)
	if err != nil {
		return nil, err
	}
	one := &program{Process: process}
	p.all = append(p.all, one)
	return one, nil
}

// startOurs starts a program of the project and waits for its ready line.
func (p *programs) startOurs(path string, args ...string) (*program, error) {
	one, err := p.start(os.Stderr, path, args...)
	if err != nil {
		return nil, err
	}
	if one.ready, err = one.Ready(); err != nil {
		return nil, err
	}
	return one, nil
}

// startPeer starts a peer in the foreground and waits until it accepts connections.
func (p *programs) startPeer(name, address string, args ...string) (*program, error) {
	var complaints bytes.Buffer
	one, err := p.start(&complaints, name, args...)
	if err != nil {
		return nil, err
	}
	for begin := time.Now(); time.Since(begin) < patience; {
		select {
		case <-one.Ended():
			return nil, fmt.Errorf("it ended: %s", complaints.String())
		case <-time.After(20 * time.Millisecond):
		}
		if nc, err := net.Dial("tcp", address); err == nil {
			_ = nc.Close()
			return one, nil
		}
	}
	one.Stop()
	return nil, errors.New("it does not listen")
}

// output runs a program to its end, which has to come in time after the length of its work, and gives what it printed.
func output(length time.Duration, variables []string, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), length+2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), variables...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s%s", filepath.Base(path), args[0], errors.Join(err, ctx.Err()), out, complaints.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// write puts a file into the directory and gives its path.
func (p *programs) write(name, text string) (string, error) {
	file := filepath.Join(p.dir, name)
	return file, os.WriteFile(file, []byte(text), 0o644)
}
