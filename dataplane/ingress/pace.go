package ingress

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// errSlow ends a body that comes too slowly; it is a 408 as long as there is no answer.
var errSlow = &h1.Error{Status: 408, Text: "the body comes too slowly"}

// pace is what the sweep knows of how fast a request's bytes move. Only time in which it is the client's turn counts:
// while we wait for more of a body, or while the kernel takes no more of an answer.
type pace struct {
	seen    time.Time     // when it was looked at last
	reading time.Duration // how long the body has been waited for
	writes  uint32        // the counter of writes, at the last look
	blocked time.Time     // when the client was first seen to take too little, or was measured last
	acked   uint64        // what it had taken by then, in bytes
}

// keepPace cuts a client that is slower than the least rate.
func (c *conn) keepPace(now time.Time) {
	c.paceIn(now)
	c.paceOut(now)
}

// paceIn measures a body from its beginning, with some grace.
func (c *conn) paceIn(now time.Time) {
	if c.pace.late(now, c.reads.Load(), c.came.Load(), &c.l.opt) && !c.slow.Swap(true) {
		c.sock.InterruptRead()
	}
}

// late reports whether a body of which so many bytes came has been waited for longer than they may take; reads is odd while it
// is. A sweep that is late itself does not count against it.
func (p *pace) late(now time.Time, reads uint32, came uint64, opt *Options) bool {
	elapsed := min(now.Sub(p.seen), 4*tick)
	if p.seen.IsZero() {
		elapsed = 0
	}
	p.seen = now
	if reads&1 == 0 {
		return false
	}
	p.reading += elapsed
	return p.reading > opt.RateGrace && float64(came) < float64(opt.LeastRate)*p.reading.Seconds()
}

// received counts what has come of a body, and says why no more does.
func (c *conn) received(n int, err error) (int, error) {
	if n > 0 {
		c.came.Store(c.came.Load() + uint64(n))
	}
	if err != nil && c.slow.Load() {
		err = errSlow
	}
	return n, err
}

// paceOut measures what the client's system acknowledges: what we have written may wait in the kernel for a long time. A
// window opens by whole segments, so nothing is said before the least rate would have opened it once. While segments are
// sent again it is the network that is slow; TCP_USER_TIMEOUT is for that.
func (c *conn) paceOut(now time.Time) {
	p, opt := &c.pace, &c.l.opt
	n := c.writes.Load()
	still := n == p.writes
	p.writes = n
	if n&1 == 0 || c.tunnel.Load() {
		p.blocked = time.Time{}
		return
	}
	if p.blocked.IsZero() {
		if still {
			if t, ok := c.transport(); ok {
				p.blocked, p.acked = now, t.acked
			}
		}
		return
	}
	elapsed := now.Sub(p.blocked)
	if elapsed < opt.RateGrace {
		return
	}
	t, ok := c.transport()
	if !ok || elapsed.Seconds()*float64(opt.LeastRate) < float64(t.segment) {
		return
	}
	if !t.resending && float64(t.acked-p.acked) < elapsed.Seconds()*float64(opt.LeastRate) {
		c.cut.Store(true)
		c.leave()
		c.sock.Interrupt()
		return
	}
	p.blocked, p.acked = now, t.acked
}

// transport is what the kernel knows of a connection.
type transport struct {
	acked     uint64 // bytes that the peer has acknowledged
	segment   int    // bytes of one segment
	resending bool
}

// transport is not known of what is no TCP connection, or on a kernel that does not say.
func (c *conn) transport() (t transport, ok bool) {
	c.sock.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil && info.Bytes_acked > 0 {
			t, ok = transport{info.Bytes_acked, int(info.Snd_mss), info.Retransmits > 0}, true
		}
	})
	return t, ok
}

// end closes the connection. What a client does not take must not wait in the kernel after it was cut.
func (c *conn) end() {
	if c.cut.Load() {
		_ = c.sock.Reset() // there is nobody to tell, here and below
		return
	}
	_ = c.sock.Close()
}
