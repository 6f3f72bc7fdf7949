package forward

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// kestrel is an instance whose endpoint speaks HTTP/2 alone and says so, as Kestrel does, to whoever speaks HTTP/1.
type kestrel struct {
	net.Listener
	refused atomic.Int32 // requests over HTTP/1
	conns   chan net.Conn
}

func newKestrel(t *testing.T, app http.HandlerFunc) *kestrel {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &kestrel{Listener: ln, conns: make(chan net.Conn)}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: app, Protocols: protocols}
	ended := make(chan struct{})
	go func() {
		defer close(k.conns)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			k.greet(c)
		}
	}()
	go func() { defer close(ended); server.Serve(k) }()
	t.Cleanup(func() { ln.Close(); server.Close(); <-ended })
	return k
}

// greet looks which version a connection speaks.
func (k *kestrel) greet(c net.Conn) {
	r := bufio.NewReader(c)
	if first, _ := r.Peek(3); string(first) == "PRI" {
		k.conns <- peeked{c, r}
		return
	}
	k.refused.Add(1)
	if req, err := http.ReadRequest(r); err == nil {
		io.Copy(io.Discard, req.Body)
	}
	fmt.Fprintf(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(onlyH2), onlyH2)
	c.Close()
}

// Accept implements net.Listener for what speaks HTTP/2.
func (k *kestrel) Accept() (net.Conn, error) {
	if c, ok := <-k.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

func (k *kestrel) upstream(t *testing.T, opt upstream.Options) *upstream.Upstream {
	up := upstream.New("tcp", k.Addr().String(), opt)
	t.Cleanup(up.Close)
	return up
}

const secret = "s3cr3t"

// tell answers with what it has been asked.
func tell(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	w.Header().Set("X-Told", fmt.Sprintf("%s %s host=%s te=%s agent=%q forwarded=%s token=%v length=%d trailer=%v", r.Method, r.RequestURI, r.Host, r.Header.Get("Te"),
		r.Header.Values("User-Agent"), r.Header.Get("X-Forwarded-For"), r.Header.Get(tokenField) == secret, r.ContentLength, r.Trailer))
	w.Header().Set("Trailer", "Grpc-Status")
	fmt.Fprintf(w, "%d %s %v", r.ProtoMajor, body, err)
	w.Header().Set("Grpc-Status", "0")
}

func told(w *client) string {
	_, rest, _ := strings.Cut(w.fields, "X-Told: ")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

func TestH2C(t *testing.T) {
	up := newKestrel(t, tell).upstream(t, upstream.Options{H2C: true})
	large := strings.Repeat("x", 100_000)
	for _, tt := range []struct{ method, path, body, want string }{
		{"GET", "/a%2Fb?q=%20", "", `GET /a%2Fb?q=%20 host=x te=trailers agent=[] forwarded=192.0.2.1:1 token=true length=0 trailer=map[]`},
		{"GET", "//odd//path?", "", `GET //odd//path? host=x te=trailers agent=[] forwarded=192.0.2.1:1 token=true length=0 trailer=map[]`},
		{"POST", "/", "hello", `POST / host=x te=trailers agent=[] forwarded=192.0.2.1:1 token=true length=5 trailer=map[]`},
		{"PUT", "/", large, `PUT / host=x te=trailers agent=[] forwarded=192.0.2.1:1 token=true length=100000 trailer=map[]`},
	} {
		r, w := request(t, tt.method, tt.body), &client{}
		path, query, _ := strings.Cut(tt.path, "?")
		r.Path = []byte(path)
		if strings.Contains(tt.path, "?") {
			r.Query = []byte("?" + query)
		}
		r.Fields = append(r.Fields, Field{Name: []byte("TE"), Value: []byte("trailers")}, Field{Name: []byte("Connection"), Value: []byte("te, X-Gone")},
			Field{Name: []byte("X-Gone"), Value: []byte("1")})
		if err := Serve(r, w, up, Options{Token: secret, RequestTimeout: time.Minute}); err != nil {
			t.Fatal(tt.path, err)
		}
		if got := told(w); got != tt.want || w.status != 200 || w.body.String() != "2 "+tt.body+" <nil>" {
			t.Errorf("%d\n got %s\nwant %s\n%.50q", w.status, got, tt.want, w.body.String())
		}
	}
}

// TestH2COnly is found out by the first answer, and remembered. What was sent for nothing is sent again.
func TestH2COnly(t *testing.T) {
	k := newKestrel(t, tell)
	var opened atomic.Int32
	up := k.upstream(t, upstream.Options{Connected: func() { opened.Add(1) }})
	for _, body := range []string{"first", "second"} {
		w, r := &client{}, request(t, "POST", "")
		r.ContentLength, r.Body = int64(len(body)), &buffered{strings.NewReader(body)}
		if err := Serve(r, w, up, Options{}); err != nil || w.body.String() != "2 "+body+" <nil>" {
			t.Errorf("%s: %v, %d %q", body, err, w.status, w.body.String())
		}
	}
	if n := k.refused.Load(); n != 1 {
		t.Errorf("asked over HTTP/1.1 %d times, want once", n)
	}
	if n := opened.Load(); n != 2 { // one for each version
		t.Errorf("told of %d connections, want 2", n)
	}
}

// TestH2COnlyBodyGone: a body that was read already cannot be sent again; the next request is fine.
func TestH2COnlyBodyGone(t *testing.T) {
	up := newKestrel(t, tell).upstream(t, upstream.Options{})
	r := request(t, "POST", "")
	r.ContentLength, r.Body = -1, io.MultiReader(strings.NewReader("streamed"))
	if got := outcome(Serve(r, &client{}, up, Options{})); got != "malformed answer" {
		t.Error(got)
	}
	w := &client{}
	if err := Serve(request(t, "GET", ""), w, up, Options{}); err != nil || w.body.String() != "2  <nil>" {
		t.Errorf("%v, %q", err, w.body.String())
	}
}

// TestH1AnswersThatText: an application that says the same later, or something like it, is believed to speak HTTP/1.1.
func TestH1AnswersThatText(t *testing.T) {
	refusal := fmt.Sprintf("HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s", len(onlyH2), onlyH2)
	for _, answers := range [][]string{{hello, refusal}, {strings.Replace(refusal, "400", "404", 1)}} {
		up := instance(t, func(_ int, p *peer) {
			for _, a := range answers {
				p.head()
				p.say(a)
			}
			p.ended()
		})
		w := &client{}
		for range answers {
			w = &client{}
			if err := Serve(request(t, "GET", ""), w, up, Options{}); err != nil {
				t.Fatal(err)
			}
		}
		if w.body.String() != onlyH2 {
			t.Errorf("%d %q", w.status, w.body.String())
		}
	}
}

func TestH2CFailures(t *testing.T) {
	release := make(chan struct{})
	up := newKestrel(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/cut":
			w.Write([]byte("half"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		default:
			io.Copy(io.Discard, r.Body)
		}
	}).upstream(t, upstream.Options{H2C: true})
	defer close(release)
	gone, leave := context.WithCancel(t.Context())
	leave()
	for name, c := range map[string]struct {
		path string
		opt  Options
		set  func(*Request)
		want string
	}{
		"timeout":   {"/silent", Options{RequestTimeout: 100 * time.Millisecond}, nil, "timeout"},
		"cut":       {"/cut", Options{}, nil, "reset, sent"},
		"too large": {"/", Options{BodyLimit: 3}, func(r *Request) { r.ContentLength, r.Body = -1, strings.NewReader("four") }, "body too large"},
		"client":    {"/silent", Options{}, func(r *Request) { r.Context = gone }, "client gone"},
		"body ends": {"/", Options{}, func(r *Request) { r.ContentLength, r.Body = 10, failing{io.ErrUnexpectedEOF} }, "client gone"},
	} {
		r := request(t, "POST", "")
		r.Path = []byte(c.path)
		if c.set != nil {
			c.set(r)
		}
		if got := outcome(Serve(r, &client{}, up, c.opt)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	closed := upstream.New("tcp", "127.0.0.1:1", upstream.Options{H2C: true})
	if got := outcome(Serve(request(t, "GET", ""), &client{}, closed, Options{})); got != "refused" {
		t.Errorf("nobody listens: %s", got)
	}
}

// TestH2CBothWays: a call goes on in both directions at once, and its trailers come behind.
func TestH2CBothWays(t *testing.T) {
	up := newKestrel(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for lines := bufio.NewScanner(r.Body); lines.Scan(); {
			fmt.Fprintf(w, "echo %s\n", lines.Text())
			w.(http.Flusher).Flush()
		}
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}).upstream(t, upstream.Options{H2C: true})
	body, send := io.Pipe()
	r := request(t, "POST", "")
	r.ContentLength, r.Body = -1, body
	w := trailed{client: client{written: make(chan string)}}
	done := make(chan error, 1)
	go func() { done <- Serve(r, &w, up, Options{}) }()
	for _, line := range []string{"one", "two"} {
		io.WriteString(send, line+"\n")
		for got := ""; got != "echo "+line+"\n"; {
			got += <-w.written
		}
	}
	send.Close()
	if err := <-done; err != nil || !slices.Equal(w.trailers, []string{"Grpc-Status: 0"}) {
		t.Errorf("%v, %q", err, w.trailers)
	}
}

type trailed struct {
	client
	trailers []string
}

func (w *trailed) Trailer(fields []Field) {
	for _, f := range fields {
		w.trailers = append(w.trailers, fmt.Sprintf("%s: %s", f.Name, f.Value))
	}
}

// TestH2CEnding: a call that goes on when the instance is to end is cut on both sides; one that has ended is not.
func TestH2CEnding(t *testing.T) {
	gone := make(chan struct{}, 1)
	up := newKestrel(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		io.WriteString(w, "one")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/endless" {
			<-r.Context().Done()
			gone <- struct{}{}
		}
	}).upstream(t, upstream.Options{H2C: true})
	ending, end := context.WithCancel(t.Context())
	r, w := request(t, "GET", ""), &client{written: make(chan string)}
	r.Path = []byte("/endless")
	done := make(chan error, 1)
	go func() { done <- Serve(r, w, up, Options{Ending: ending}) }()
	for got := ""; got != "one"; {
		got += <-w.written
	}
	end()
	for _, wait := range []func() bool{
		func() bool { got := outcome(<-done); return got == "instance ends, sent" && w.aborted != nil },
		func() bool { <-gone; return true },
	} {
		ok := make(chan bool, 1)
		go func() { ok <- wait() }()
		select {
		case good := <-ok:
			if !good {
				t.Errorf("not cut as it should be: %v", w.aborted)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a call goes on when the instance is to end")
		}
	}
	whole := &client{}
	if err := Serve(request(t, "GET", ""), whole, up, Options{Ending: t.Context()}); err != nil || whole.aborted != nil {
		t.Errorf("a call that ends: %v", err)
	}
}
