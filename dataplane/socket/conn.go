// Package socket wraps a connection so that nobody who waits for bytes holds a buffer meanwhile: ten thousand idle
// connections cost ten thousand small structs, not ten thousand buffers.
//
// It is also the one place that would change if reads and writes were to go past net.Conn.
package socket

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Pool hands out buffers of one size. The zero value is not usable, see NewPool.
type Pool struct{ free sync.Pool }

// NewPool makes a pool of buffers of size bytes.
func NewPool(size int) *Pool {
	return &Pool{sync.Pool{New: func() any { b := make([]byte, size); return &b }}}
}

// Get takes a buffer of the pool's size.
func (p *Pool) Get() *[]byte { return p.free.Get().(*[]byte) }

// Put gives a buffer back; nil is ignored.
func (p *Pool) Put(b *[]byte) {
	if b != nil {
		p.free.Put(b)
	}
}

// Conn is a connection that can be waited on without a buffer and looked into without reading. One goroutine reads at a
// time, one writes at a time.
type Conn struct {
	net.Conn
	raw syscall.RawConn // nil when it is no socket of the system

	// The callbacks are made once and talk through these fields: a closure per call would be an allocation per call.
	receive func(fd uintptr) bool
	look    func(fd uintptr)
	pool    *Pool
	buf     *[]byte
	n       int
	err     error
	quiet   bool
}

// New wraps nc.
func New(nc net.Conn) *Conn {
	c := &Conn{Conn: nc}
	if s, ok := nc.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	c.receive, c.look = c.tryReceive, c.tryLook
	return c
}

// Receive waits until there is something to read and reads it into a buffer that it takes from pool only then. The
// caller gives the buffer back. Without an error n is at least 1.
func (c *Conn) Receive(pool *Pool) (buf *[]byte, n int, err error) {
	if c.raw == nil {
		buf = pool.Get()
		if n, err = c.Conn.Read(*buf); n > 0 {
			return buf, n, nil
		}
		pool.Put(buf)
		return nil, 0, err
	}
	c.pool, c.buf, c.n, c.err = pool, nil, 0, nil
	err = c.raw.Read(c.receive)
	buf, n = c.buf, c.n
	c.pool, c.buf = nil, nil
	if err == nil {
		err = c.err
	}
	if err != nil {
		pool.Put(buf)
		return nil, 0, err
	}
	return buf, n, nil
}

// tryReceive runs with the descriptor locked for reading; false means wait.
func (c *Conn) tryReceive(fd uintptr) bool {
	if c.buf == nil {
		c.buf = c.pool.Get()
	}
	for {
		n, err := unix.Read(int(fd), *c.buf)
		switch {
		case n > 0:
			c.n = n
			return true
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			c.pool.Put(c.buf)
			c.buf = nil
			return false
		case err != nil:
			c.err = &net.OpError{Op: "read", Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
			return true
		}
		c.err = io.EOF
		return true
	}
}

// Quiet reports whether an idle connection is open and has nothing to read: no end, no error, no byte that nobody asked
// for. It costs one system call and does not wait. A connection that is no socket counts as quiet.
func (c *Conn) Quiet() bool {
	if c.raw == nil {
		return true
	}
	c.quiet = false
	return c.raw.Control(c.look) == nil && c.quiet
}

// tryLook calls recvfrom itself: unix.Recvfrom allocates room for an address.
func (c *Conn) tryLook(fd uintptr) {
	var b [1]byte
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	c.quiet = errno == unix.EAGAIN
}

// Peek waits for bytes and copies them to p without consuming them: who else gets the connection reads them again. It
// goes on until accept, called with what is there so far, says that it has seen enough.
func (c *Conn) Peek(p []byte, accept func([]byte) bool) error {
	if c.raw == nil {
		return errors.ErrUnsupported
	}
	var result error
	err := c.raw.Read(func(fd uintptr) bool {
		n, _, err := unix.Recvfrom(int(fd), p, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			return false
		case err != nil:
			result = err
		case n == 0:
			result = io.EOF
		default:
			return accept(p[:n])
		}
		return true
	})
	if err != nil {
		return err
	}
	return result
}

// Interrupt ends every read and write that waits, and every later one, from any goroutine. The connection stays open:
// only its owner closes it, since a descriptor that is closed may be somebody else's a moment later.
func (c *Conn) Interrupt() { c.Conn.SetDeadline(time.Unix(1, 0)) }

// InterruptRead is Interrupt for reads only.
func (c *Conn) InterruptRead() { c.Conn.SetReadDeadline(time.Unix(1, 0)) }

// CloseWrite says to the peer that nothing more comes, when the transport can say that.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Reset closes the connection so that the peer sees an error, not an end.
func (c *Conn) Reset() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	return c.Conn.Close()
}

// Control calls f with the descriptor, which stays valid meanwhile. It reports false when there is none.
func (c *Conn) Control(f func(fd uintptr)) bool {
	return c.raw != nil && c.raw.Control(f) == nil
}
