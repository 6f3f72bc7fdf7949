package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/socket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var get = []byte("GET")

// instance answers every head it reads with reply; the number of connections it has accepted is in accepted.
type instance struct {
	addr     netip.AddrPort
	accepted atomic.Int32
	ended    chan error // what reading from a connection ended with
}

func newInstance(t *testing.T, reply func(n int, c net.Conn)) *instance {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{addr: ln.Addr().(*net.TCPAddr).AddrPort(), ended: make(chan error, 16)}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			in.accepted.Add(1)
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for n := 1; ; n++ {
					if err := readHead(r); err != nil {
						in.ended <- err
						return
					}
					reply(n, c)
				}
			}()
		}
	}()
	return in
}

func readHead(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return err
		}
	}
}

func says(text string) func(int, net.Conn) {
	return func(_ int, c net.Conn) { io.WriteString(c, text) }
}

func open(t *testing.T, u *Upstream, timeout time.Duration) *Conn {
	t.Helper()
	c, err := u.Open(t.Context(), 0, timeout, false)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// exchange makes a whole one and returns the answer's body.
func exchange(t *testing.T, u *Upstream) string {
	t.Helper()
	c := open(t, u, 0)
	if err := c.Send([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReceiveHead(get, 0); err != nil {
		t.Fatal(err)
	}
	var body strings.Builder
	for {
		piece, err := c.Receive()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body.Write(piece)
	}
	c.End(true)
	return body.String()
}

func newUpstream(t *testing.T, addr netip.AddrPort, opt Options) *Upstream {
	u := New("tcp", addr.String(), opt)
	t.Cleanup(u.Close)
	return u
}

// TestReuse: a connection is used again only if the answer ended exactly at its framing and nobody wants it closed.
func TestReuse(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name, reply, body string
		reused            bool
	}{
		{"length", ok + "Content-Length: 2\r\n\r\nok", "ok", true},
		{"no body", ok + "Content-Length: 0\r\n\r\n", "", true},
		{"chunked", ok + "Transfer-Encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\nT: v\r\n\r\n", "ok", true},
		{"204 with a length", "HTTP/1.1 204 None\r\nContent-Length: 2\r\n\r\n", "", true},
		{"keep-alive for long", ok + "Keep-Alive: timeout=30\r\nContent-Length: 2\r\n\r\nok", "ok", true},
		{"keep-alive for a moment", ok + "Keep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"close", ok + "Connection: close\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", false},
		{"bytes behind the answer", ok + "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n", "ok", false},
		{"bytes behind a 204", "HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := newInstance(t, says(tt.reply))
			u := newUpstream(t, in.addr, Options{})
			for range 2 {
				if body := exchange(t, u); body != tt.body {
					t.Errorf("body %q, want %q", body, tt.body)
				}
			}
			if reused := in.accepted.Load() == 1; reused != tt.reused {
				t.Errorf("reused: %v, want %v", reused, tt.reused)
			}
		})
	}
}

func TestUnsentRequestIsNotReused(t *testing.T) {
	in := newInstance(t, says("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"))
	u := newUpstream(t, in.addr, Options{})
	c := open(t, u, 0)
	c.Send([]byte("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n"))
	if _, err := c.ReceiveHead(get, 0); err != nil {
		t.Fatal(err)
	}
	c.End(false)
	exchange(t, u)
	if n := in.accepted.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestUnaskedBytes: what comes while nobody has asked is not the answer to the next request.
func TestUnaskedBytes(t *testing.T) {
	direct(t)
	unasked := make(chan struct{})
	in := newInstance(t, func(n int, c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
		if n == 1 {
			<-unasked
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
		}
	})
	u := newUpstream(t, in.addr, Options{})
	exchange(t, u)
	close(unasked)
	c := resting(u)
	eventually(t, "the bytes arrive", func() bool { return !c.sock.Quiet() && u.clock()-c.idleAt >= fresh })
	if body := exchange(t, u); body != "good" || in.accepted.Load() != 2 {
		t.Errorf("%q over connection %d", body, in.accepted.Load())
	}
}

func TestIdle(t *testing.T) {
	in := newInstance(t, says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	u := newUpstream(t, in.addr, Options{Idle: 100 * time.Millisecond})
	exchange(t, u)
	if err := <-in.ended; err != io.EOF { // closed without anybody's request
		t.Error(err)
	}
}

// TestIdleAsAnnounced: an application that says how long it keeps connections is believed, also where that is longer than others do.
func TestIdleAsAnnounced(t *testing.T) {
	for said, want := range map[string]time.Duration{
		"": IdleGeneric, "timeout=5": 4 * time.Second, "timeout=2": time.Second, "timeout=31, max=9": 30 * time.Second, "timeout=3600": IdleASPNETCore,
	} {
		in := newInstance(t, says("HTTP/1.1 200 OK\r\nKeep-Alive: "+said+"\r\nContent-Length: 0\r\n\r\n"))
		u := newUpstream(t, in.addr, Options{Idle: IdleGeneric})
		exchange(t, u)
		c := open(t, u, 0)
		if !c.Reused() || c.idleLimit != want {
			t.Errorf("%q: reused %v, within %v, want %v", said, c.Reused(), c.idleLimit, want)
		}
		c.Discard()
	}
}

func TestTimeout(t *testing.T) {
	in := newInstance(t, says(""))
	u := newUpstream(t, in.addr, Options{})
	c := open(t, u, 200*time.Millisecond)
	c.Send([]byte("GET / HTTP/1.1\r\n\r\n"))
	start := time.Now()
	_, err := c.ReceiveHead(get, 0)
	c.Discard()
	if took := time.Since(start); !errors.Is(err, ErrTimeout) || took < 150*time.Millisecond || took > 2*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

// TestTimeoutIsForSilence only: an answer may take as long as it likes while bytes come.
func TestTimeoutIsForSilence(t *testing.T) {
	in := newInstance(t, func(_ int, c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n")
		for range 6 {
			<-time.After(100 * time.Millisecond)
			io.WriteString(c, "x")
		}
	})
	u := newUpstream(t, in.addr, Options{})
	c := open(t, u, 300*time.Millisecond)
	c.Send([]byte("GET / HTTP/1.1\r\n\r\n"))
	if _, err := c.ReceiveHead(get, 0); err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		piece, err := c.Receive()
		if n += len(piece); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if c.End(true); n != 6 {
		t.Errorf("%d bytes", n)
	}
}

// TestClientGone: the end of the context ends the exchange and the connection at once.
func TestClientGone(t *testing.T) {
	in := newInstance(t, says(""))
	u := newUpstream(t, in.addr, Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	c, err := u.Open(ctx, 0, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	c.Send([]byte("GET / HTTP/1.1\r\n\r\n"))
	gone := errors.New("gone")
	time.AfterFunc(100*time.Millisecond, func() { cancel(gone) })
	if _, err = c.ReceiveHead(get, 0); err != gone {
		t.Error(err)
	}
	c.Discard()
	if err := <-in.ended; err == nil {
		t.Error("the instance still has its connection")
	}
}

func TestPatience(t *testing.T) {
	release := make(chan struct{})
	in := newInstance(t, func(_ int, c net.Conn) {
		io.WriteString(c, "HTTP/1.1 2")
		<-release
		io.WriteString(c, "00 OK\r\nContent-Length: 0\r\n\r\n")
	})
	u := newUpstream(t, in.addr, Options{})
	c := open(t, u, 0)
	defer c.Discard()
	c.Send([]byte("GET / HTTP/1.1\r\n\r\n"))
	if _, err := c.ReceiveHead(get, 100*time.Millisecond); !IsPatience(err) {
		t.Fatal(err)
	}
	close(release)
	if answer, err := c.ReceiveHead(get, 0); err != nil || answer.Status != 200 {
		t.Errorf("%v, %v", answer, err)
	}
}

func TestClose(t *testing.T) {
	in := newInstance(t, says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	u := New("tcp", in.addr.String(), Options{})
	busy := open(t, u, 0)
	exchange(t, u)
	u.Close()
	if err := <-in.ended; err != io.EOF {
		t.Errorf("idle connection: %v", err)
	}
	if _, err := u.Open(t.Context(), 0, 0, false); err != ErrClosed {
		t.Errorf("Open: %v", err)
	}
	busy.Send([]byte("GET / HTTP/1.1\r\n\r\n")) // what is in flight goes on
	if _, err := busy.ReceiveHead(get, 0); err != nil {
		t.Error(err)
	}
	busy.End(true)
	if err := <-in.ended; err != io.EOF {
		t.Errorf("busy connection: %v", err)
	}
}

func TestHeads(t *testing.T) {
	tests := []struct {
		name, reply string
		status      int
		bad         bool
	}{
		{"40 KiB", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 40<<10) + "\r\nContent-Length: 0\r\n\r\n", 200, false},
		{"80 KiB", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 80<<10) + "\r\nContent-Length: 0\r\n\r\n", 0, true},
		{"nonsense", "hello\n", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := newUpstream(t, newInstance(t, says(tt.reply)).addr, Options{})
			c := open(t, u, 0)
			defer c.Discard()
			c.Send([]byte("GET / HTTP/1.1\r\n\r\n"))
			answer, err := c.ReceiveHead(get, 0)
			breach := (*h1.Error)(nil)
			if errors.As(err, &breach) != tt.bad || !tt.bad && answer.Status != tt.status {
				t.Errorf("%v, %v", answer, err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr).AddrPort()
	ln.Close()
	if c, err := newUpstream(t, addr, Options{}).Open(t.Context(), 0, 0, false); err == nil {
		c.Discard()
		t.Error("connected")
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: " + what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestEndWithTheAnswer: an instance that ends its side with an answer, without saying so, is not asked again over that
// connection, and a request that does not wait for the look at it is not lost.
func TestEndWithTheAnswer(t *testing.T) {
	direct(t)
	in := newInstance(t, func(_ int, c net.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.(*net.TCPConn).CloseWrite()
	})
	u := newUpstream(t, in.addr, Options{})
	for range 10 {
		exchange(t, u)
		if c := resting(u); c != nil {
			eventually(t, "the end is here", func() bool { return !c.sock.Quiet() && u.clock()-c.idleAt >= fresh })
		}
	}
	if n := in.accepted.Load(); n != 10 {
		t.Errorf("%d connections, want 10", n)
	}
}

// TestEndUnseen: the end of a connection whose edge was over before the request is found by the sweep.
func TestEndUnseen(t *testing.T) {
	direct(t)
	in := newInstance(t, func(n int, c net.Conn) {
		if n == 1 {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c.(*net.TCPConn).CloseWrite()
		}
	})
	u := newUpstream(t, in.addr, Options{})
	exchange(t, u)
	c := u.free.take(0)
	eventually(t, "the end is here", func() bool { return !c.sock.Quiet() })
	c.begin(t.Context(), time.Minute, true)
	c.Start([]byte("GET / HTTP/1.1\r\n\r\n"))
	u.attend()
	if _, err := c.ReceiveHead(get, 0); err != io.EOF {
		t.Error(err)
	}
	c.Discard()
}

// direct skips what needs a look at sockets past net.Conn.
func direct(t *testing.T) {
	if !socket.Direct {
		t.Skip("built with the tag netconn")
	}
}

// resting gives a connection that waits for an exchange, and leaves it there.
func resting(u *Upstream) *Conn {
	c := u.free.take(0)
	if c != nil {
		u.keep(c)
	}
	return c
}
