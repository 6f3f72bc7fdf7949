package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// errInside is a mistake of ours: a read in a function that Each calls would wait for itself.
var errInside = errors.New("socket: a read inside of Each")

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	if c.layer != nil {
		return c.layer.Read(p)
	}
	return c.read(p)
}

func (c *Conn) read(p []byte) (int, error) {
	if c.fd < 0 {
		return c.nc.Read(p)
	}
	if len(p) == 0 {
		return 0, nil
	}
	c.into = p
	_, n, err := c.await(nil, nil)
	c.into = nil
	return n, err
}

// Receive waits until there is something to read and reads it into a buffer that it takes from pool only then. The
// caller gives the buffer back. Without an error n is at least 1.
func (c *Conn) Receive(pool *Pool) (buf *[]byte, n int, err error) {
	if c.fd < 0 {
		return c.receiveBuffered(pool)
	}
	return c.await(pool, nil)
}

// SendReceive sends p and waits for what comes back, as Write and Receive would. The bytes go out when the wait has been
// prepared, so that nothing has to be read only to find that there is nothing yet. sendErr says that p did not go out whole;
// what the peer had said before may have been received all the same.
func (c *Conn) SendReceive(p []byte, pool *Pool) (buf *[]byte, n int, sendErr, err error) {
	if c.fd < 0 {
		if _, sendErr = c.nc.Write(p); sendErr == nil || len(p) == 0 {
			buf, n, err = c.receiveBuffered(pool)
		} else {
			err = sendErr
		}
		return buf, n, sendErr, err
	}
	c.outErr = nil
	buf, n, err = c.await(pool, p)
	return buf, n, c.outErr, err
}

func (c *Conn) receiveBuffered(pool *Pool) (buf *[]byte, n int, err error) {
	buf = pool.Get()
	if n, err = c.nc.Read(*buf); n > 0 {
		return buf, n, nil
	}
	pool.Put(buf)
	return nil, 0, err
}

// await reads once, into c.into or else a buffer of pool; out is sent first.
func (c *Conn) await(pool *Pool, out []byte) (buf *[]byte, n int, err error) {
	switch {
	case c.inside:
		return nil, 0, errInside
	case c.stopped[0].Load():
		return nil, 0, os.ErrDeadlineExceeded
	}
	c.pool, c.buf, c.n, c.err, c.out = pool, nil, 0, nil, out
	if c.raw != nil || !c.tryReceive(uintptr(c.fd)) {
		if err = c.register(); err == nil {
			err = c.raw.Read(c.receive)
		}
		if err != nil && c.nudged.Load() && !c.stopped[0].Load() {
			if c.out, c.err, err = nil, nil, nil; !c.tryReceive(uintptr(c.fd)) {
				err = io.EOF
			}
		}
	}
	buf, n = c.buf, c.n
	c.pool, c.buf, c.out = nil, nil, nil
	if err == nil {
		err = c.err
	}
	if err != nil {
		pool.recover(buf)
		return nil, 0, err
	}
	return buf, n, nil
}

func (p *Pool) recover(buf *[]byte) {
	if p != nil {
		p.Put(buf)
	}
}

// tryReceive runs with the descriptor locked for reading; false means wait.
func (c *Conn) tryReceive(uintptr) bool {
	if c.out != nil {
		out := c.out
		c.out = nil
		if c.sendNow(out) {
			return false // an answer to this cannot be here yet, and its edge will not be missed
		}
	}
	p := c.into
	if p == nil {
		if c.buf == nil {
			c.buf = c.pool.Get()
		}
		p = *c.buf
	}
	n, errno := recv(c.fd, p, 0)
	switch {
	case errno == syscall.EAGAIN:
		if c.pool != nil {
			c.pool.Put(c.buf)
			c.buf = nil
		}
		return false
	case errno != 0:
		c.err = c.fail("read", errno)
	case n == 0:
		c.err = io.EOF
	default:
		c.n = n
	}
	return true
}

// sendNow sends p before the wait. It reports false when there may be something to read already: the peer is gone, or it
// took so little that the rest had to wait.
func (c *Conn) sendNow(p []byte) bool {
	n, errno := send(c.fd, p)
	if errno == 0 && n == len(p) {
		return true
	}
	if errno != 0 {
		n = 0
	}
	if errno == 0 || errno == syscall.EAGAIN {
		_, c.outErr = c.Write(p[n:])
	} else {
		c.outErr = c.fail("write", errno)
	}
	return false
}

