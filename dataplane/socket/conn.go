// Package socket reads and writes connections so that a request costs as few system calls as it can, and so that nobody who
// waits for bytes holds a buffer meanwhile: ten thousand idle connections cost ten thousand small structs.
//
// A socket of the system is read and written past net.Conn. Go's poller is edge-triggered and remembers an edge: whoever has
// read less than there was room for has read everything, and may wait without asking again. Everything else (a pipe in a
// test) goes through net.Conn, behind the same methods; so does TLS, which is a layer on either.
//
// What an edge does not tell is an end that came together with the last bytes. Who waits on a connection for long looks after
// it from outside, with Ended, once.
package socket

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection. One goroutine reads at a time and one writes; one of them owns the connection, and closes it when
// nobody uses it any more, unless it is shared. Interrupt, Ended and Control may be called by anybody.
//
// It is a net.Conn.
type Conn struct {
	nc     net.Conn // nil for a descriptor of its own
	fd     int      // to be used directly; -1: through nc
	look   int      // to look at; -1 when there is none
	remote netip.AddrPort
	layer  *layer // between the owner and what is below; nil for none
	shared bool

	raw    syscall.RawConn // nil until something has to wait
	mu     sync.Mutex      // what follows: between the owner and who interrupts
	waiter waiter          // nil until something has to wait
	closed bool

	stopped [2]atomic.Bool // reads, writes: interrupted for good
	nudged  atomic.Bool

	// The callbacks are made once and talk through these fields: a closure per call would be an allocation per call.
	receive, serve, write func(fd uintptr) bool

	// Of the reader.
	pool   *Pool
	buf    *[]byte
	into   []byte
	n      int
	err    error
	out    []byte // goes out when the wait begins
	outErr error
	each   func(buf *[]byte, n int) bool
	inside bool
	// dry: the last read took all there was, and no edge has come since.
	dry bool

	// Of the writer.
	clock    Clock
	pending  []byte
	vecs     []unix.Iovec
	writeErr error
}

// waiter is what the deadlines of a connection are set on.
type waiter interface {
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	Close() error
}

// New wraps nc. A socket of the system is used directly from here on.
func New(nc net.Conn) *Conn {
	c := &Conn{nc: nc, fd: -1, look: -1, waiter: nc}
	c.callbacks()
	if s, ok := nc.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil && raw.Control(func(fd uintptr) { c.look = int(fd) }) == nil {
			c.raw = raw
		}
	}
	if Direct {
		c.fd = c.look
	}
	return c
}

func (c *Conn) callbacks() {
	c.receive, c.serve, c.write = c.tryReceive, c.tryServe, c.tryWrite
}

// FromDescriptor makes a connection of a connected stream socket that does not block; it belongs to the connection from then
// on. Go's poller does not know it until something has to wait: a short connection never is.
func FromDescriptor(fd int, remote netip.AddrPort) *Conn {
	c := &Conn{fd: fd, look: fd, remote: remote}
	c.callbacks()
	return c
}

// Share lets anybody close the connection from now on, also while others read and write, as net.Conn has it. Every write asks
// Go's poller whether the descriptor is still this connection's then: an answer must not reach whoever got it next. The owner
// calls it, before anybody else has the connection.
func (c *Conn) Share() error {
	c.shared = true
	if c.fd < 0 {
		return nil
	}
	return c.register()
}

// register makes the connection known to Go's poller.
func (c *Conn) register() error {
	if c.raw != nil {
		return nil
	}
	file := os.NewFile(uintptr(c.fd), "socket")
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw, c.waiter = raw, file
	if c.stopped[0].Load() {
		_ = file.SetReadDeadline(past) // it fails for what cannot wait, and then nothing does
	}
	if c.stopped[1].Load() {
		_ = file.SetWriteDeadline(past)
	}
	return nil
}

var past = time.Unix(1, 0)

