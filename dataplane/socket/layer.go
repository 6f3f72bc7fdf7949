package socket

import (
	"io"
	"net"
	"os"
	"syscall"
)

// bare is the connection below its layer.
type bare struct{ *Conn }

// Read implements net.Conn. Inside of Each it does not wait, but says that there is nothing yet.
func (b bare) Read(p []byte) (int, error) {
	if !b.Conn.inside {
		return b.Conn.read(p)
	}
	return b.Conn.poll(p)
}

// Write implements net.Conn.
func (b bare) Write(p []byte) (int, error) { return b.Conn.send(p) }

// Close implements net.Conn.
func (b bare) Close() error { return b.Conn.close() }

// notYet is what a layer is told that would have to wait. Like the end of a deadline it is over with the call: crypto/tls
// keeps what it has of a record and goes on with it.
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

// layer is what translates between the socket and its owner.
type layer struct {
	net.Conn
	below *Conn
	pool  *Pool
	first [1]byte
}

// Wrap puts a layer, as TLS is one, between the connection and its owner: wrap gets the connection as it is and gives what
// is read, written and closed from then on. What anybody may call (Interrupt, Ended, Control) and Reset go past the layer, so
// they wait for nobody who is inside of it. The owner calls it, once, before anything else reads or writes. Small pieces are
// put together in a buffer of pool.
func (c *Conn) Wrap(pool *Pool, wrap func(net.Conn) net.Conn) {
	c.layer = &layer{Conn: wrap(bare{c}), below: c, pool: pool}
}

// each is Each through the layer.
func (l *layer) each(pool *Pool, f func(buf *[]byte, n int) bool) error {
	c := l.below
	if c.fd < 0 {
		return l.eachWaiting(pool, f)
	}
	if err := c.register(); err != nil {
		return err
	}
	c.pool, c.each, c.err, c.inside = pool, f, nil, true
	defer func() { c.inside = false }()
	if err := c.raw.Read(c.serve); err != nil {
		return err
	}
	return c.err
}

// tryServe is Conn's with the layer in between: it waits when the layer has no more, and the socket neither.
func (l *layer) tryServe() bool {
	c := l.below
	pool, f := c.pool, c.each
	c.dry = false // there is an edge, or nobody knows
	for {
		if c.stopped[0].Load() {
			c.err = os.ErrDeadlineExceeded
			return true
		}
		buf := pool.Get()
		n, err := l.Read(*buf)
		if n > 0 {
			if !f(buf, n) {
				c.err = nil
				return true
			}
			c.pool, c.each, c.err = pool, f, nil // f may have used the connection otherwise
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

// eachWaiting is for what is used through net.Conn. It waits with one byte, not with a buffer.
func (l *layer) eachWaiting(pool *Pool, f func(buf *[]byte, n int) bool) error {
	for {
		if n, err := l.Read(l.first[:]); n == 0 {
			return err
		}
		buf := pool.Get()
		(*buf)[0] = l.first[0]
		if !f(buf, 1) {
			return nil
		}
	}
}

// gather makes one write of pieces that are small enough, since every write is a record of its own at least.
func (l *layer) gather(pieces [][]byte) error {
	buf := l.pool.Get()
	defer l.pool.Put(buf)
	all := (*buf)[:0]
	for _, p := range pieces {
		if len(all)+len(p) <= len(*buf) {
			all = append(all, p...)
			continue
		}
		for _, part := range [...][]byte{all, p} {
			if _, err := l.Write(part); err != nil {
				return err
			}
		}
		all = all[:0]
	}
	if len(all) == 0 {
		return nil
	}
	_, err := l.Write(all)
	return err
}

// closeWrite says through the layer that nothing more comes, and to the peer's system as well.
func (l *layer) closeWrite(c *Conn) error {
	if half, ok := l.Conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return err
		}
	}
	return c.closeWrite()
}