// Each waits for bytes, gives them to f in a buffer of pool, which is f's from then on, and goes on until f reports false or
// the connection ends or is interrupted. No edge is asked for twice: what f has left in the kernel it must have left
// knowingly, by filling its buffer. f must not read from c while Inside reports true; it ends Each to do that.
func (c *Conn) Each(pool *Pool, f func(buf *[]byte, n int) bool) error {
	if c.fd < 0 {
		return c.eachWaiting(pool, f)
	}
	c.pool, c.each, c.err = pool, f, nil
	defer func() { c.inside = false }()
	if c.raw == nil {
		if c.layer == nil && c.tryServe(uintptr(c.fd)) { // below a layer a read waits unless it is known to be inside
			return c.err
		}
		if err := c.register(); err != nil {
			return err
		}
	}
	c.inside = true
	if err := c.raw.Read(c.serve); err != nil {
		return err
	}
	return c.err
}

// eachWaiting is for what is used through net.Conn.
func (c *Conn) eachWaiting(pool *Pool, f func(buf *[]byte, n int) bool) error {
	receive := c.receiveBuffered
	if c.layer != nil {
		receive = c.layer.receive
	}
	for {
		buf, n, err := receive(pool)
		if err != nil {
			return err
		}
		if !f(buf, n) {
			return nil
		}
	}
}

// Inside reports whether the caller runs in a function that Each has called and must not read.
func (c *Conn) Inside() bool { return c.inside }

// tryServe runs with the descriptor locked for reading; false means wait.
func (c *Conn) tryServe(uintptr) bool {
	pool, f := c.pool, c.each
	c.dry = false // there is an edge, or nobody knows
	for {
		if c.stopped[0].Load() {
			c.err = os.ErrDeadlineExceeded
			return true
		}
		buf := pool.Get()
		n, err := c.readNow(*buf)
		if n > 0 {
			if !f(buf, n) {
				c.err = nil
				return true
			}
			c.pool, c.each, c.err = pool, f, nil // f may have used the connection otherwise
			if c.dry && c.layer == nil {         // a layer may have more, of what it has read already
				return false
			}
			continue
		}
		pool.Put(buf)
		if err == (notYet{}) {
			return false
		}
		c.err = err
		return true
	}
}

// readNow reads what there is, inside of Each.
func (c *Conn) readNow(p []byte) (int, error) {
	if c.layer != nil {
		return c.layer.Read(p)
	}
	return c.poll(p)
}

// notYet says that a read would have to wait. To a layer it is like the end of a deadline, which is over with the call:
// crypto/tls keeps what it has of a record and goes on with it.
type notYet struct{}

func (notYet) Error() string   { return "socket: nothing to read yet" }
func (notYet) Timeout() bool   { return true }
func (notYet) Temporary() bool { return true }

// poll reads what there is, unless it is known that there is nothing.
func (c *Conn) poll(p []byte) (int, error) {
	if c.dry {
		return 0, notYet{}
	}
	n, errno := recv(c.fd, p, 0)
	switch {
	case errno == syscall.EAGAIN:
		c.dry = true
		return 0, notYet{}
	case errno != 0:
		return 0, c.fail("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	c.dry = n < len(p)
	return n, nil
}

// Peek waits for bytes and copies them to p without consuming them: who else gets the connection reads them again. It
// goes on until accept, called with what is there so far, says that it has seen enough.
func (c *Conn) Peek(p []byte, accept func([]byte) bool) error {
	if c.look < 0 {
		return errors.ErrUnsupported
	}
	if err := c.register(); err != nil {
		return err
	}
	var result error
	err := c.raw.Read(func(uintptr) bool {
		n, errno := recv(c.look, p, syscall.MSG_PEEK)
		switch {
		case errno == syscall.EAGAIN:
			return false
		case errno != 0:
			result = &net.OpError{Op: "read", Net: "tcp", Err: errno}
		case n == 0:
			result = io.EOF
		default:
			return accept(p[:n])
		}
		return true
	})
	if err == nil {
		err = result
	}
	return err
}
