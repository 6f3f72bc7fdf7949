package socket

import "net"

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

// layer is what translates between the socket and its owner.
type layer struct {
	net.Conn
	pool  *Pool
	first [1]byte
}

// Wrap puts a layer, as TLS is one, between the connection and its owner: wrap gets the connection as it is and gives what
// is read, written and closed from then on. What anybody may call (Interrupt, Ended, Control) and Reset go past the layer, so
// they wait for nobody who is inside of it. The owner calls it, once, before anything else reads or writes. Small pieces are
// put together in a buffer of pool.
func (c *Conn) Wrap(pool *Pool, wrap func(net.Conn) net.Conn) {
	c.layer = &layer{Conn: wrap(bare{c}), pool: pool}
}

// receive is Conn.receiveBuffered's with the layer in between. It waits with one byte, not with a buffer.
func (l *layer) receive(pool *Pool) (buf *[]byte, n int, err error) {
	if n, err = l.Read(l.first[:]); n == 0 {
		return nil, 0, err
	}
	buf = pool.Get()
	(*buf)[0] = l.first[0]
	return buf, n, nil
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