// Interrupt ends every read and write that waits, and every later one, from any goroutine. The connection stays open:
// only its owner closes it, since a descriptor that is closed may be somebody else's a moment later.
func (c *Conn) Interrupt() {
	c.stopped[1].Store(true)
	c.stopped[0].Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiter != nil && !c.closed {
		_ = c.waiter.SetDeadline(past)
	}
}

// InterruptRead is Interrupt for reads only.
func (c *Conn) InterruptRead() {
	c.stopped[0].Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiter != nil && !c.closed {
		_ = c.waiter.SetReadDeadline(past)
	}
}

// Nudge makes the read that waits look again, and every later one not wait: for who knows, from Ended, that nothing more
// comes and that the edge which told so may have been missed.
func (c *Conn) Nudge() {
	c.nudged.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiter != nil && !c.closed {
		_ = c.waiter.SetReadDeadline(past)
	}
}

// Control calls f with the descriptor, which stays valid meanwhile. It reports false when there is none.
func (c *Conn) Control(f func(fd uintptr)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.look < 0 || c.closed {
		return false
	}
	f(uintptr(c.look))
	return true
}

// Ended reports whether the peer has said that nothing more comes, or the connection is broken, and nothing is left to read.
// It costs one system call and does not wait. What is used through net.Conn never has ended.
func (c *Conn) Ended() bool {
	ended := false
	c.Control(func(fd uintptr) {
		var b [1]byte
		n, errno := recv(int(fd), b[:], syscall.MSG_PEEK)
		ended = n == 0 && errno == 0 || errno != 0 && errno != syscall.EAGAIN
	})
	return ended
}

// Quiet reports whether an idle connection is open and has nothing to read: no end, no error, no byte that nobody asked
// for. It is Ended's sister for the owner.
func (c *Conn) Quiet() bool {
	if c.look < 0 {
		return true
	}
	var b [1]byte
	_, errno := recv(c.look, b[:], syscall.MSG_PEEK)
	return errno == syscall.EAGAIN
}

// SetDeadline implements net.Conn, for the owner. The zero time makes an interrupted connection usable again.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.deadline(0, t, waiter.SetReadDeadline)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.deadline(1, t, waiter.SetWriteDeadline)
}

func (c *Conn) deadline(side int, t time.Time, set func(waiter, time.Time) error) error {
	if c.fd >= 0 {
		if err := c.register(); err != nil {
			return err
		}
	}
	c.stopped[side].Store(!t.IsZero() && !t.After(time.Now()))
	return set(c.waiter, t)
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr {
	if c.nc != nil {
		return c.nc.LocalAddr()
	}
	sa, err := syscall.Getsockname(c.fd)
	if err != nil {
		return &net.TCPAddr{}
	}
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *syscall.SockaddrInet6:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	}
	return &net.TCPAddr{}
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr {
	if c.nc != nil {
		return c.nc.RemoteAddr()
	}
	return net.TCPAddrFromAddrPort(c.remote)
}

// CloseWrite says to the peer that nothing more comes, when the transport can say that.
func (c *Conn) CloseWrite() error {
	if c.layer != nil {
		return c.layer.closeWrite(c)
	}
	return c.closeWrite()
}

func (c *Conn) closeWrite() error {
	if c.nc == nil {
		return syscall.Shutdown(c.fd, syscall.SHUT_WR)
	}
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Reset closes the connection so that the peer sees an error, not an end.
func (c *Conn) Reset() error {
	c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1}) // a unix socket has none
	})
	return c.close()
}

// Close implements net.Conn, for the owner.
func (c *Conn) Close() error {
	if c.layer != nil {
		return c.layer.Close()
	}
	return c.close()
}

func (c *Conn) close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	w := c.waiter
	c.mu.Unlock()
	if w != nil {
		return w.Close()
	}
	return shut(c.fd)
}

// fail makes an error of what a system call said.
func (c *Conn) fail(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, errno)}
}
