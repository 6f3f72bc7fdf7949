package forward

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// instance runs script for each connection, with the number of the connection from 1.
func instance(t *testing.T, script func(n int, c *peer)) *upstream.Upstream {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for n := 1; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(10 * time.Second))
			running.Go(func() {
				defer c.Close()
				script(n, &peer{Conn: c, r: bufio.NewReader(c)})
			})
		}
	})
	up := upstream.New("tcp", ln.Addr().String(), upstream.Options{})
	t.Cleanup(func() {
		up.Close()
		ln.Close()
		running.Wait()
	})
	return up
}

// peer is the application's end of a connection.
type peer struct {
	net.Conn
	r *bufio.Reader
}

// head reads a request head; it is empty when the connection has ended.
func (p *peer) head() string {
	var b strings.Builder
	for {
		line, err := p.r.ReadString('\n')
		if b.WriteString(line); err != nil {
			return ""
		}
		if line == "\r\n" {
			return b.String()
		}
	}
}

func (p *peer) body(n int) string {
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return "error: " + err.Error()
	}
	return string(b)
}

func (p *peer) say(text string) { io.WriteString(p, text) }

// ended waits for the end of the connection.
func (p *peer) ended() bool {
	_, err := io.Copy(io.Discard, p.r)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

const hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: Kestrel\r\n\r\nhello"

// client is a ResponseWriter that keeps what it gets.
type client struct {
	mu      sync.Mutex
	status  int
	fields  string
	length  int64
	body    strings.Builder
	aborted error
	written chan string // when set, gets every piece
	interim string      // informational heads
	fail    error       // what Write returns
}

func (c *client) Head(status int, fields []Field, length int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status != 0 {
		return errors.New("second head")
	}
	if status < 200 && status != 101 {
		c.interim += fmt.Sprintf("%d", status)
		for _, f := range fields {
			c.interim += fmt.Sprintf(" %s: %s", f.Name, f.Value)
		}
		c.interim += "\n"
		return nil
	}
	for _, f := range fields {
		c.fields += fmt.Sprintf("%s: %s\n", f.Name, f.Value)
	}
	c.status, c.length = status, length
	return nil
}

func (c *client) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status == 0 {
		return 0, errors.New("no head")
	}
	c.body.Write(p)
	if c.written != nil {
		c.written <- string(p)
	}
	return len(p), c.fail
}

func (c *client) Abort(err error) { c.aborted = err }

func request(t *testing.T, method, body string) *Request {
	r := &Request{Method: []byte(method), Path: []byte("/"), Host: []byte("x"), Client: netip.MustParseAddrPort("192.0.2.1:1"), Context: t.Context()}
	if body != "" {
		r.Body, r.ContentLength = strings.NewReader(body), int64(len(body))
	}
	return r
}

// outcome is the kind of an error, and whether something had been sent.
func outcome(err error) string {
	var failed *Error
	switch {
	case err == nil:
		return "ok"
	case !errors.As(err, &failed):
		return "no *Error: " + err.Error()
	case failed.Sent:
		return failed.Kind.String() + ", sent"
	}
	return failed.Kind.String()
}

func TestAnswer(t *testing.T) {
	up := instance(t, func(_ int, p *peer) {
		for p.head() != "" {
			p.say("HTTP/1.1 103 Early\r\nLink: a\r\n\r\n" + hello)
		}
	})
	for range 3 {
		var w client
		if err := Serve(request(t, "GET", ""), &w, up, Options{}); err != nil {
			t.Fatal(err)
		}
		if w.status != 200 || w.body.String() != "hello" || w.fields != "Server: Kestrel\n" || w.length != 5 {
			t.Errorf("%d %q %q %d", w.status, w.body.String(), w.fields, w.length)
		}
	}
}

