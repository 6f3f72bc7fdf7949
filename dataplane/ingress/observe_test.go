package ingress

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

// seen is what an observer keeps of a request.
type seen struct {
	Method, Path, Protocol  string
	Status, Substatus       int
	Received, Sent, Payload int64
	Aborted                 bool
}

// watched is a door whose observer passes on what it is told.
type watched struct {
	door
	begun chan struct{}
	ended chan seen
	local chan netip.AddrPort
}

func watch(d door) *watched {
	return &watched{d, make(chan struct{}, 10), make(chan seen, 10), make(chan netip.AddrPort, 10)}
}

func (w *watched) Begin(*forward.Request) { w.begun <- struct{}{} }

func (w *watched) End(x *forward.Exchange) {
	if x.Duration <= 0 {
		x.Status = -1
	}
	w.local <- x.Conn.Local()
	w.ended <- seen{string(x.Request.Method), string(x.Request.Path), x.Protocol, x.Status, x.Substatus, x.Received, x.Sent, x.Payload, x.Aborted}
}

// next gives what was told of one request, and checks that its beginning was told before.
func (w *watched) next(t *testing.T) seen {
	t.Helper()
	got := <-w.ended
	select {
	case <-w.begun:
	default:
		t.Error("the beginning was not told")
	}
	return got
}

func TestObserver(t *testing.T) {
	answer := func(f func(*forward.Request, forward.ResponseWriter)) door { return f }
	tests := []struct {
		name, request string
		door          door
		want          seen
	}{
		{"GET", "GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n", answer(func(_ *forward.Request, w forward.ResponseWriter) {
			w.Head(200, nil, 5)
			w.Write([]byte("hello"))
		}), seen{Method: "GET", Path: "/a", Protocol: "HTTP/1.1", Status: 200, Payload: 5}},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", echo, seen{Method: "GET", Path: "/", Protocol: "HTTP/1.0", Status: 200, Payload: -1}},
		{"body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", echo, seen{Method: "POST", Path: "/", Protocol: "HTTP/1.1", Status: 200, Payload: -1}},
		{"chunks", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", answer(func(r *forward.Request, w forward.ResponseWriter) {
			io.Copy(io.Discard, r.Body)
			w.Head(200, nil, -1)
			w.Write([]byte(strings.Repeat("x", 20<<10)))
			w.Write([]byte("y"))
		}), seen{Method: "POST", Path: "/", Protocol: "HTTP/1.1", Status: 200, Received: -10, Payload: 20<<10 + 1}},
		{"no answer", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", answer(func(*forward.Request, forward.ResponseWriter) {}),
			seen{Method: "GET", Path: "/", Protocol: "HTTP/1.1", Status: 500}},
		{"page", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", answer(func(_ *forward.Request, w forward.ResponseWriter) {
			w.(interface{ Substatus(int) }).Substatus(5)
			w.Head(502, nil, 0)
		}), seen{Method: "GET", Path: "/", Protocol: "HTTP/1.1", Status: 502, Substatus: 5}},
		{"abort", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", answer(func(_ *forward.Request, w forward.ResponseWriter) { w.Abort(io.EOF) }),
			seen{Method: "GET", Path: "/", Protocol: "HTTP/1.1", Aborted: true}},
		{"cut", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", answer(func(_ *forward.Request, w forward.ResponseWriter) {
			w.Head(200, nil, 10)
			w.Write([]byte("short"))
		}), seen{Method: "GET", Path: "/", Protocol: "HTTP/1.1", Status: 200, Payload: 5, Aborted: true}},
		{"upgrade", "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\r\nping",
			answer(func(r *forward.Request, w forward.ResponseWriter) {
				w.Head(101, nil, -1)
				w.Write(nil)
				io.ReadFull(r.Body, make([]byte, 4))
				w.Write([]byte("pong"))
			}), seen{Method: "GET", Path: "/", Protocol: "HTTP/1.1", Status: 101}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := watch(tt.door)
			s := start(t, w, Options{})
			c := dial(t, s)
			c.say(tt.request)
			got := w.next(t)
			tt.want.Received += int64(len(tt.request)) // but for the framing of chunks
			if tt.want.Payload < 0 {
				tt.want.Payload = got.Payload
			}
			if local := <-w.local; local.String() != s.addr {
				t.Errorf("our end is %v, want %s", local, s.addr)
			}
			c.Close()
			c2 := dial(t, s)
			c2.say(tt.request)
			// What was passed to the socket is what arrives.
			if !tt.want.Aborted && tt.want.Status != 101 {
				c2.Conn.(interface{ CloseWrite() error }).CloseWrite()
				all, err := io.ReadAll(c2)
				if err != nil {
					t.Fatal(err)
				}
				tt.want.Sent = int64(len(all))
			} else {
				tt.want.Sent = got.Sent
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestObserverH2(t *testing.T) {
	w := watch(echo)
	s := start(t, w, Options{H2C: true})
	res, err := h2Client(t).Post("http://"+s.addr+"/a", "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	n := int64(len(body))
	want := seen{Method: "POST", Path: "/a", Protocol: "HTTP/2", Status: 200, Received: 5, Sent: n, Payload: n}
	if diff := cmp.Diff(want, w.next(t)); diff != "" {
		t.Error(diff)
	}
	if local := <-w.local; local.String() != s.addr {
		t.Errorf("our end is %v, want %s", local, s.addr)
	}
	w = watch(func(*forward.Request, forward.ResponseWriter) {})
	s = start(t, w, Options{H2C: true})
	if res, err = h2Client(t).Get("http://" + s.addr); err != nil || res.StatusCode != http.StatusInternalServerError {
		t.Fatal(res, err)
	}
	res.Body.Close()
	if got := w.next(t); got.Status != 500 || got.Aborted {
		t.Errorf("%+v", got)
	}
}

// An answer to HEAD is whole with its head, and nothing of its page has been sent.
func TestObserverH2Head(t *testing.T) {
	w := watch(func(_ *forward.Request, w forward.ResponseWriter) {
		w.Head(404, nil, 5)
		w.Write([]byte("hello"))
	})
	s := start(t, w, Options{H2C: true})
	res, err := h2Client(t).Head("http://" + s.addr + "/a")
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != 404 || res.ContentLength != 5 {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	want := seen{Method: "HEAD", Path: "/a", Protocol: "HTTP/2", Status: 404}
	if diff := cmp.Diff(want, w.next(t)); diff != "" {
		t.Error(diff)
	}
}
