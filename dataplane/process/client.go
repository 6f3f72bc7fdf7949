// Package process is the worker's end of the keeper: it starts, watches and ends the processes of instances, and gets
// listening sockets and events through it. What ran before this worker was started is there to be adopted.
package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/keeper/protocol"
)

// ErrKeeperGone says that the keeper has ended; the worker must too.
var ErrKeeperGone = errors.New("process: the keeper is gone")

// Client speaks with the keeper. Its methods may be called from any goroutine once Run is running.
type Client struct {
	census census

	conn      *protocol.Conn
	keeper    int // pid
	version   int // of what the keeper speaks
	stopping  chan struct{}
	stopOnce  sync.Once
	listeners map[string]string

	mu        sync.Mutex
	seq       uint64
	waiting   map[uint64]chan answer
	processes map[string]*Process
	starting  map[string]*Process // asked for and not yet answered
	gone      bool
}

type answer struct {
	message protocol.Message
	file    *os.File
}

// Inherited gives the worker's end of the socketpair; false when this process was not started by a keeper.
func Inherited(getenv func(string) string) (*os.File, bool) {
	if getenv(protocol.FDVariable) != "3" {
		return nil, false
	}
	unix.CloseOnExec(3)
	if err := unix.SetNonblock(3, true); err != nil {
		return nil, false
	}
	return os.NewFile(3, "keeper"), true
}

// Connect reads the keeper's greeting: what it holds. An error means that this worker cannot serve under it.
func Connect(file *os.File) (*Client, error) {
	c := &Client{
		conn: protocol.NewConn(file), stopping: make(chan struct{}), listeners: map[string]string{},
		waiting: map[uint64]chan answer{}, processes: map[string]*Process{}, starting: map[string]*Process{},
	}
	for {
		var m protocol.Message
		if _, err := c.conn.Receive(&m); err != nil {
			return nil, fmt.Errorf("process: greeting of the keeper: %w", err)
		}
		switch m.Kind {
		case protocol.KindHello:
			if m.Version > protocol.Version || m.Version < protocol.Version-1 {
				return nil, fmt.Errorf("process: the keeper speaks version %d, this worker %d", m.Version, protocol.Version)
			}
			c.keeper, c.version = m.PID, m.Version
		case protocol.KindInstance:
			if err := c.adopt(m); err != nil {
				return nil, err
			}
		case protocol.KindListener:
			c.listeners[m.Name] = m.Address
		case protocol.KindExit, protocol.KindStop:
			c.take(answer{message: m})
		case protocol.KindReady:
			return c, nil
		}
	}
}

func (c *Client) adopt(m protocol.Message) error {
	identity, err := parseIdentity(m.ID)
	if err != nil {
		return err
	}
	p := c.process(identity, m)
	p.note = m.Note
	if m.Exit != nil {
		p.ended(*m.Exit)
	}
	c.processes[m.ID] = p
	return nil
}

// Run takes the keeper's messages until ctx ends, or the keeper is gone: then it gives ErrKeeperGone.
func (c *Client) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	defer stop()
	defer c.abandon()
	for {
		var m protocol.Message
		file, err := c.conn.Receive(&m)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrKeeperGone, err)
		}
		c.take(answer{m, file})
	}
}

func (c *Client) take(a answer) {
	switch a.message.Kind {
	case protocol.KindStop:
		c.stopOnce.Do(func() { close(c.stopping) })
	case protocol.KindExit:
		c.mu.Lock()
		p := c.processes[a.message.ID]
		if p == nil {
			p = c.starting[a.message.ID]
		}
		c.mu.Unlock()
		if p != nil && a.message.Exit != nil {
			p.ended(*a.message.Exit)
		}
	case protocol.KindAnswer:
		c.mu.Lock()
		waiter := c.waiting[a.message.Seq]
		delete(c.waiting, a.message.Seq)
		c.mu.Unlock()
		if waiter != nil {
			waiter <- a
		} else if a.file != nil {
			_ = a.file.Close()
		}
	}
}

// abandon ends every call that waits.
func (c *Client) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	for seq, waiter := range c.waiting {
		delete(c.waiting, seq)
		close(waiter)
	}
}

// call sends r and waits for its answer, for ctx or for the keeper's end.
func (c *Client) call(ctx context.Context, r protocol.Request) (answer, error) {
	waiter := make(chan answer, 1)
	c.mu.Lock()
	if c.gone {
		c.mu.Unlock()
		return answer{}, ErrKeeperGone
	}
	c.seq++
	r.Seq = c.seq
	c.waiting[r.Seq] = waiter
	c.mu.Unlock()
	if err := c.conn.Send(r, nil); err != nil {
		c.forgetCall(r.Seq)
		return answer{}, fmt.Errorf("process: %w", err)
	}
	select {
	case a, ok := <-waiter:
		if !ok {
			return answer{}, ErrKeeperGone
		}
		return a, errorOf(a.message)
	case <-ctx.Done():
		c.forgetCall(r.Seq)
		return answer{}, context.Cause(ctx)
	}
}

func (c *Client) forgetCall(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, seq)
}

// errorOf keeps the errno, so that errors.Is(err, syscall.ENOEXEC) holds on this side too.
func errorOf(m protocol.Message) error {
	switch {
	case m.Error == "":
		return nil
	case m.Errno != 0:
		return &keeperError{m.Error, syscall.Errno(m.Errno)}
	}
	return errors.New(m.Error)
}

type keeperError struct {
	text  string
	errno syscall.Errno
}

func (e *keeperError) Error() string { return e.text }
func (e *keeperError) Unwrap() error { return e.errno }

// LimitsStacks says whether the keeper knows of Spec.Stack: one that an earlier version started does not.
func (c *Client) LimitsStacks() bool { return c.version >= 2 }

// Stopping is closed when the keeper was told to stop: the worker drains, stops its instances and ends with code 0.
func (c *Client) Stopping() <-chan struct{} { return c.stopping }

// Listen gives the socket of a name, which the keeper holds over restarts of the worker, and the address it is bound to.
// The file is the caller's to close. Errors keep the errno of bind.
func (c *Client) Listen(ctx context.Context, name, address string) (net.Listener, string, error) {
	a, err := c.call(ctx, protocol.Request{Op: protocol.OpListen, Name: name, Address: address})
	if err != nil {
		return nil, "", err
	}
	if a.file == nil {
		return nil, "", errors.New("process: the keeper sent no descriptor")
	}
	defer a.file.Close()
	listener, err := net.FileListener(a.file)
	return listener, a.message.Address, err
}

// Unlisten closes the socket of a name for good.
func (c *Client) Unlisten(ctx context.Context, name string) error {
	_, err := c.call(ctx, protocol.Request{Op: protocol.OpUnlisten, Name: name})
	return err
}

// Listeners gives the addresses of the sockets that the keeper held when this worker was started, by name.
func (c *Client) Listeners() map[string]string { return c.listeners }

// Append writes a line, which ends with a line feed, into the event stream of a run.
func (c *Client) Append(ctx context.Context, runDir string, line []byte) error {
	_, err := c.call(ctx, protocol.Request{Op: protocol.OpAppend, RunDir: runDir, Data: line})
	return err
}

// Notify has the keeper, which is the service to systemd, tell it a state such as READY=1. Without a service manager it
// does nothing.
func (c *Client) Notify(ctx context.Context, state string) error {
	_, err := c.call(ctx, protocol.Request{Op: protocol.OpNotify, Name: state})
	return err
}
