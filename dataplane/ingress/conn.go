package ingress

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/secure"
	"github.com/ancora-fleet/ancora/dataplane/socket"
)

// Buffers: small ones for almost everything, a large one for the rare head that does not fit.
const (
	smallSize = 8 << 10
	largeSize = h1.MaxHead + smallSize
)

// errExpired ends a wait that took longer than it may.
var errExpired = errors.New("ingress: waited too long for a request")

// phase is what a connection is doing; the sweep measures how long.
type phase uint64

const (
	phaseIdle    phase = iota // waits for the first byte of a request
	phaseHead                 // has a part of a head
	phaseServe                // serves a request
	phaseOther                // is a tunnel, or lingers, or is none at the moment: no limit of the sweep
	phaseExpired              // the sweep has ended its wait
	phaseShake                // is in its TLS handshake

	phaseMask = 7
)

func phaseOf(mark uint64) phase { return phase(mark & phaseMask) }

// conn is one client connection. While it waits for a request this is all it needs: everything about requests is in a turn.
type conn struct {
	l        *Listener
	sock     *socket.Conn
	client   netip.AddrPort
	session  *secure.Session // nil without TLS
	presence presence
	ready    func(buf *[]byte, n int) bool
	// trusted: the client is a proxy that is believed about who its own client is.
	trusted bool

	turn *turn // that has to go on outside of socket.Each

	mark   atomic.Uint64 // phase, and above it a number that grows with every change
	reads  atomic.Uint32 // of bodies, odd while one waits
	writes atomic.Uint32
	came   atomic.Uint64 // bytes of the request's body that were read from the socket
	slow   atomic.Bool   // the sweep has ended the body, which came too slowly
	cut    atomic.Bool   // the client must see an error, not an end, as when it took its answer too slowly
	tunnel atomic.Bool   // no request any more but a WebSocket, which has no least rate

	seenMark uint64 // of the sweep alone
	seenAt   time.Time
	watched  bool
	stalled  [2]stall
	pace     pace

	source netip.Addr // that it is counted for; of the goroutine that serves it, like
	handed bool       // net/http has it now

	address *netip.AddrPort // ours, once somebody has asked

	ticket atomic.Int32 // of the watcher
}

func newConn(l *Listener, sock *socket.Conn, client netip.AddrPort) *conn {
	c := &conn{l: l, sock: sock, client: client}
	c.ready = c.begin
	c.enterAny(phaseIdle) // a mark that the sweep has not seen
	return c
}

// serve is the life of a connection.
func (l *Listener) serve(c *conn) {
	if !l.enroll(c) {
		l.complain("too many connections, new ones are closed", "client", c.client, "most", l.opt.MaxConnections)
		_ = c.sock.Close() // there is nobody to tell
		return
	}
	if l.decide(c) {
		c.run()
		c.end()
	}
	l.watch.remove(c) // not before: what is closed is not watched again
	l.dismiss(c)
	c.leave()
}

// leave says that the client is gone: its request is not worth going on with. It may be called by anybody.
func (c *conn) leave() { c.presence.leave() }

// decide is where it is settled who serves a connection, before one of the client's bytes is consumed: it reports false
// when somebody else has the socket now, or nobody. HTTP/2 is known by its first bytes; they are looked at only where it is allowed.
func (l *Listener) decide(c *conn) (ours bool) {
	if !l.identify(c) {
		return false
	}
	if table := l.secured(); table != nil {
		if !l.handshake(c, table) {
			return false
		}
		if c.session.HTTP2 {
			l.h2.take(c)
		}
		return !c.session.HTTP2
	}
	if !l.opt.H2C {
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

// enterAny changes the phase also when the sweep has ended a wait.
func (c *conn) enterAny(p phase) {
	for {
		mark := c.mark.Load()
		if c.mark.CompareAndSwap(mark, (mark|phaseMask)+1|uint64(p)) {
			return
		}
	}
}

// run serves requests until the connection ends. It waits without holding a turn or a buffer. As long as requests come
// whole, all of it happens inside of one socket.Each; what has to read leaves it and comes back.
func (c *conn) run() {
	for {
		if err := c.sock.Each(c.l.small, c.ready); err != nil {
			return
		}
		t := c.turn
		if c.turn = nil; t == nil || !c.proceed(t) {
			return
		}
	}
}

// begin takes what has been read of a request, or of several. It reports whether to wait for more.
func (c *conn) begin(buf *[]byte, n int) (wait bool) {
	c.l.attend()
	t := c.l.turns.Get().(*turn)
	t.begin(c, buf, n)
	return c.proceed(t)
}

func (c *conn) proceed(t *turn) (wait bool) {
	for {
		switch t.step() {
		case stepRead:
			if c.sock.Inside() {
				c.turn = t
				return false
			}
			t.read()
		case stepIdle:
			t.end()
			return c.enter(phaseIdle)
		case stepOver:
			t.end()
			return false
		}
	}
}
