package socket

import (
	"net"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Write implements net.Conn: it waits until everything is sent.
func (c *Conn) Write(p []byte) (int, error) {
	if c.layer != nil {
		return c.layer.Write(p)
	}
	return c.send(p)
}

func (c *Conn) send(p []byte) (int, error) {
	if c.fd < 0 {
		return c.nc.Write(p)
	}
	if c.stopped[1].Load() {
		return 0, os.ErrDeadlineExceeded
	}
	if c.shared {
		err := c.flush(p)
		return len(p) - len(c.pending), err
	}
	n, errno := send(c.fd, p)
	if errno == 0 && n == len(p) {
		return n, nil
	}
	if errno != 0 && errno != syscall.EAGAIN {
		return 0, c.fail("write", errno)
	}
	if errno != 0 {
		n = 0
	}
	err := c.flush(p[n:])
	return len(p) - len(c.pending), err
}

// Gather sends the pieces one behind the other, with one system call where the socket takes them all.
func (c *Conn) Gather(pieces ...[]byte) error {
	if c.layer != nil {
		return c.layer.gather(pieces)
	}
	if c.fd < 0 {
		buffers := net.Buffers(pieces)
		_, err := buffers.WriteTo(c.nc)
		return err
	}
	if c.stopped[1].Load() {
		return os.ErrDeadlineExceeded
	}
	c.vecs = c.vecs[:0]
	for _, p := range pieces {
		if len(p) > 0 {
			v := unix.Iovec{Base: unsafe.SliceData(p)}
			v.SetLen(len(p))
			c.vecs = append(c.vecs, v)
		}
	}
	n, errno := gather(c.fd, c.vecs)
	clear(c.vecs)
	if errno != 0 && errno != syscall.EAGAIN {
		return c.fail("write", errno)
	}
	if errno != 0 {
		n = 0
	}
	for _, p := range pieces {
		if n >= len(p) {
			n -= len(p)
			continue
		}
		if err := c.flush(p[n:]); err != nil {
			return err
		}
		n = 0
	}
	return nil
}

// Clock is told of waits: Pause when one begins and Resume when it is over.
type Clock interface {
	Pause()
	Resume()
}

// Stop makes every write that has to wait for the peer stop a clock meanwhile; nil: none. The goroutine that writes calls it.
func (c *Conn) Stop(clock Clock) { c.clock = clock }

// flush sends p however long that takes; c.pending is what it could not send.
func (c *Conn) flush(p []byte) error {
	if c.pending, c.writeErr = p, c.register(); c.writeErr != nil {
		return c.writeErr
	}
	if c.clock != nil {
		c.clock.Pause()
		defer c.clock.Resume()
	}
	if err := c.raw.Write(c.write); err != nil {
		return err
	}
	return c.writeErr
}

// tryWrite runs with the descriptor locked for writing; false means wait.
func (c *Conn) tryWrite(uintptr) bool {
	for len(c.pending) > 0 {
		n, errno := send(c.fd, c.pending)
		switch {
		case errno == syscall.EAGAIN:
			return false
		case errno != 0:
			c.writeErr = c.fail("write", errno)
			return true
		}
		c.pending = c.pending[n:]
	}
	return true
}
