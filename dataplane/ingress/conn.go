package ingress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/socket"
)

// Buffers: small ones for almost everything, a large one for the rare head that does not fit.
const (
	smallSize = 8 << 10
	largeSize = h1.MaxHead + smallSize
)

var (
	errLeft    = errors.New("ingress: the client has left")
	errStalled = errors.New("ingress: the client does not go on")
	errExpired = errors.New("ingress: waited too long for a request")
)

// phase is what a connection is doing; the sweep measures how long.
type phase uint64

const (
	phaseIdle    phase = iota // waits for the first byte of a request
	phaseHead                 // has a part of a head
	phaseServe                // serves a request
	phaseOther                // is a tunnel, or lingers: no limit of the sweep
	phaseExpired              // the sweep has ended its wait

	phaseMask = 7
)

func phaseOf(mark uint64) phase { return phase(mark & phaseMask) }

// conn is one client connection. While it waits for a request this is all it needs: everything about requests is in a
// turn.
type conn struct {
	l      *Listener
	sock   *socket.Conn
	client netip.AddrPort
	local  []byte
	// trusted: the client is a proxy that is believed about who its own client is.
	trusted bool
	ctx     context.Context // ends when the client is gone
	leave   context.CancelCauseFunc

	mark   atomic.Uint64 // phase, and above it a number that grows with every change
	reads  atomic.Uint32 // of bodies, odd while one waits
	writes atomic.Uint32
	came   atomic.Uint64 // bytes of the request's body that were read from the socket
	slow   atomic.Bool   // the sweep has ended the body, which came too slowly
	cut    atomic.Bool   // the sweep has ended the answer, which was taken too slowly
	tunnel atomic.Bool   // no request any more but a WebSocket, which has no least rate

	seenMark uint64 // of the sweep alone
	seenAt   time.Time
	watched  bool
	stalled  [2]stall
	pace     pace

	source netip.Addr // that it is counted for; of the goroutine that serves it, like
	handed bool       // net/http has it now

	address *netip.AddrPort // ours, once somebody has asked

	ticket atomic.Int32 // of the watcher; changed under its lock
	gone   bool         // under it as well
}

// serve is the life of a connection.
func (l *Listener) serve(nc net.Conn) {
	c := &conn{l: l, sock: socket.New(nc), client: addrPort(nc.RemoteAddr()), local: []byte(nc.LocalAddr().String()), seenAt: time.Now()}
	c.ctx, c.leave = context.WithCancelCause(l.life)
	defer c.leave(errLeft)
	if !l.enroll(c) {
		l.complain("too many connections, new ones are closed", "client", c.client, "most", l.opt.MaxConnections)
		nc.Close()
		return
	}
	defer l.dismiss(c)
	if l.decide(c) {
		c.run()
		c.end()
	}
}

// decide is where it is settled who serves a connection, before one of the client's bytes is consumed: it reports false
// when somebody else has the socket now, or nobody. HTTP/2 is known by its first bytes; they are looked at only where it is allowed.
func (l *Listener) decide(c *conn) (ours bool) {
	if !l.identify(c) {
		return false
	}
	if l.h2 == nil {
		return true
	}
	if found, err := peekPreface(c.sock); err != nil || !found {
		return true // an error meets whoever reads
	}
	l.h2.take(c)
	return false
}

func parseAddr(s string) (netip.AddrPort, error) {
	a, err := netip.ParseAddrPort(s)
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), err
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// enter changes the phase. It fails when the sweep has ended the wait meanwhile.
func (c *conn) enter(p phase) bool {
	mark := c.mark.Load()
	return phaseOf(mark) != phaseExpired && c.mark.CompareAndSwap(mark, (mark|phaseMask)+1|uint64(p))
}

// run serves requests until the connection ends. It waits without holding a turn or a buffer.
func (c *conn) run() {
	defer c.l.watch.remove(c, true)
	for {
		buf, n, err := c.sock.Receive(c.l.small)
		if err != nil {
			return
		}
		if !c.enter(phaseHead) {
			c.l.small.Put(buf)
			return
		}
		c.l.attend()
		t := c.l.turns.Get().(*turn)
		t.begin(c, buf, n)
		again := true
		for again && t.w > t.r {
			again = t.serve()
		}
		t.end()
		if !again || !c.enter(phaseIdle) {
			return
		}
	}
}
