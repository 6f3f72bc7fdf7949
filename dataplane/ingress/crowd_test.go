package ingress

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

const plain = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// from dials from an address of the loopback network.
func from(t *testing.T, s *server, address string) *wire {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	nc, err := d.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { nc.Close() })
	return &wire{Conn: nc, t: t, r: bufio.NewReader(nc)}
}

// served asks for something and says whether there is an answer.
func (c *wire) served() bool {
	c.say(plain)
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err == nil && response.StatusCode == 200
}

// until waits for what happens on another goroutine.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	for limit := time.Now().Add(5 * time.Second); !happened(); {
		if time.Now().After(limit) {
			t.Fatal("still not: " + what)
		}
		<-time.After(time.Millisecond)
	}
}

func (s *server) connected() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.crowd.count
}

// TestMaxConnections: one more than may be takes the place of the one that has waited longest; those that have a request
// keep theirs, and then the new one is closed.
func TestMaxConnections(t *testing.T) {
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	defer release()
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		if string(r.Path) == "/slow" {
			<-held
		}
		echo(r, w)
	}), Options{MaxConnections: 3})
	first, second, third := dial(t, s), dial(t, s), dial(t, s)
	for _, c := range []*wire{second, first, third} {
		if !c.served() {
			t.Fatal("not served")
		}
		until(t, "seen by the sweep, waiting", func() bool { // a client may have its answer before that
			s.mu.Lock()
			defer s.mu.Unlock()
			for c := range s.conns {
				if mark := c.mark.Load(); phaseOf(mark) != phaseIdle || mark != c.seenMark {
					return false
				}
			}
			return true
		})
	}
	fourth := dial(t, s)
	if !fourth.served() || !second.closed() {
		t.Fatal("the one that has waited longest is still there")
	}
	busy := []*wire{first, third, fourth}
	for _, c := range busy {
		c.say("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	until(t, "three have a request", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		n := 0
		for c := range s.conns {
			if phaseOf(c.mark.Load()) == phaseServe {
				n++
			}
		}
		return n == 3
	})
	if fifth := dial(t, s); !fifth.closed() {
		t.Error("let in as the fourth")
	}
	release()
	for _, c := range busy {
		if response, _ := c.answer("GET"); response.StatusCode != 200 {
			t.Error(response.Status)
		}
	}
}

// TestMaxConnectionsH2: connections that speak HTTP/2 count until they end, and make room when they have no request.
func TestMaxConnectionsH2(t *testing.T) {
	s := start(t, door(echo), Options{MaxConnections: 1, H2C: true})
	transports := transports(t, "127.0.0.1")
	for range 3 {
		for _, major := range []int{2, 1} {
			client := &http.Client{Transport: transports[major]}
			var failed error
			until(t, "served", func() bool { // the connection that made room may be the one that this client keeps
				response, err := client.Get("http://" + s.addr)
				if failed = err; err != nil {
					return false
				}
				response.Body.Close()
				return response.StatusCode == 200
			})
			if failed != nil {
				t.Error(failed)
			}
		}
	}
	transports[1].CloseIdleConnections()
	transports[2].CloseIdleConnections()
	until(t, "nobody is counted", func() bool { return s.connected() == 0 })
}

// TestMaxConnectionsPerSource counts clients, not proxies, and gives back what is closed.
func TestMaxConnectionsPerSource(t *testing.T) {
	s := start(t, door(echo), Options{MaxConnectionsPerSource: 2, TrustedProxies: networks("127.0.0.9/32"), H2C: true})
	one, two := from(t, s, "127.0.0.2"), from(t, s, "127.0.0.2")
	if !one.served() || !two.served() {
		t.Error("two are refused")
	}
	if from(t, s, "127.0.0.2").served() {
		t.Error("a third is let in")
	}
	if !from(t, s, "127.0.0.3").served() {
		t.Error("another client is refused")
	}
	one.Conn.Close()
	until(t, "let in again", func() bool { return from(t, s, "127.0.0.2").served() })
	for range 4 {
		if c := from(t, s, "127.0.0.9"); !c.served() {
			t.Error("a trusted proxy is refused")
		}
	}
}

// TestSourceOfHeader: behind a PROXY header the client is counted, by network when it is IPv6.
func TestSourceOfHeader(t *testing.T) {
	s := start(t, door(echo), Options{MaxConnectionsPerSource: 1, ProxyProtocol: true})
	for _, tt := range []struct {
		client string
		in     bool
	}{{"2001:db8::7", true}, {"2001:db8::8", false}, {"2001:db8:0:1::7", true}, {"::ffff:192.0.2.1", true}, {"192.0.2.2", true}, {"192.0.2.2", false}} {
		c := dial(t, s)
		family := "TCP4"
		if strings.Contains(tt.client, ":") {
			family = "TCP6"
		}
		c.say("PROXY " + family + " " + tt.client + " " + map[string]string{"TCP4": "10.0.0.1", "TCP6": "::1"}[family] + " 1 1\r\n")
		if in := c.served(); in != tt.in {
			t.Errorf("%s: let in %v", tt.client, in)
		}
	}
}

// TestFlood: many more than may be come at once; nobody who is served meanwhile is disturbed, and the counts end at zero.
func TestFlood(t *testing.T) {
	s := start(t, door(echo), Options{MaxConnections: 50})
	var all []net.Conn
	for range 400 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	until(t, "no more than may be", func() bool { return s.connected() <= 50 })
	if !dial(t, s).served() {
		t.Error("a newcomer is not served")
	}
	var open atomic.Int32
	open.Store(int32(len(all)))
	for _, c := range all {
		go func() {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				open.Add(-1)
			}
		}()
	}
	until(t, "those beyond are closed", func() bool { return open.Load() <= 50 }) // when the system has brought them all
	for _, c := range all {
		c.Close()
	}
	until(t, "nobody is counted", func() bool { return s.connected() <= 1 })
}

// TestSilent: a connection counts when it has something to say, or has been silent for a while.
func TestSilent(t *testing.T) {
	s := start(t, door(echo), Options{})
	silent := dial(t, s)
	if !dial(t, s).served() {
		t.Fatal("a later one is not served")
	}
	if s.connected() > 1 {
		t.Error("one that says nothing has come to us")
	}
	until(t, "the silent one is counted", func() bool { return s.connected() == 2 })
	if !silent.served() {
		t.Error("it is not served")
	}
}
