package lab

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is a program that runs until it is told to end, for programs that are no tests. It may take Deadline to be ready or to
// end.
type Process struct {
	cmd   *exec.Cmd
	ready chan map[string]string
	ended chan struct{}
}

// Launch starts a program. Of its standard output only the ready line is looked at; its standard error goes to complaints.
func Launch(complaints io.Writer, path string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(path, args...), ready: make(chan map[string]string, 1), ended: make(chan struct{})}
	p.cmd.Stderr = complaints
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			if rest, ok := strings.CutPrefix(s.Text(), "ready "); ok {
				p.ready <- Pairs(rest, " ")
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = p.cmd.Wait() // it was told to end, or has said why on standard error
		close(p.ended)
	}()
	return p, nil
}

// Pid is the process that was started: of an agent the keeper.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Ready waits for the ready line of one of our programs and gives its values. What is late is stopped.
func (p *Process) Ready() (map[string]string, error) {
	name := filepath.Base(p.cmd.Path)
	select {
	case values := <-p.ready:
		return values, nil
	case <-p.ended:
		return nil, fmt.Errorf("%s ended at once", name)
	case <-time.After(Deadline):
		p.Stop()
		return nil, fmt.Errorf("%s is not ready", name)
	}
}

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Stop asks the program to end, and waits.
func (p *Process) Stop() {
	p.Terminate()
	p.Wait()
}

// Terminate asks the program to end.
func (p *Process) Terminate() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }

// Wait waits for the end of a program that was asked for it, and makes it end when it is late.
func (p *Process) Wait() {
	select {
	case <-p.ended:
	case <-time.After(Deadline):
		_ = p.cmd.Process.Kill()
	}
}

// Pairs reads NAME=VALUE, separated by something; a value may hold another =.
func Pairs(text, separator string) map[string]string {
	all := map[string]string{}
	for field := range strings.SplitSeq(text, separator) {
		name, value, _ := strings.Cut(field, "=")
		all[name] = value
	}
	return all
}
