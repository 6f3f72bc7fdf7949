package ingress

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

func TestHeadLimit(t *testing.T) {
	s := start(t, door(echo), Options{HeadLimit: 100 * time.Millisecond})
	c := dial(t, s)
	c.say("GET / HTTP/1.1\r\nHo")
	if res, _ := c.answer("GET"); res.StatusCode != 408 || !c.closed() {
		t.Error(res.Status)
	}
}

func TestIdleLimit(t *testing.T) {
	s := start(t, door(echo), Options{IdleLimit: 100 * time.Millisecond, H2C: true})
	used, fresh, half := dial(t, s), dial(t, s), dial(t, s)
	used.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	used.answer("GET")
	half.say(preface[:7])
	for name, c := range map[string]*wire{"used": used, "fresh": fresh, "half a preface": half} {
		if !c.closed() {
			t.Errorf("%s: still open", name)
		}
	}
}

// TestStallLimit: a client that stops in the middle of its body, or takes nothing of its answer, is cut off.
func TestStallLimit(t *testing.T) {
	done := make(chan error, 1)
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		if r.Body != nil {
			_, err := io.ReadAll(r.Body)
			done <- err
			return
		}
		w.Head(200, nil, -1)
		for err := error(nil); ; {
			if _, err = w.Write(make([]byte, 64<<10)); err != nil {
				done <- err
				return
			}
		}
	}), Options{StallLimit: 150 * time.Millisecond})
	for _, sent := range []string{"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
		dial(t, s).say(sent)
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%.10q: no error", sent)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%.10q: still waiting", sent)
		}
	}
}

// TestDrain: what is in flight is answered, with the announcement that the connection closes; idle connections are
// closed; nobody gets in any more.
func TestDrain(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		if string(r.Path) == "/slow" {
			close(asked)
			<-release
		}
		echo(r, w)
	}), Options{})
	busy, idle := dial(t, s), dial(t, s)
	idle.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if res, _ := idle.answer("GET"); res.Close {
		t.Error("closed without a reason")
	}
	busy.say("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
	<-asked
	s.stop()
	if !idle.closed() {
		t.Error("idle connection left open")
	}
	if c, err := net.Dial("tcp", s.addr); err == nil {
		c.Close()
		t.Error("still accepts")
	}
	close(release)
	if res, body := busy.answer("GET"); !res.Close || !strings.HasPrefix(body, "GET /slow") {
		t.Errorf("close %v, %q", res.Close, body)
	}
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	s.done <- nil
}

// TestDrainAnnounces: a connection that is used while draining gets its answer and the announcement.
func TestDrainAnnounces(t *testing.T) {
	s := start(t, door(echo), Options{})
	c := dial(t, s)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	c.answer("GET")
	s.draining.Store(true)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if res, _ := c.answer("GET"); !res.Close || !c.closed() {
		t.Error("no announcement")
	}
}

func TestDrainLimit(t *testing.T) {
	asked := make(chan struct{})
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		close(asked)
		<-r.Context.Done()
	}), Options{Drain: 100 * time.Millisecond})
	c := dial(t, s)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-asked
	s.stop()
	// It may be told a status before it is cut.
	if _, err := io.Copy(io.Discard, c.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("still open")
	}
}

// TestSilentWebSocket: no limit but the peers' own holds for a tunnel.
func TestSilentWebSocket(t *testing.T) {
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		w.Head(101, nil, -1)
		w.Write(nil)
		io.Copy(writeOnly{w}, r.Body)
	}), Options{StallLimit: 100 * time.Millisecond, HeadLimit: 100 * time.Millisecond, IdleLimit: 100 * time.Millisecond})
	c := dial(t, s)
	c.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	http.ReadResponse(c.r, nil)
	<-time.After(400 * time.Millisecond)
	c.say("hello")
	if got, err := c.r.Peek(5); string(got) != "hello" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestFromFile: a socket that came as a file serves, and its connections notice dead peers.
func TestFromFile(t *testing.T) {
	var plain net.ListenConfig
	plain.SetMultipathTCP(false)
	first, err := plain.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	file, err := first.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ln, err := FromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	release := make(chan struct{})
	s := serve(t, ln, door(func(r *forward.Request, w forward.ResponseWriter) {
		close(asked)
		<-release
		echo(r, w)
	}), Options{})
	c := dial(t, s)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-asked
	s.mu.Lock()
	for accepted := range s.conns {
		accepted.sock.Control(func(fd uintptr) {
			alive, _ := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
			limit, _ := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
			if alive != 1 || limit != 60_000 {
				t.Errorf("SO_KEEPALIVE %d, TCP_USER_TIMEOUT %d", alive, limit)
			}
		})
	}
	s.mu.Unlock()
	close(release)
	if _, body := c.answer("GET"); !strings.HasPrefix(body, "GET / ") {
		t.Error(body)
	}
}
