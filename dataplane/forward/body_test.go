package forward

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

func TestBodies(t *testing.T) {
	large := strings.Repeat("0123456789", 10_000)
	up := instance(t, func(_ int, p *peer) {
		for {
			head := p.head()
			if head == "" {
				return
			}
			var body string
			if strings.Contains(head, "chunked") {
				body = dechunk(p.r)
			} else {
				body = p.body(len(large))
			}
			p.say(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		}
	})
	for _, length := range []int64{int64(len(large)), -1} {
		r := request(t, "POST", large)
		r.ContentLength = length
		var w client
		if err := Serve(r, &w, up, Options{}); err != nil || w.body.String() != large {
			t.Errorf("length %d: %v, %d bytes", length, err, w.body.Len())
		}
	}
}

func dechunk(r *bufio.Reader) string {
	var c h1.Chunks
	var body strings.Builder
	for !c.Done() {
		b, err := r.ReadByte()
		if err != nil {
			return "error: " + err.Error()
		}
		piece, _, err := c.Next([]byte{b})
		if err != nil {
			return "error: " + err.Error()
		}
		body.Write(piece)
	}
	return body.String()
}

func TestBodyLimit(t *testing.T) {
	up := instance(t, func(_ int, p *peer) {
		p.head()
		p.ended()
	})
	for _, length := range []int64{11, -1} {
		r := request(t, "POST", "hello world")
		r.ContentLength = length
		if got := outcome(Serve(r, &client{}, up, Options{BodyLimit: 10})); got != "body too large" {
			t.Errorf("length %d: %s", length, got)
		}
	}
	r := request(t, "POST", "x")
	r.ContentLength = DefaultBodyLimit + 1
	if got := outcome(Serve(r, &client{}, up, Options{})); got != "body too large" {
		t.Errorf("default: %s", got)
	}
}

// TestBodyLimitAtItsEdges: no body at all, and any.
func TestBodyLimitAtItsEdges(t *testing.T) {
	up := instance(t, func(_ int, p *peer) {
		for head := p.head(); head != ""; head = p.head() {
			if strings.Contains(head, "chunked") {
				dechunk(p.r)
			} else if strings.Contains(head, fmt.Sprint(DefaultBodyLimit+1)) {
				io.CopyN(io.Discard, p.r, DefaultBodyLimit+1)
			}
			p.say(hello)
		}
	})
	for _, tt := range []struct {
		limit, length int64
		body, want    string
	}{
		{NoBody, 0, "", "ok"}, {NoBody, -1, "", "ok"}, {NoBody, 1, "x", "body too large"}, {NoBody, -1, "x", "body too large"},
		{Unlimited, DefaultBodyLimit + 1, strings.Repeat("x", DefaultBodyLimit+1), "ok"},
	} {
		r := request(t, "POST", "")
		r.ContentLength = tt.length
		if tt.length != 0 {
			r.Body = strings.NewReader(tt.body)
		}
		if got := outcome(Serve(r, &client{}, up, Options{BodyLimit: tt.limit})); got != tt.want {
			t.Errorf("limit %d, length %d, %d bytes: %s, want %s", tt.limit, tt.length, len(tt.body), got, tt.want)
		}
	}
}

// TestOwnRefusal: an application's own 413 in the middle of a body, with the end of its connection, reaches the client.
func TestOwnRefusal(t *testing.T) {
	up := instance(t, func(_ int, p *peer) {
		p.head()
		p.body(10)
		p.say("HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
		// A close with bytes unread would be a reset, and may take the answer with it.
		p.Conn.(*net.TCPConn).CloseWrite()
		p.ended()
	})
	r := request(t, "POST", strings.Repeat("x", 10_000_000))
	var w client
	if err := Serve(r, &w, up, Options{}); err != nil || w.status != 413 || w.body.String() != "no" {
		t.Errorf("%v, %d %q", err, w.status, w.body.String())
	}
}

func TestBrokenBody(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{{&h1.Error{Status: 400, Text: "bad chunk"}, "malformed body"}, {io.ErrUnexpectedEOF, "client gone"}} {
		up := instance(t, func(_ int, p *peer) {
			p.head()
			p.ended()
		})
		r := request(t, "POST", "")
		r.Body, r.ContentLength = io.MultiReader(strings.NewReader("hello"), failing{tt.err}), -1
		if got := outcome(Serve(r, &client{}, up, Options{})); got != tt.want {
			t.Errorf("%v: %s", tt.err, got)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestEarlyAnswer: an application may answer, and stop reading, long before a body has ended. The client gets the
// answer, its body is not waited for, and the connection is not used again.
func TestEarlyAnswer(t *testing.T) {
	up := instance(t, func(n int, p *peer) {
		p.head()
		p.say("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
		p.ended()
	})
	body := newSlowBody()
	r := request(t, "POST", "")
	r.Body, r.ContentLength = body, 1_000_000
	var w client
	if err := Serve(r, &w, up, Options{}); err != nil || w.status != 401 || w.body.String() != "no" {
		t.Errorf("%v, %d %q", err, w.status, w.body.String())
	}
	select {
	case <-body.closed:
	default:
		t.Error("the body is still waited for")
	}
}

// slowBody never gives a byte; Close ends a Read.
type slowBody struct {
	closed chan struct{}
	once   sync.Once
}

func newSlowBody() *slowBody { return &slowBody{closed: make(chan struct{})} }

func (b *slowBody) Read([]byte) (int, error) {
	<-b.closed
	return 0, errors.New("closed")
}

func (b *slowBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

// TestExpect: the body is asked for when the application asks for it, when it takes too long to, and not at all when it
// has answered without it.
func TestExpect(t *testing.T) {
	tests := []struct{ name, before, after, status string }{
		{"asked for", "HTTP/1.1 100 Continue\r\n\r\n", hello, "200"},
		{"not asked for", "", hello, "200"},
		{"answered", "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", "", "417"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			heads := make(chan string, 1)
			up := instance(t, func(_ int, p *peer) {
				heads <- p.head()
				if p.say(tt.before); tt.after == "" {
					p.ended()
				} else if p.body(4) == "body" {
					p.say(tt.after)
				}
			})
			r := request(t, "POST", "body")
			r.Expect100 = true
			var w client
			if err := Serve(r, &w, up, Options{}); err != nil || fmt.Sprint(w.status) != tt.status {
				t.Errorf("%v, %d", err, w.status)
			}
			if head := <-heads; !strings.Contains(head, "\r\nExpect: 100-continue\r\n") {
				t.Errorf("head %q", head)
			}
			if left := r.Body.(*strings.Reader).Len(); (left > 0) != (tt.after == "") {
				t.Errorf("%d bytes left", left)
			}
		})
	}
}
