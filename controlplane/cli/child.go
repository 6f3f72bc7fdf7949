package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopLimit is how long a program of dev may take to end before it is killed.
const stopLimit = 20 * time.Second

// child is a program that dev runs.
type child struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}

	mu      sync.Mutex
	lines   []string
	arrived chan struct{}
}

// spawn starts a program whose log goes into a file and whose lines on standard output can be waited for.
func (f *fleet) spawn(name, path string, args ...string) (*child, error) {
	c := &child{name: name, cmd: exec.Command(path, args...), log: filepath.Join(f.dir, name+".log"), done: make(chan struct{}), arrived: make(chan struct{}, 1)}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	c.cmd.Stderr = log
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	// Ctrl-C is for dev, which ends its children in order; a dev that is killed takes them with it.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	f.children = append(f.children, c)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			c.line(lines.Text())
		}
		_ = c.cmd.Wait() // how it ended is in its log
		close(c.done)
		f.ended <- c
	}()
	return c, nil
}

func (c *child) line(text string) {
	c.mu.Lock()
	c.lines = append(c.lines, text)
	c.mu.Unlock()
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// await waits for a line that begins with prefix.
func (c *child) await(ctx context.Context, prefix string) (string, error) {
	for {
		c.mu.Lock()
		for _, line := range c.lines {
			if strings.HasPrefix(line, prefix) {
				c.mu.Unlock()
				return line, nil
			}
		}
		c.mu.Unlock()
		select {
		case <-c.arrived:
		case <-c.done:
			return "", fmt.Errorf("%s does not come up: %s", c.name, c.last())
		case <-ctx.Done():
			return "", fmt.Errorf("%s does not come up in time: %s", c.name, c.last())
		}
	}
}

// last is the last line of a child's log.
func (c *child) last() string {
	content, err := os.ReadFile(c.log)
	content = bytes.TrimSpace(content)
	if err != nil || len(content) == 0 {
		return "it said nothing"
	}
	return string(content[bytes.LastIndexByte(content, '\n')+1:])
}

func (c *child) signal(s syscall.Signal) { _ = c.cmd.Process.Signal(s) }

// stop ends the hosts, then the controller, and removes what was temporary.
func (f *fleet) stop() error {
	var errs []error
	if len(f.children) > 0 {
		errs = append(errs, end(f.children[1:]), end(f.children[:1]))
	}
	if f.options.data == "" {
		errs = append(errs, os.RemoveAll(f.dir))
	}
	return errors.Join(errs...)
}

func end(children []*child) error {
	for _, c := range children {
		c.signal(syscall.SIGTERM)
	}
	limit := time.After(stopLimit)
	var errs []error
	for _, c := range children {
		select {
		case <-c.done:
		case <-limit:
			c.signal(syscall.SIGKILL)
			errs = append(errs, fmt.Errorf("%s did not end within %v and was killed", c.name, stopLimit))
		}
	}
	return errors.Join(errs...)
}

// runOnce runs a program to its end; what it says is the error.
func runOnce(ctx context.Context, path string, args ...string) error {
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %s", filepath.Base(path), args[0], bytes.TrimSpace(out))
	}
	return nil
}
