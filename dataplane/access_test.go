package dataplane

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/accesslog"
	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

type ends netip.AddrPort

func (e ends) Local() netip.AddrPort { return netip.AddrPort(e) }

func exchange() *forward.Exchange {
	field := func(name, value string) forward.Field {
		return forward.Field{Name: []byte(name), Value: []byte(value)}
	}
	return &forward.Exchange{
		Request: &forward.Request{
			Method: []byte("GET"), Path: []byte("/a"), Query: []byte("?b"), Host: []byte("shop.example"), Client: netip.MustParseAddrPort("192.0.2.1:4711"),
			Fields: []forward.Field{field("Accept", "*/*"), field("USER-AGENT", "curl"), field("user-agent", "second"), field("Referer", ""), field("referer", "r"), field("traceparent", "t")},
		},
		Protocol: "HTTP/2", Conn: ends(netip.MustParseAddrPort("192.0.2.9:80")), Status: 502, Substatus: 3, Received: 1, Sent: 2, Payload: 3,
		Duration: time.Second, Aborted: true,
	}
}

// Everything of an exchange that a line can show is in its entry.
func TestEntryOf(t *testing.T) {
	got := entryOf(exchange(), time.Unix(2, 0))
	want := accesslog.Entry{
		Begin: time.Unix(1, 0), Duration: time.Second, Client: netip.MustParseAddrPort("192.0.2.1:4711"), Local: netip.MustParseAddrPort("192.0.2.9:80"),
		Method: []byte("GET"), Host: []byte("shop.example"), Path: []byte("/a"), Query: []byte("?b"), Protocol: "HTTP/2", Status: 502, Substatus: 3,
		Received: 1, Sent: 2, Payload: 3, Aborted: true, UserAgent: []byte("curl"), Referer: []byte("r"), TraceParent: []byte("t"),
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// A request costs its observer no allocation, whether or not the site has an access log.
func TestObserverDoesNotAllocate(t *testing.T) {
	o, x := newObserver(), exchange()
	count := func() float64 {
		return testing.AllocsPerRun(100, func() {
			o.Begin(x.Request)
			o.End(x)
		})
	}
	if n := count(); n > 0 {
		t.Errorf("%v allocations without an access log", n)
	}
	l := accesslog.New(accesslog.Config{})
	l.SetForm(site.AccessLogJSON)
	for l.Dropped() == 0 { // the buffer has grown as far as it may
		l.Add(&accesslog.Entry{UserAgent: []byte(strings.Repeat("x", 4096))})
	}
	o.log.Store(l)
	if n := count(); n >= 1 && !raced {
		t.Errorf("%v allocations with one", n)
	}
	if c := o.meter.Counts(); c.Classes[4] != 202 {
		t.Errorf("%+v", c)
	}
}
