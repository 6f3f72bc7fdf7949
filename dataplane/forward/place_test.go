package forward

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// places tells what happens to a place.
type places chan string

func (p places) Yield()  { p <- "given back" }
func (p places) Resume() { p <- "taken" }

// next waits for what becomes of a place.
func (p places) next(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-p:
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	case <-time.After(10 * time.Second):
		t.Errorf("never %s", want)
	}
}

// hesitant is a client that does not take the end of an answer which was cut, until it is told to.
type hesitant struct {
	client
	aborting, takes chan struct{}
}

func (h *hesitant) Abort(err error) {
	close(h.aborting)
	<-h.takes
	h.client.Abort(err)
}

// TestNoPlaceWhileACutAnswerIsTaken: an instance that is gone owes nothing to the clients that are slow to take what it
// has said.
func TestNoPlaceWhileACutAnswerIsTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Read(make([]byte, 1024))
		_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"))
	}()
	p := make(places, 8)
	up := upstream.New("tcp", ln.Addr().String(), upstream.Options{Place: p})
	defer up.Close()
	w := &hesitant{aborting: make(chan struct{}), takes: make(chan struct{})}
	served := make(chan error)
	go func() { served <- Serve(request(t, "GET", ""), w, up, Options{}) }()
	<-w.aborting
	p.next(t, "given back")
	close(w.takes)
	if got := outcome(<-served); got != "reset, sent" {
		t.Error(got)
	}
	p.next(t, "taken")
}

// TestPlaceOverH2C: nor does an instance that speaks HTTP/2 owe anything while a client does not take its answer, or while it has
// nothing to say; and its time limit does not run for the client.
func TestPlaceOverH2C(t *testing.T) {
	goOn := make(chan struct{})
	end := sync.OnceFunc(func() { close(goOn) })
	p := make(places, 8)
	up := newKestrel(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "first ")
		http.NewResponseController(w).Flush()
		<-goOn
		io.WriteString(w, "second")
	}).upstream(t, upstream.Options{H2C: true, Place: p})
	t.Cleanup(end) // before the instance is waited for
	const limit = 5 * time.Second
	w := &client{written: make(chan string)}
	served := make(chan error, 1)
	go func() { served <- Serve(request(t, "GET", ""), w, up, Options{RequestTimeout: limit}) }()
	take := func(want string) {
		t.Helper()
		select {
		case got := <-w.written:
			if got != want {
				t.Errorf("%q, want %q", got, want)
			}
		case err := <-served:
			t.Fatal("ended early:", err)
		case <-time.After(10 * time.Second):
			t.Fatalf("never %q", want)
		}
	}
	p.next(t, "given back") // the head is not taken
	select {
	case err := <-served:
		t.Fatal("the time limit ran for the client:", err)
	case <-time.After(limit + time.Second):
	}
	take("")
	p.next(t, "taken")
	p.next(t, "given back") // nor is the first piece
	take("first ")
	p.next(t, "taken")
	p.next(t, "given back") // the instance is silent
	end()
	p.next(t, "taken")
	take("second")
	if err := <-served; err != nil {
		t.Error(err)
	}
}
