package ingress

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// door is an application made of a function.
type door func(*forward.Request, forward.ResponseWriter)

func (d door) Serve(r *forward.Request, w forward.ResponseWriter) { d(r, w) }

// echo tells what it was asked, and the body.
func echo(r *forward.Request, w forward.ResponseWriter) {
	var body []byte
	if r.Body != nil && !r.Upgrade {
		body, _ = io.ReadAll(r.Body)
	}
	text := fmt.Sprintf("%s %s%s base=%s host=%s body=%s", r.Method, r.Path, r.Query, r.Base, r.Host, body)
	w.Head(200, nil, int64(len(text)))
	w.Write([]byte(text))
}

type server struct {
	*Listener
	addr string
	stop context.CancelFunc
	done chan error
}

func start(t testing.TB, d forward.Door, opt Options) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, ln, d, opt)
}

func serve(t testing.TB, ln net.Listener, d forward.Door, opt Options) *server {
	t.Helper()
	table, err := route.New([]route.Entry{{Listener: "http", Path: "/", Door: d}, {Listener: "http", Hostname: "app.test", Path: "/shop", Door: d}})
	if err != nil {
		t.Fatal(err)
	}
	var current atomic.Pointer[route.Table]
	current.Store(table)
	s := &server{Listener: New("http", ln, &current, opt), addr: ln.Addr().String(), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-s.done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// wire is a client that says exactly what it is told to.
type wire struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, s *server) *wire {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return &wire{Conn: c, t: t, r: bufio.NewReader(c)}
}

func (c *wire) say(text string) { io.WriteString(c, text) }

// answer reads one answer with its body.
func (c *wire) answer(method string) (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		body = append(body, " cut: "+err.Error()...)
	}
	return res, string(body)
}

