package ingress

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// behind puts a listener in front of an ordinary HTTP server.
func behind(t *testing.T, app http.HandlerFunc, opt Options) *server {
	instance := httptest.NewServer(app)
	up := upstream.New("tcp", instance.Listener.Addr().String(), upstream.Options{})
	t.Cleanup(func() {
		up.Close()
		instance.Close()
	})
	return start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		err := forward.Serve(r, w, up, forward.Options{Token: "t0ken", RequestTimeout: 5 * time.Second, BodyLimit: 8 << 20})
		if failed, ok := err.(*forward.Error); ok && !failed.Sent {
			w.Head(failed.Kind.Status(), nil, 0)
		}
	}), opt)
}

// TestUploads of every framing and size come out as they went in, over both versions.
func TestUploads(t *testing.T) {
	s := behind(t, func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, sum.Sum(nil), err)
	}, Options{H2C: true})
	h1Client := &http.Client{Transport: new(http.Transport)}
	defer h1Client.CloseIdleConnections()
	for name, client := range map[string]*http.Client{"h1": h1Client, "h2": h2Client(t)} {
		for _, size := range []int{1, 5000, 20_000, 100_000, 5 << 20} {
			body := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
			for kind, reader := range map[string]io.Reader{"length": bytes.NewReader(body), "chunked": io.MultiReader(bytes.NewReader(body))} {
				res, err := client.Post("http://"+s.addr, "text/plain", reader)
				if err != nil {
					t.Fatal(name, kind, size, err)
				}
				got, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if want := fmt.Sprintf("%d %x <nil>", size, sha256.Sum256(body)); string(got) != want {
					t.Errorf("%s %s %d: %d %s, want %s", name, kind, size, res.StatusCode, got, want)
				}
			}
		}
	}
}

func TestTooLargeMidway(t *testing.T) {
	s := behind(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, Options{})
	c := dial(t, s)
	c.say("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() {
		for range 9 {
			c.say("100000\r\n" + strings.Repeat("x", 1<<20) + "\r\n")
		}
	}()
	if res, _ := c.answer("POST"); res.StatusCode != 413 || !res.Close {
		t.Errorf("%d, close %v", res.StatusCode, res.Close)
	}
}

// TestAbortReachesTheApplication: the request of a client that leaves ends in the application as well (ERR-22).
func TestAbortReachesTheApplication(t *testing.T) {
	asked, ended := make(chan struct{}), make(chan bool, 1)
	s := behind(t, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		select {
		case <-r.Context().Done():
			ended <- true
		case <-time.After(5 * time.Second):
			ended <- false
		}
	}, Options{})
	c := dial(t, s)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-asked
	start := time.Now()
	if c.Close(); !<-ended {
		t.Fatal("it does not know")
	}
	t.Logf("noticed after %v", time.Since(start))
}

// TestShutdownFromOutside: nobody but us can carry the event that stops an application (T3).
func TestShutdownFromOutside(t *testing.T) {
	s := behind(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s event=%q token=%q", r.URL.Path, r.Header.Values("MS-ASPNETCORE-EVENT"), r.Header.Values("MS-ASPNETCORE-TOKEN"))
	}, Options{})
	c := dial(t, s)
	for _, field := range []string{"MS-ASPNETCORE-EVENT: shutdown", "ms_aspnetcore_event: shutdown", "Connection: MS-ASPNETCORE-TOKEN\r\nMS-ASPNETCORE-EVENT: shutdown\r\nMS-ASPNETCORE-TOKEN: t0ken"} {
		c.say("POST /shop/iisintegration HTTP/1.1\r\nHost: x\r\n" + field + "\r\nContent-Length: 0\r\n\r\n")
		if _, body := c.answer("POST"); body != `/shop/iisintegration event=[] token=["t0ken"]` {
			t.Errorf("%s: %s", field, body)
		}
	}
}

// TestEvents come one by one.
func TestEvents(t *testing.T) {
	next := make(chan string)
	s := behind(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		for event := range next {
			io.WriteString(w, event)
			w.(http.Flusher).Flush()
		}
	}, Options{})
	c := dial(t, s)
	c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(res.Body)
	for _, event := range []string{"one", "two"} {
		next <- event + "\n"
		if !lines.Scan() || lines.Text() != event {
			t.Errorf("%q, %v", lines.Text(), lines.Err())
		}
	}
	close(next)
	if lines.Scan() || lines.Err() != nil {
		t.Error("no proper end", lines.Err())
	}
}

