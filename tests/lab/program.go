package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Program is one of ours that runs until the test ends it.
type Program struct {
	Name string
	cmd  *exec.Cmd
	out  *lines
	err  *lines
	done chan struct{}
}

// Start starts a program, with more variables for its environment.
func Start(t testing.TB, env []string, path string, args ...string) *Program {
	t.Helper()
	p := &Program{Name: fmt.Sprint(args[:min(2, len(args))]), cmd: exec.Command(path, args...), out: newLines(), err: newLines(), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.err
	// The pipes may be held open by what outlives a killed program.
	p.cmd.WaitDelay = time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // who waits asks for the exit code
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop(t)
		if t.Failed() {
			t.Logf("%s stdout:\n%s\nstderr:\n%s", p.Name, p.out.text(), p.err.text())
		}
	})
	return p
}

// Pid is the process that was started: of an agent the keeper.
func (p *Program) Pid() int { return p.cmd.Process.Pid }

// Line waits for a line of standard output that begins with prefix and gives what follows it.
func (p *Program) Line(t testing.TB, prefix string) string {
	t.Helper()
	line, ok := p.out.await(prefix, p.done)
	if !ok {
		t.Fatalf("%s never wrote %q; stdout:\n%s\nstderr:\n%s", p.Name, prefix, p.out.text(), p.err.text())
	}
	return strings.TrimPrefix(line, prefix)
}

// Ready waits for the ready line and gives its values.
func (p *Program) Ready(t testing.TB) map[string]string {
	t.Helper()
	return Pairs(p.Line(t, "ready "), " ")
}

// Out and Log give what was written to standard output and standard error until now.
func (p *Program) Out() string { return p.out.text() }
func (p *Program) Log() string { return p.err.text() }

// Signal sends a signal to the program itself.
func (p *Program) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill ends the program at once, and it alone.
func (p *Program) Kill(t testing.TB) {
	t.Helper()
	p.Signal(syscall.SIGKILL)
	p.Wait(t)
}

// Stop asks the program to end and waits for that.
func (p *Program) Stop(t testing.TB) {
	p.Signal(syscall.SIGTERM)
	p.Wait(t)
}

// Wait waits for the end and gives the exit code, -1 for a signal.
func (p *Program) Wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(2 * Deadline):
		for _, pid := range Family(p.Pid()) { // where each goroutine stands is part of what they say
			_ = syscall.Kill(pid, syscall.SIGQUIT)
		}
		select {
		case <-p.done:
		case <-time.After(time.Second):
			_ = p.cmd.Process.Kill()
			<-p.done
		}
		t.Errorf("%s does not end; stderr:\n%s", p.Name, p.err.text())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Result is how a command ended.
type Result struct {
	Code        int
	Out, Errors string
}

// Run runs a program to its end.
func Run(t testing.TB, env []string, path string, args ...string) Result {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	cmd.WaitDelay = time.Second // for what it leaves behind with its pipes
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	_ = cmd.Wait()
	return Result{cmd.ProcessState.ExitCode(), out.String(), errors.String()}
}

// lines collects what a program writes.
type lines struct {
	mu      sync.Mutex
	content bytes.Buffer
	changed chan struct{}
}

func newLines() *lines { return &lines{changed: make(chan struct{})} }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.content.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.content.String()
}

func (l *lines) find(prefix string) (string, bool, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reader := bufio.NewReader(bytes.NewReader(l.content.Bytes()))
	for {
		line, err := reader.ReadString('\n')
		if err == io.EOF {
			return "", false, l.changed
		}
		if strings.HasPrefix(line, prefix) {
			return strings.TrimSuffix(line, "\n"), true, nil
		}
	}
}

func (l *lines) await(prefix string, done <-chan struct{}) (string, bool) {
	deadline := time.After(Deadline)
	for {
		line, ok, changed := l.find(prefix)
		if ok {
			return line, true
		}
		select {
		case <-changed:
		case <-done:
			line, ok, _ := l.find(prefix)
			return line, ok
		case <-deadline:
			return "", false
		}
	}
}
