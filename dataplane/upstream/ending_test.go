package upstream

import (
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// TestEndingCutsBodies: an answer whose body still comes when the instance is to end is cut, however it is framed, and not taken
// for one that has ended. The instance has its connection closed although nobody has left the exchange yet.
func TestEndingCutsBodies(t *testing.T) {
	for name, head := range map[string]string{
		"chunked": "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "length": "Content-Length: 100\r\n\r\nhello", "until close": "\r\nhello",
		"long": "Content-Length: 100000000\r\n\r\nhello",
	} {
		for _, when := range []string{"while the body is waited for", "before the request", "while the client is waited for"} {
			ending, end := context.WithCancel(t.Context())
			in := newInstance(t, says("HTTP/1.1 200 OK\r\n"+head))
			u := newUpstream(t, in.addr, Options{Ending: ending})
			if when == "before the request" {
				end()
			}
			c := open(t, u, 5*time.Second) // or a cut that does not come would be waited for without end
			if err := c.Send([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
			if _, err := c.ReceiveHead(get, 0); err != nil {
				t.Fatalf("%s, %s: %v", name, when, err)
			}
			if when == "while the client is waited for" {
				c.Pause()
				end()
				in.heard(t, name+", "+when)
				c.Resume()
			}
			time.AfterFunc(3*tick, end)
			var got string
			var err error
			for err == nil {
				var piece []byte
				piece, err = c.Receive()
				got += string(piece)
			}
			if got != "hello" || err != ErrEnding {
				t.Errorf("%s, %s: %q, %v", name, when, got, err)
			}
			if when != "while the client is waited for" {
				in.heard(t, name+", "+when)
			}
			c.Discard()
		}
	}
}

// heard waits until the instance has seen the end of its connection.
func (in *instance) heard(t *testing.T, what string) {
	t.Helper()
	select {
	case <-in.ended:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: the instance still has its connection", what)
	}
}

// TestEndingSpares: what has no body yet may still get its answer, and what is raw says goodbye by itself.
func TestEndingSpares(t *testing.T) {
	ending, end := context.WithCancel(t.Context())
	next := make(chan string)
	in := newInstance(t, func(_ int, c net.Conn) {
		for text := range next {
			io.WriteString(c, text)
		}
	})
	u := newUpstream(t, in.addr, Options{Ending: ending})
	c := open(t, u, 0)
	if err := c.Send([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	end()
	time.AfterFunc(6*tick, func() { next <- "HTTP/1.1 101 Switching Protocols\r\n\r\n" })
	if _, err := c.ReceiveHead(get, 0); err != nil {
		t.Fatalf("a late head: %v", err)
	}
	c.Raw()
	time.AfterFunc(6*tick, func() { next <- "raw"; close(next) })
	if piece, err := c.Receive(); string(piece) != "raw" || err != nil {
		t.Errorf("raw: %q, %v", piece, err)
	}
	c.Discard()
}
