package h2

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/ingress"
	"github.com/ancora-fleet/ancora/dataplane/route"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token    = "0123456789abcdef-pairing"
	patience = 10 * time.Second
)

// backend is an application that keeps every byte. It reads requests the strict way, so what it takes for a whole
// request is one.
type backend struct {
	address *net.TCPAddr
	stop    func()                 // waits until every connection has ended
	reply   atomic.Pointer[string] // to every request

	mu    sync.Mutex // until it has stopped
	whole []string   // each request, as it came
	cut   []string   // what was none when its connection ended
}

func newBackend(t testing.TB) *backend {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{address: ln.Addr().(*net.TCPAddr)}
	b.says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { b.serve(c) })
		}
	})
	b.stop = sync.OnceFunc(func() {
		ln.Close()
		running.Wait()
	})
	t.Cleanup(b.stop)
	return b
}

func (b *backend) says(reply string) { b.reply.Store(&reply) }

func (b *backend) serve(c net.Conn) {
	defer c.Close()
	var raw bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &raw))
	for {
		request, err := http.ReadRequest(r)
		if err == nil {
			_, err = io.Copy(io.Discard, request.Body)
		}
		b.mu.Lock()
		seen := string(raw.Next(raw.Len() - r.Buffered()))
		switch {
		case err == nil:
			b.whole = append(b.whole, seen)
		case len(seen) > 0:
			b.cut = append(b.cut, seen)
		}
		b.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := io.WriteString(c, *b.reply.Load()); err != nil {
			return
		}
	}
}

// proxy serves every host name from the back end and gives the address to talk to, in both versions of HTTP. Once it has
// stopped nothing more reaches the back end.
func proxy(t testing.TB, b *backend) (address string, stop func()) {
	return proxyTo(t, b.address.String(), upstream.Options{})
}

// proxyTo is the same for any instance.
func proxyTo(t testing.TB, instance string, opt upstream.Options) (address string, stop func()) {
	up := upstream.New("tcp", instance, opt)
	table, err := route.New([]route.Entry{{Listener: "http", Path: "/", Door: door{up}}})
	if err != nil {
		t.Fatal(err)
	}
	var current atomic.Pointer[route.Table]
	current.Store(table)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener := ingress.New("http", ln, &current, ingress.Options{H2C: true, Drain: time.Second, HeadLimit: 2 * time.Second, StallLimit: 2 * time.Second})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- listener.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		up.Close()
	})
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

// door is an application whose instance always runs.
type door struct{ up *upstream.Upstream }

func (d door) Serve(r *forward.Request, w forward.ResponseWriter) {
	err := forward.Serve(r, w, d.up, forward.Options{Token: token, RequestTimeout: 5 * time.Second})
	if failed, ok := err.(*forward.Error); ok && !failed.Sent {
		_ = w.Head(failed.Kind.Status(), nil, 0)
	}
}