// TestWebSocketThroughBoth passes bytes both ways and ends with either side.
func TestWebSocketThroughBoth(t *testing.T) {
	ended := make(chan struct{}, 1)
	s := behind(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				ended <- struct{}{}
				return
			}
			io.WriteString(c, "echo "+line)
		}
	}, Options{})
	c := dial(t, s)
	c.say("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly\n")
	if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != 101 {
		t.Fatal(res, err)
	}
	c.say("late\n")
	for _, want := range []string{"echo early\n", "echo late\n"} {
		if line, err := c.r.ReadString('\n'); line != want {
			t.Errorf("%q, %v", line, err)
		}
	}
	c.Close()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the application still has its side")
	}
}

// TestCrowd: many clients at once, some of which leave in the middle, and every one that stays gets its own answers.
func TestCrowd(t *testing.T) {
	s := behind(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/chunked" {
			w.(http.Flusher).Flush()
		}
		fmt.Fprintf(w, "%s %s", r.URL.RawQuery, body)
	}, Options{})
	var crowd sync.WaitGroup
	for id := range 24 {
		crowd.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(id)))
			for range 20 {
				visit(t, s, id, random)
			}
		})
	}
	crowd.Wait()
}

// visit is one connection with a few requests in flight.
func visit(t *testing.T, s *server, id int, random *rand.Rand) {
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	for n := range 5 {
		text := fmt.Sprintf("%d-%d-%s", id, n, strings.Repeat("x", random.IntN(30_000)))
		path := []string{"/length", "/chunked"}[random.IntN(2)]
		head := fmt.Sprintf("POST %s?%d-%d HTTP/1.1\r\nHost: x\r\n", path, id, n)
		if random.IntN(2) == 0 {
			io.WriteString(c, fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(text), text))
		} else {
			io.WriteString(c, fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, len(text), text))
		}
		if random.IntN(10) == 0 {
			return // leaves without its answer
		}
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(res.Body)
		if want := fmt.Sprintf("%d-%d %s", id, n, text); err != nil || string(body) != want {
			t.Errorf("%d %.40q, %v; want %.40q", res.StatusCode, body, err, want)
			return
		}
		if res.Close {
			return
		}
	}
}

// TestServerField: it is the application's, and there is none when it sends none (FWD-22), over both versions.
func TestServerField(t *testing.T) {
	s := behind(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/named" {
			w.Header().Set("Server", "Kestrel")
		}
	}, Options{H2C: true})
	for major, transport := range transports(t, "127.0.0.1") {
		for path, want := range map[string][]string{"/named": {"Kestrel"}, "/": nil} {
			response, err := (&http.Client{Transport: transport}).Get("http://" + s.addr + path)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if got := response.Header.Values("Server"); response.ProtoMajor != major || !slices.Equal(got, want) {
				t.Errorf("HTTP/%d %s: %q", response.ProtoMajor, path, got)
			}
		}
	}
}

// TestLongAnswers come whole whether they are copied or go from socket to socket, several on one connection; one that is cut
// is seen to be cut.
func TestLongAnswers(t *testing.T) {
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(i * 7)
	}
	s := behind(t, func(w http.ResponseWriter, r *http.Request) {
		var n, cut int
		fmt.Sscan(r.URL.RawQuery, &n)
		fmt.Sscan(r.Header.Get("Cut"), &cut)
		w.Header().Set("Content-Length", strconv.Itoa(n))
		w.Write(content[:n-cut])
		if cut > 0 {
			panic(http.ErrAbortHandler)
		}
	}, Options{})
	c := dial(t, s)
	for _, n := range []int{100, 30_000, 40_000, 70_000, 100_000, len(content), 1} {
		c.say(fmt.Sprintf("GET /?%d HTTP/1.1\r\nHost: x\r\n\r\n", n))
		if _, body := c.answer("GET"); body != string(content[:n]) {
			t.Errorf("%d bytes of %d, or other ones", len(body), n)
		}
	}
	c.say(fmt.Sprintf("GET /?%d HTTP/1.1\r\nHost: x\r\nCut: 5\r\n\r\n", len(content)))
	res, err := http.ReadResponse(c.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(res.Body)
	if err == nil || !bytes.HasPrefix(content, got) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