// TestNominatedAnswer: what an answer's Connection fields name is about our connection to the instance, however many there are
// (RFC 9110 7.6.1); the names that say something of the connection itself name no field.
func TestNominatedAnswer(t *testing.T) {
	for options, want := range map[string]string{
		"keep-alive":                        "Server: a\nX-A: 1\nX-B: 2\n",
		"close, X-C":                        "Server: a\nX-A: 1\nX-B: 2\n",
		"x-a":                               "Server: a\nX-B: 2\n",
		"close,,x-a ,\tX-B":                 "Server: a\n",
		"a\nb\nc\nd\nX-B":                   "Server: a\nX-A: 1\n",
		"server, x-ancora-error, x-b, x-ab": "X-A: 1\n",
	} {
		up := instance(t, func(_ int, p *peer) {
			p.head()
			connection := "Connection: " + strings.ReplaceAll(options, "\n", "\r\nConnection: ")
			p.say("HTTP/1.1 200 OK\r\nServer: a\r\nX-A: 1\r\n" + connection + "\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n")
			p.ended()
		})
		var w client
		if err := Serve(request(t, "GET", ""), &w, up, Options{}); err != nil || w.fields != want {
			t.Errorf("%q: %v\n got %q\nwant %q", options, err, w.fields, want)
		}
	}
}

// TestErrors maps what an instance can do wrong to kinds (ERR-5 to ERR-7, FWD-26).
func TestErrors(t *testing.T) {
	tests := []struct{ name, reply, want, body string }{
		{"nothing", "", "reset", ""},
		{"half a head", "HTTP/1.1 200 OK\r\nConte", "reset", ""},
		{"no head", "hello\n", "malformed answer", ""},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "malformed answer", ""},
		{"bad first chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed answer", ""},
		{"101 nobody asked for", "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "malformed answer", ""},
		{"too many interim answers", strings.Repeat("HTTP/1.1 102 Wait\r\n\r\n", maxInterim+1) + hello, "malformed answer", ""},
		{"as many interim answers as may be", strings.Repeat("HTTP/1.1 102 Wait\r\n\r\n", maxInterim) + hello, "ok", "hello"},
		{"too many times 100", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxInterim+1) + hello, "malformed answer", ""},
		{"short body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "reset, sent", "hel"},
		{"short chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", "reset, sent", "hel"},
		{"bad second chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n-1\r\n", "malformed answer, sent", "hel"},
		{"body until the end", "HTTP/1.0 200 OK\r\n\r\nhello", "ok", "hello"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := instance(t, func(_ int, p *peer) {
				p.head()
				p.say(tt.reply)
			})
			var w client
			err := Serve(request(t, "GET", ""), &w, up, Options{})
			if got := outcome(err); got != tt.want || w.body.String() != tt.body {
				t.Errorf("%s (%v), body %q; want %s, %q", got, err, w.body.String(), tt.want, tt.body)
			}
			if aborted := w.aborted != nil; aborted != strings.HasSuffix(tt.want, "sent") {
				t.Errorf("aborted: %v", aborted)
			}
		})
	}
}

func TestRefusedAndClosed(t *testing.T) {
	up := upstream.New("tcp", "127.0.0.1:1", upstream.Options{})
	if got := outcome(Serve(request(t, "GET", ""), &client{}, up, Options{})); got != "refused" {
		t.Error(got)
	}
	up.Close()
	if got := outcome(Serve(request(t, "GET", ""), &client{}, up, Options{})); got != "refused" {
		t.Error(got)
	}
}

func TestRequestTimeout(t *testing.T) {
	up := instance(t, func(_ int, p *peer) {
		p.head()
		p.ended()
	})
	if got := outcome(Serve(request(t, "GET", ""), &client{}, up, Options{RequestTimeout: 150 * time.Millisecond})); got != "timeout" {
		t.Error(got)
	}
}

// TestRequestTimeoutIsForTheInstance: a client that takes its time with its body, or with its answer, does not count.
func TestRequestTimeoutIsForTheInstance(t *testing.T) {
	up := instance(t, func(_ int, p *peer) {
		p.head()
		p.body(2)
		p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
		p.say("llo")
	})
	r := request(t, "POST", "")
	body, send := io.Pipe()
	r.Body, r.ContentLength = body, 2
	w := client{written: make(chan string)}
	go func() {
		for range 2 {
			<-time.After(300 * time.Millisecond)
			io.WriteString(send, "x")
		}
		<-time.After(300 * time.Millisecond)
		for range w.written {
			<-time.After(200 * time.Millisecond)
		}
	}()
	if err := Serve(r, &w, up, Options{RequestTimeout: 150 * time.Millisecond}); err != nil || w.body.String() != "hello" {
		t.Errorf("%v, %q", err, w.body.String())
	}
	close(w.written)
}

