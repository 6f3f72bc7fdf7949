package upstream

import (
	"io"
	"net"
	"testing"
	"time"
)

// places tells what happens to a place.
type places chan string

func (p places) Yield()  { p <- "given back" }
func (p places) Resume() { p <- "taken" }

func (p places) want(t *testing.T, what string) {
	t.Helper()
	select {
	case got := <-p:
		if got != what {
			t.Fatalf("%s, want %s", got, what)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("never %s", what)
	}
}

// quiet says that nothing happens for a while.
func (p places) quiet(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case got := <-p:
		t.Fatalf("%s within %v", got, d)
	case <-time.After(d):
	}
}

// TestPlaceWhileTheClientIsWaitedFor: a wait gives the place back, its end takes it again, and so does the end of the
// exchange.
func TestPlaceWhileTheClientIsWaitedFor(t *testing.T) {
	p := make(places, 8)
	in := newInstance(t, says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	u := newUpstream(t, in.addr, Options{Place: p})
	c := open(t, u, 0)
	p.want(t, "given back") // what waits for nothing of the instance waits for the client
	received := make(chan error)
	go func() {
		_, err := c.ReceiveHead(get, 0)
		received <- err
	}()
	p.want(t, "taken")
	c.Pause() // the client owes a body meanwhile
	p.want(t, "given back")
	c.Resume()
	p.want(t, "taken")
	c.Pause()
	p.want(t, "given back")
	c.Interrupt(io.EOF)
	<-received
	c.Discard()
	p.want(t, "taken")
	exchange(t, u)
	p.quiet(t, 3*tick)
}

// TestPlaceWhileAnswersAreSilent: before its head an answer is owed however long it takes, behind it only while it moves.
func TestPlaceWhileAnswersAreSilent(t *testing.T) {
	p, next := make(places, 8), make(chan string)
	in := newInstance(t, func(_ int, c net.Conn) {
		for text := range next {
			io.WriteString(c, text)
		}
	})
	u := newUpstream(t, in.addr, Options{Place: p})
	c := open(t, u, 0)
	if err := c.Send([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	headed := make(chan error)
	go func() {
		_, err := c.ReceiveHead(get, 0)
		headed <- err
	}()
	p.quiet(t, silence+3*tick)
	next <- "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
	if err := <-headed; err != nil {
		t.Fatal(err)
	}
	received := make(chan string)
	go func() {
		for range 2 {
			piece, _ := c.Receive()
			received <- string(piece)
		}
	}()
	p.want(t, "given back")
	next <- "a"
	if got := <-received; got != "a" {
		t.Fatalf("%q", got)
	}
	p.want(t, "taken")
	p.want(t, "given back")
	next <- "b"
	if got := <-received; got != "b" {
		t.Fatalf("%q", got)
	}
	c.End(true)
	p.want(t, "taken")
	p.quiet(t, 3*tick)
	close(next)
}

// TestPlaceOfAnEventStream: given back at once, and not taken again for what moves.
func TestPlaceOfAnEventStream(t *testing.T) {
	p := make(places, 8)
	in := newInstance(t, says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	u := newUpstream(t, in.addr, Options{Place: p})
	c := open(t, u, 0)
	if err := c.Send([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	c.Yield()
	p.want(t, "given back")
	if _, err := c.ReceiveHead(get, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Receive(); err != nil {
		t.Fatal(err)
	}
	p.quiet(t, 3*tick)
	c.End(true)
	p.want(t, "taken")
	exchange(t, u) // the next one on this connection has its place from the start
	p.quiet(t, 3*tick)
}