// closed reports that the connection has ended and not only gone quiet.
func (c *wire) closed() bool {
	_, err := c.r.ReadByte()
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestKeepAliveAndPipelining(t *testing.T) {
	c := dial(t, start(t, door(echo), Options{}))
	c.say("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, body := c.answer("GET"); body != "GET /1 base= host=x body=" {
		t.Error(body)
	}
	c.say("POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab\r\nPOST /3?q HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
		"2\r\nab\r\n1\r\nc\r\n0\r\n\r\nGET /shop/x HTTP/1.1\r\nHost: APP.test:80\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n")
	for _, want := range []string{"POST /2 base= host=x body=ab", "POST /3?q base= host=x body=abc", "GET /shop/x base=/shop host=APP.test:80 body="} {
		if _, body := c.answer("GET"); body != want {
			t.Errorf("%q, want %q", body, want)
		}
	}
	if !c.closed() {
		t.Error("connection left open after Connection: close")
	}
}

// TestByteByByte: a request may come in any pieces.
func TestByteByByte(t *testing.T) {
	c := dial(t, start(t, door(echo), Options{}))
	for _, b := range []byte("POST /%61/../b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n") {
		c.Write([]byte{b})
	}
	if _, body := c.answer("POST"); body != "POST /b base= host=x body=abc" {
		t.Error(body)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, door(echo), Options{})
	for sent, status := range map[string]int{
		"GET / HTTP/1.1\r\n\r\n":                                        400,
		"GET /\\ HTTP/1.1\r\nHost: x\r\n\r\n":                           400,
		"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n":                          400,
		"GET /\r\n":                                                     400,
		"\x16\x03\x01":                                                  400,
		"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n":                     400,
		"GET / HTTP/3.0\r\nHost: x\r\n\r\n":                             505,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                              505,
		"GET /" + strings.Repeat("a", 17<<10) + " HTTP/1.1\r\n":         414,
		"GET / HTTP/1.1\r\nA: " + strings.Repeat("a", 66<<10):           431,
		"GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n": 431,
	} {
		c := dial(t, s)
		c.say(sent)
		res, _ := c.answer("GET")
		if res.StatusCode != status || !res.Close || !c.closed() {
			t.Errorf("%.40q: %d, close %v; want %d", sent, res.StatusCode, res.Close, status)
		}
		if code := res.Header["X-Ancora-Error"]; !slices.Equal(code, []string{fmt.Sprint(status)}) {
			t.Errorf("%.40q: code %q, want %d", sent, code, status)
		}
	}
}

// TestLargeHead tries heads around the sizes of buffers, each before a body that has to be read in the room behind it.
func TestLargeHead(t *testing.T) {
	c := dial(t, start(t, door(echo), Options{}))
	for _, size := range []int{smallSize - roomBehind, smallSize - 1, smallSize, smallSize + 1, 60 << 10, h1.MaxHead} {
		head := "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nA: "
		head += strings.Repeat("a", size-len(head)-4) + "\r\n\r\n"
		c.say(head)
		<-time.After(20 * time.Millisecond) // the head comes alone
		c.say("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
		if _, body := c.answer("POST"); body != "POST / base= host=x body=abcde" {
			t.Errorf("%d: %q", size, body)
		}
	}
}

// TestRefusalWhileSending: a client that has more to say is listened to for a while, so that no reset takes the answer
// away from it.
func TestRefusalWhileSending(t *testing.T) {
	c := dial(t, start(t, door(echo), Options{}))
	c.say("GET / HTTP/1.1\r\n\r\n")
	if res, _ := c.answer("GET"); res.StatusCode != 400 {
		t.Error(res.Status)
	}
	for range 4 {
		if _, err := c.Write(make([]byte, 64<<10)); err != nil {
			t.Error(err)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestNotFound(t *testing.T) {
	s := start(t, door(echo), Options{})
	c := dial(t, s)
	c.say("GET /other HTTP/1.1\r\nHost: app.test\r\n\r\nGET /shop HTTP/1.1\r\nHost: app.test\r\n\r\n")
	if res, body := c.answer("GET"); res.StatusCode != 404 || body != "404 Not Found\n" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
	if res, _ := c.answer("GET"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

// TestFraming: each kind of answer ends in a way that its client understands.
func TestFraming(t *testing.T) {
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		var status int
		var length int64
		fmt.Sscanf(string(r.Path), "/%d/%d", &status, &length)
		if w.Head(status, []forward.Field{{Name: []byte("A"), Value: []byte("b")}}, length) == nil {
			w.Write([]byte("he"))
			w.Write([]byte("llo"))
		}
	}), Options{})
	tests := []struct{ request, want string }{
		{"GET /200/5 HTTP/1.1", "HTTP/1.1 200 OK|A: b|Content-Length: 5||hello"},
		{"GET /200/-1 HTTP/1.1", "HTTP/1.1 200 OK|A: b|Transfer-Encoding: chunked||2|he|3|llo|0||"},
		{"GET /200/-1 HTTP/1.0", "HTTP/1.1 200 OK|A: b|Connection: close||hello"},
		{"GET /200/5 HTTP/1.0", "HTTP/1.1 200 OK|A: b|Content-Length: 5|Connection: close||hello"},
		{"GET /200/5 HTTP/1.0|Connection: keep-alive", "HTTP/1.1 200 OK|A: b|Content-Length: 5|Connection: keep-alive||hello"},
		{"HEAD /200/5 HTTP/1.1", "HTTP/1.1 200 OK|A: b|Content-Length: 5||"},
		{"HEAD /200/-1 HTTP/1.1", "HTTP/1.1 200 OK|A: b||"},
		{"GET /204/5 HTTP/1.1", "HTTP/1.1 204 No Content|A: b||"},
		{"GET /304/5 HTTP/1.1", "HTTP/1.1 304 Not Modified|A: b|Content-Length: 5||"},
		{"GET /304/-1 HTTP/1.1", "HTTP/1.1 304 Not Modified|A: b||"},
		{"GET /799/5 HTTP/1.1", "HTTP/1.1 799 |A: b|Content-Length: 5||hello"},
		{"GET /200/3 HTTP/1.1", "HTTP/1.1 200 OK|A: b|Content-Length: 3||he"},    // too much: cut
		{"GET /200/9 HTTP/1.1", "HTTP/1.1 200 OK|A: b|Content-Length: 9||hello"}, // too little: cut
	}
	for _, tt := range tests {
		c := dial(t, s)
		c.say(strings.ReplaceAll(tt.request, "|", "\r\n") + "\r\nHost: x\r\n\r\n")
		c.Conn.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(c.r)
		var lines []string
		for line := range strings.SplitSeq(string(got), "\r\n") {
			if !strings.HasPrefix(line, "Date: ") {
				lines = append(lines, line)
			}
		}
		if s := strings.Join(lines, "|"); s != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.request, s, tt.want)
		}
	}
}

func TestDate(t *testing.T) {
	c := dial(t, start(t, door(echo), Options{}))
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	res, _ := c.answer("GET")
	date, err := http.ParseTime(res.Header.Get("Date"))
	if age := time.Since(date); err != nil || age < -time.Second || age > 5*time.Second || len(res.Header["Date"]) != 1 {
		t.Errorf("%q, %v", res.Header["Date"], err)
	}
}

// TestUnreadBody: an answer before the body has come ends the connection, and what the client still sends is no
// request.
func TestUnreadBody(t *testing.T) {
	asked := make(chan string, 4)
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		asked <- string(r.Path)
		w.Head(413, nil, 0)
	}), Options{})
	c := dial(t, s)
	c.say("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
	if res, _ := c.answer("POST"); res.StatusCode != 413 || !res.Close {
		t.Errorf("%d, close %v", res.StatusCode, res.Close)
	}
	if !c.closed() || len(asked) != 1 {
		t.Errorf("closed, %d requests", len(asked))
	}
}

