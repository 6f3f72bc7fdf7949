package main

import (
	"bufio"
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
)

// patience is how long a program may take to start, to answer or to end.
const patience = 30 * time.Second

// program is one that runs until it is stopped.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{}
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
	dir, err := os.MkdirTemp("", "ancora-bench-")
	if err != nil {
		return nil, err
	}
	p := &programs{dir: dir}
	if err := os.Chmod(dir, 0o755); err != nil {
		p.stop()
		return nil, err
	}
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
		_ = one.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, one := range p.all {
		one.wait()
	}
	_ = os.RemoveAll(p.dir)
}

// end asks a program to end, and waits.
func (p *program) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.wait()
}

func (p *program) wait() {
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
	}
}

// start starts a program and hands its standard output over.
func (p *programs) start(path string, args []string, read func(io.Reader), stderr io.Writer) (*program, error) {
	one := &program{cmd: exec.Command(path, args...), ended: make(chan struct{})}
	one.cmd.Stderr = stderr
	out, err := one.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := one.cmd.Start(); err != nil {
		return nil, err
	}
	p.all = append(p.all, one)
	go func() {
		read(out)
		_ = one.cmd.Wait() // it was told to end, or has said why on standard error
		close(one.ended)
	}()
	return one, nil
}

// startOurs starts a program of the project and waits for its ready line.
func (p *programs) startOurs(path string, args ...string) (*program, error) {
	ready := make(chan map[string]string, 1)
	one, err := p.start(path, args, func(out io.Reader) {
		for s := bufio.NewScanner(out); s.Scan(); {
			if rest, ok := strings.CutPrefix(s.Text(), "ready "); ok {
				ready <- pairs(rest, " ")
			}
		}
	}, os.Stderr)
	if err != nil {
		return nil, err
	}
	select {
	case one.ready = <-ready:
		return one, nil
	case <-one.ended:
		return nil, fmt.Errorf("%s ended at once", filepath.Base(path))
	case <-time.After(patience):
		one.end()
		return nil, fmt.Errorf("%s is not ready", filepath.Base(path))
	}
}

// pairs reads NAME=VALUE, separated by something; a value may hold another =.
func pairs(text, separator string) map[string]string {
	all := map[string]string{}
	for field := range strings.SplitSeq(text, separator) {
		name, value, _ := strings.Cut(field, "=")
		all[name] = value
	}
	return all
}

// startPeer starts a peer in the foreground and waits until it accepts connections.
func (p *programs) startPeer(name, address string, args ...string) (*program, error) {
	var complaints bytes.Buffer
	one, err := p.start(name, args, func(out io.Reader) { _, _ = io.Copy(io.Discard, out) }, &complaints)
	if err != nil {
		return nil, err
	}
	for begin := time.Now(); time.Since(begin) < patience; {
		select {
		case <-one.ended:
			return nil, fmt.Errorf("it ended: %s", complaints.String())
		case <-time.After(20 * time.Millisecond):
		}
		if nc, err := net.Dial("tcp", address); err == nil {
			_ = nc.Close()
			return one, nil
		}
	}
	one.end()
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