// TestClientGone: the instance loses its connection when the client leaves (ERR-22: at once, unlike ANCM).
func TestClientGone(t *testing.T) {
	ended := make(chan bool, 1)
	asked := make(chan struct{})
	up := instance(t, func(_ int, p *peer) {
		p.head()
		close(asked)
		ended <- p.ended()
	})
	ctx, cancel := context.WithCancel(t.Context())
	r := request(t, "GET", "")
	r.Context = ctx
	go func() { <-asked; cancel() }()
	if got := outcome(Serve(r, &client{}, up, Options{})); got != "client gone" {
		t.Error(got)
	}
	if !<-ended {
		t.Error("the instance still has its connection")
	}
}

func TestClientDoesNotTakeTheAnswer(t *testing.T) {
	up := instance(t, func(_ int, p *peer) {
		p.head()
		p.say(hello)
		p.ended()
	})
	w := client{fail: errors.New("broken pipe")}
	if got := outcome(Serve(request(t, "GET", ""), &w, up, Options{})); got != "client gone, sent" {
		t.Error(got)
	}
}

// TestRetry: only an idempotent request is sent again, once, when a connection that had been used before died without a
// byte (ERR-20).
func TestRetry(t *testing.T) {
	tests := []struct {
		name, method, body, dying string
		want                      string
	}{
		{"GET", "GET", "", "", "ok"},
		{"PUT with a small body", "PUT", "body", "", "ok"},
		{"POST", "POST", "", "", "reset"},
		{"after a byte", "GET", "", "H", "reset"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bodies := make(chan string, 2)
			up := instance(t, func(n int, p *peer) {
				if n == 1 {
					p.head()
					p.say(hello)
				}
				p.head()
				if bodies <- p.body(len(tt.body)); n == 1 {
					p.say(tt.dying)
					return
				}
				p.say(hello)
			})
			if err := Serve(request(t, "GET", ""), &client{}, up, Options{}); err != nil {
				t.Fatal(err)
			}
			r := request(t, tt.method, "")
			if tt.body != "" {
				r.Body, r.ContentLength = &buffered{strings.NewReader(tt.body)}, int64(len(tt.body))
			}
			var w client
			if got := outcome(Serve(r, &w, up, Options{})); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if first := <-bodies; tt.want == "ok" {
				if second := <-bodies; first != tt.body || second != tt.body {
					t.Errorf("bodies %q and %q", first, second)
				}
			}
		})
	}
}

// buffered is a body that is here already, as ingress has them.
type buffered struct{ *strings.Reader }

func (b *buffered) Buffered() int { return b.Len() }

func TestNoRetryOnAFreshConnection(t *testing.T) {
	up := instance(t, func(n int, p *peer) {
		if p.head(); n > 1 {
			p.say(hello)
		}
	})
	if got := outcome(Serve(request(t, "GET", ""), &client{}, up, Options{})); got != "reset" {
		t.Error(got)
	}
}

// TestStreaming: a piece reaches the client before the next one exists, and so does a head without any.
func TestStreaming(t *testing.T) {
	next := make(chan string)
	up := instance(t, func(_ int, p *peer) {
		p.head()
		p.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
		for piece := range next {
			p.say(piece)
		}
	})
	w := client{written: make(chan string)}
	done := make(chan error)
	go func() { done <- Serve(request(t, "GET", ""), &w, up, Options{}) }()
	if got := <-w.written; got != "" {
		t.Errorf("%q before the first event", got)
	}
	for _, event := range []string{"data: 1\n\n", "data: 2\n\n"} {
		next <- event
		for got := ""; got != event; {
			got += <-w.written
		}
		// a write without bytes is how the head, or what was held back, is pushed out before waiting again
		if got := <-w.written; got != "" {
			t.Errorf("%q after an event", got)
		}
	}
	close(next)
	if err := <-done; err != nil {
		t.Error(err)
	}
}