func TestExpect(t *testing.T) {
	for _, reads := range []bool{true, false} {
		s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
			if reads {
				io.ReadAll(r.Body)
			}
			w.Head(200, nil, 0)
		}), Options{})
		c := dial(t, s)
		c.say("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
		res, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if reads {
			if res.StatusCode != 100 {
				t.Fatal(res.Status)
			}
			c.say("ab")
			res, _ = c.answer("POST")
		}
		if res.StatusCode != 200 || res.Close == reads {
			t.Errorf("reads %v: %d, close %v", reads, res.StatusCode, res.Close)
		}
	}
}

func TestBrokenChunks(t *testing.T) {
	failed := make(chan error, 1)
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		_, err := io.ReadAll(r.Body)
		failed <- err
		w.Head(400, nil, 0)
	}), Options{})
	c := dial(t, s)
	c.say("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
	if res, _ := c.answer("POST"); res.StatusCode != 400 || !res.Close || !c.closed() {
		t.Errorf("%d, close %v", res.StatusCode, res.Close)
	}
	if err := <-failed; err == nil {
		t.Error("the body had no error")
	}
}

// TestAbort: an answer that was cut looks cut, also where only the end of the connection ends it.
func TestAbort(t *testing.T) {
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		w.Head(200, nil, -1)
		w.Write([]byte("he"))
		w.Abort(io.ErrUnexpectedEOF)
		if _, err := w.Write([]byte("llo")); err == nil {
			t.Error("bytes after Abort")
		}
	}), Options{})
	for _, version := range []string{"1.1", "1.0"} {
		c := dial(t, s)
		c.say("GET / HTTP/" + version + "\r\nHost: x\r\n\r\n")
		if _, body := c.answer("GET"); !strings.Contains(body, "cut") {
			t.Errorf("%s: %q", version, body)
		}
	}
}

// TestClientLeaves: the request's context ends while the application thinks, also if the client has sent more.
func TestClientLeaves(t *testing.T) {
	for _, ahead := range []string{"", "GET /ahead HTTP/1.1\r\nHost: x\r\n\r\n"} {
		asked, left := make(chan struct{}), make(chan error, 1)
		s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
			close(asked)
			select {
			case <-r.Context.Done():
				left <- r.Context.Err()
			case <-time.After(5 * time.Second):
				left <- errors.New("nobody noticed")
			}
		}), Options{})
		c := dial(t, s)
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n" + ahead)
		<-asked
		c.Close()
		if err := <-left; err != context.Canceled {
			t.Errorf("ahead %q: %v", ahead, err)
		}
	}
}

func TestUpgrade(t *testing.T) {
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		w.Head(101, nil, -1)
		w.Write([]byte("hello "))
		io.Copy(writeOnly{w}, r.Body)
	}), Options{})
	c := dial(t, s)
	c.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly ")
	if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 101 || res.Header.Get("Upgrade") != "websocket" || res.Header.Get("Connection") != "Upgrade" {
		t.Fatalf("%v, %v", res, err)
	}
	c.say("late")
	c.Conn.(*net.TCPConn).CloseWrite()
	if got, _ := io.ReadAll(c.r); string(got) != "hello early late" {
		t.Errorf("%q", got)
	}
}

type writeOnly struct{ io.Writer }

// TestEndWithTheRequest: a client that ends its side with its request gets the answer, and the end of the connection.
func TestEndWithTheRequest(t *testing.T) {
	s := start(t, door(echo), Options{})
	for range 20 {
		c := dial(t, s)
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.Conn.(*net.TCPConn).CloseWrite()
		if _, body := c.answer("GET"); !strings.HasPrefix(body, "GET / ") {
			t.Fatal(body)
		}
		if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil {
			t.Fatalf("%q, %v", rest, err)
		}
	}
}
