package ingress

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

// sight is a request in the eyes of whoever observes its door. It belongs to a turn, so that telling costs no allocation.
type sight struct {
	observer forward.Observer // nil: nobody looks
	epoch    time.Time        // times are told from here: to read one clock costs half of reading two
	began    time.Duration
	head     int // bytes of the head
	exchange forward.Exchange
}

// begin says that a request is about to pass through the door.
func (s *sight) begin(door forward.Door, r *forward.Request) {
	if s.observer, _ = door.(forward.Observer); s.observer != nil {
		s.observer.Begin(r)
		if s.epoch.IsZero() {
			s.epoch = time.Now()
		}
		s.began = time.Since(s.epoch)
	}
}

// end says what became of it.
func (s *sight) end(x forward.Exchange) {
	x.Duration = time.Since(s.epoch) - s.began
	s.exchange = x
	s.observer.End(&s.exchange)
	s.observer, s.exchange = nil, forward.Exchange{}
}

// observed is the end of a request over HTTP/1.1; err is that of finishing its answer.
func (t *turn) observed(err error) {
	if t.seen.observer == nil {
		return
	}
	x := forward.Exchange{
		Request: &t.req, Protocol: "HTTP/1.1", Conn: t.c, Status: t.out.status, Substatus: t.out.detail,
		Received: int64(t.seen.head) + t.body.got, Sent: t.out.sent, Payload: t.out.payload, Aborted: err != nil,
	}
	if t.head.Minor == 0 {
		x.Protocol = "HTTP/1.0"
	}
	if t.out.state == blank {
		x.Status = 0
	}
	t.seen.end(x)
}

// endH2 is the same for HTTP/2, before the stream is ended. How much the heads were on the wire is not known here.
func (s *sight) endH2(r *forward.Request, hr *http.Request, body *h2Body, out *h2Writer) {
	if s.observer == nil {
		return
	}
	status := out.status
	if !out.head && !out.aborted {
		status = 500 // what finish will say
	}
	local, _ := hr.Context().Value(http.LocalAddrContextKey).(net.Addr)
	s.end(forward.Exchange{
		Request: r, Protocol: "HTTP/2", Conn: h2Local{local}, Status: status, Substatus: out.detail,
		Received: body.got, Sent: out.sent, Payload: out.sent, Aborted: out.aborted || hr.Context().Err() != nil,
	})
}

// Substatus takes what the page of an answer says behind the point, as in 502.5.
func (w *writer) Substatus(n int) { w.detail = n }

// Substatus does the same.
func (o *h2Writer) Substatus(n int) { o.detail = n }

type h2Local struct{ net.Addr }

// Local gives the address of the connection's own end.
func (l h2Local) Local() netip.AddrPort { return addrPort(l.Addr) }

// Local gives the address of the connection's own end.
func (c *conn) Local() netip.AddrPort {
	if c.address == nil {
		address := addrPort(c.sock.LocalAddr())
		c.address = &address
	}
	return *c.address
}
