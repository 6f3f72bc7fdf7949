package ingress

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

// defaultMaxConnections leaves a descriptor for the instance beside each client's, and of all that a fifth for everything
// else. Below leastConnections a listener would be of no use.
func defaultMaxConnections() int {
	const leastConnections, most = 1000, 1 << 22
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return leastConnections
	}
	return max(int(min(limit.Cur, most))*8/10/2, leastConnections)
}

// crowd is who is connected; the listener's lock guards it.
type crowd struct {
	count   int
	sources map[netip.Addr]int   // only with MaxConnectionsPerSource
	handed  map[*handed]struct{} // connections that speak HTTP/2
	idle    []waiter             // the longest idle ones that the last search has found, the longest last
	nobody  time.Time            // until then a search would find none
}

// waiter is a connection that waits for a request.
type waiter struct {
	since time.Time
	conn  *conn // or, for HTTP/2,
	mark  uint64
	h2    *handed
	at    int64
}

// end closes a connection that is still here, unless it has got a request since.
func (k *crowd) end(w waiter, here map[*conn]struct{}) bool {
	if w.conn != nil {
		_, ok := here[w.conn]
		return ok && w.conn.expire(w.mark)
	}
	if _, ok := k.handed[w.h2]; !ok || !w.h2.idle.CompareAndSwap(w.at, 0) {
		return false
	}
	// net/http closes it as well, and that is when it is counted. What TLS says at the end may wait, and the lock is held.
	if w.h2.c.session != nil {
		go w.h2.Conn.Close()
	} else {
		w.h2.Conn.Close()
	}
	return true
}

// enroll lets a connection in. When there are too many, the one that has waited longest for a request goes in its place.
func (l *Listener) enroll(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crowd.count >= l.opt.MaxConnections && !l.makeRoom(time.Now()) {
		return false
	}
	l.crowd.count++
	l.conns[c] = struct{}{}
	return true
}

// enrollSource counts a connection for where its client is. Trusted proxies stand for many clients.
func (l *Listener) enrollSource(c *conn) bool {
	if l.opt.MaxConnectionsPerSource <= 0 || c.trusted {
		return true
	}
	source := forward.Source(c.client.Addr())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.crowd.sources == nil {
		l.crowd.sources = map[netip.Addr]int{}
	}
	if l.crowd.sources[source] >= l.opt.MaxConnectionsPerSource {
		return false
	}
	l.crowd.sources[source]++
	c.source = source
	return true
}

// dismiss is the end of a connection here. One that was handed over still counts.
func (l *Listener) dismiss(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if !c.handed {
		l.forget(c)
	}
}

// forget takes a connection out of the counts; the lock is held.
func (l *Listener) forget(c *conn) {
	l.crowd.count--
	if !c.source.IsValid() {
		return
	}
	if l.crowd.sources[c.source]--; l.crowd.sources[c.source] == 0 {
		delete(l.crowd.sources, c.source)
	}
}

// makeRoom ends the connection that has waited longest; the lock is held. One search finds many, so that a flood of new
// connections does not cost a search each.
func (l *Listener) makeRoom(now time.Time) bool {
	k := &l.crowd
	for {
		for len(k.idle) > 0 {
			last := k.idle[len(k.idle)-1]
			if k.idle = k.idle[:len(k.idle)-1]; k.end(last, l.conns) {
				return true
			}
		}
		if now.Before(k.nobody) {
			return false
		}
		if k.idle = l.longestIdle(now); len(k.idle) == 0 {
			k.nobody = now.Add(tick)
			return false
		}
	}
}

// longestIdle gives some of the connections that wait for a request, the one that has waited longest last.
func (l *Listener) longestIdle(now time.Time) []waiter {
	const some = 64
	var all []waiter
	for c := range l.conns {
		mark := c.mark.Load()
		if phaseOf(mark) != phaseIdle {
			continue
		}
		since := now // it has just begun to wait: the sweep has not seen it yet
		if mark == c.seenMark {
			since = c.seenAt
		}
		all = append(all, waiter{since: since, conn: c, mark: mark})
	}
	for h := range l.crowd.handed {
		if at := h.idle.Load(); at != 0 {
			all = append(all, waiter{since: time.Unix(0, at), h2: h, at: at})
		}
	}
	slices.SortFunc(all, func(a, b waiter) int { return b.since.Compare(a.since) })
	return slices.Clone(all[max(len(all)-some, 0):])
}

// handed is a connection that net/http has now. It counts until that closes it.
type handed struct {
	net.Conn
	c    *conn
	idle atomic.Int64 // since when it has no request, in nanoseconds of Unix time; 0: it has one
	once sync.Once
	flow *flow
}

// handOver makes c what net/http gets.
func (c *conn) handOver() *handed {
	h := &handed{Conn: c.sock, c: c, flow: newFlow()}
	c.handed = true
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if c.l.crowd.handed == nil {
		c.l.crowd.handed = map[*handed]struct{}{}
	}
	c.l.crowd.handed[h] = struct{}{}
	return h
}

// resting notes whether it has a request.
func (h *handed) resting(idle bool) {
	if idle {
		h.idle.Store(time.Now().UnixNano())
	} else {
		h.idle.Store(0)
	}
}

// RemoteAddr is the client's address also where a PROXY header has told it.
func (h *handed) RemoteAddr() net.Addr {
	if h.c.l.opt.ProxyProtocol {
		return net.TCPAddrFromAddrPort(h.c.client)
	}
	return h.Conn.RemoteAddr()
}

// Read implements net.Conn. A client that sends nothing but work is let wait, and cut if it goes on.
func (h *handed) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if flood := h.flow.received(p[:n]); flood != nil {
		if flood == errFlood {
			h.c.l.complain("a client is cut: most of what it sends over HTTP/2 brings nothing", "client", h.c.client)
		}
		return 0, flood // who needs no more than n bytes would not look at the error
	}
	return n, err
}

// Write implements net.Conn, so that the sweep sees one that waits.
func (h *handed) Write(p []byte) (int, error) {
	h.flow.sent(p)
	h.c.writes.Add(1)
	defer h.c.writes.Add(1)
	return h.Conn.Write(p)
}

// Close implements net.Conn.
func (h *handed) Close() error {
	h.once.Do(func() {
		close(h.flow.closed)
		l := h.c.l
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.crowd.handed, h)
		l.forget(h.c)
	})
	if h.c.cut.Load() {
		return h.c.sock.Reset() // as in conn.end
	}
	return h.Conn.Close()
}
