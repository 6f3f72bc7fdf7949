package ingress

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

// strict is a listener's options with so little patience that a test can wait for its end.
var strict = Options{LeastRate: 1000, RateGrace: 300 * time.Millisecond}

// patient is strict where the test has to keep up with it, which on a loaded machine it does not always.
var patient = Options{LeastRate: 1000, RateGrace: time.Second}

// drip sends a piece again and again, with a pause, until the other side does not take it any more.
func drip(c *wire, piece string, pause time.Duration) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(pause):
			}
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// TestSlowBody: a body that comes more slowly than the least rate ends with 408, in every framing and also when nothing
// comes at all; one that is fast enough is read whole.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	s := behind(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	}, strict)
	for name, tt := range map[string]struct {
		head, piece string
		pause       time.Duration
		status      int
	}{
		"length":  {"Content-Length: 100000\r\n\r\n", "x", 20 * time.Millisecond, 408},
		"chunked": {"Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", 40 * time.Millisecond, 408},
		"stopped": {"Content-Length: 100000\r\n\r\nxxxx", "", time.Second, 408},
		"fast":    {"Content-Length: 20000\r\n\r\n", strings.Repeat("x", 500), 20 * time.Millisecond, 200},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s)
			c.say("POST / HTTP/1.1\r\nHost: x\r\n" + tt.head)
			defer drip(c, tt.piece, tt.pause)()
			response, body := c.answer("POST")
			if response.StatusCode != tt.status || tt.status == 200 && body != "20000 <nil>" {
				t.Errorf("%s %s", response.Status, body)
			}
			if tt.status == 408 && !response.Close {
				t.Error("the connection goes on")
			}
		})
	}
}

// TestSlowApplication: a client is not cut for an application that does not take its body, thinks for a long time, or
// sends little; nor is a WebSocket, which may be silent.
func TestSlowApplication(t *testing.T) {
	t.Parallel()
	const long = 3 * 300 * time.Millisecond
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		switch string(r.Path) {
		case "/body": // reads late
			<-time.After(long)
			n, err := io.Copy(io.Discard, r.Body)
			text := fmt.Sprint(n, err)
			w.Head(200, nil, int64(len(text)))
			w.Write([]byte(text))
		case "/events":
			w.Head(200, nil, -1)
			for range 4 {
				w.Write([]byte("x"))
				<-time.After(long / 3)
			}
		case "/socket":
			w.Head(101, nil, -1)
			w.Write(nil)
			b := make([]byte, 1)
			n, err := r.Body.Read(b)
			fmt.Fprintf(w, "%s %v", b[:n], err)
		}
	}), strict)
	c := dial(t, s)
	c.say("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789")
	if response, body := c.answer("POST"); response.StatusCode != 200 || body != "10 <nil>" {
		t.Errorf("late: %s %s", response.Status, body)
	}
	c.say("GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, body := c.answer("GET"); body != "xxxx" {
		t.Errorf("events: %s", body)
	}
	c.say("GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if response, err := http.ReadResponse(c.r, nil); err != nil || response.StatusCode != 101 {
		t.Fatal(response, err)
	}
	<-time.After(long)
	c.say("y")
	if got, _ := io.ReadAll(c.r); string(got) != "y <nil>" {
		t.Errorf("socket: %q", got)
	}
}

// narrow dials with so small a window that what a client has not read is not taken by its system either.
func narrow(t *testing.T, s *server) *wire {
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	}}
	c, err := d.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return &wire{Conn: c, t: t, r: bufio.NewReaderSize(c, 16)}
}

// TestSlowReader: a client that takes its answer more slowly than the least rate is cut, one that is fast enough is
// not.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	ended := make(chan error, 2)
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		w.Head(200, nil, size)
		_, err := w.Write(make([]byte, size))
		ended <- err
	}), patient)
	slow := narrow(t, s)
	slow.say(plain)
	began := time.Now()
	select {
	case err := <-ended:
		if err == nil || time.Since(began) < patient.RateGrace {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still waiting")
	}
	if n, err := io.Copy(io.Discard, slow.r); err == nil || errors.Is(err, os.ErrDeadlineExceeded) || n >= size {
		t.Errorf("%d bytes, %v: the end does not show", n, err)
	}

	steady := narrow(t, s)
	steady.say(plain)
	for range 60 { // longer than any patience, far faster than the least rate
		if _, err := io.ReadFull(steady.r, make([]byte, 2<<10)); err != nil {
			t.Fatal(err)
		}
		<-time.After(50 * time.Millisecond)
	}
	steady.Close()
	if err := <-ended; err == nil {
		t.Error("an answer that nobody has taken")
	}
}
