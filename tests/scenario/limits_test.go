package scenario

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// visitor is a connection with one request on it, to be read as slowly as a test likes.
type visitor struct {
	net.Conn
	r *bufio.Reader
}

func visit(t *testing.T, address, head, body string) *visitor {
	t.Helper()
	return visitFrom(t, "127.0.0.1", address, head, body)
}

// visitFrom is visit by a client with an address of its own.
func visitFrom(t *testing.T, client, address, head, body string) *visitor {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(client)}}).Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(lab.Deadline))
	if !strings.Contains(head, "\r\nHost:") {
		head += "\r\nHost: x"
	}
	if _, err := io.WriteString(conn, head+"\r\n\r\n"+body); err != nil {
		t.Fatal(err)
	}
	return &visitor{conn, bufio.NewReader(conn)}
}

// until reads to a line that has text.
func (v *visitor) until(t *testing.T, text string) {
	t.Helper()
	for line := ""; !strings.Contains(line, text); {
		var err error
		if line, err = v.r.ReadString('\n'); err != nil {
			t.Fatalf("no %q: %v", text, err)
		}
	}
}

// response reads an answer.
func (v *visitor) response(t *testing.T) lab.Answer {
	t.Helper()
	response, err := http.ReadResponse(v.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return lab.Answer{Status: response.StatusCode, Body: string(body), Header: response.Header}
}

// busy begins an answer that goes on until its connection is closed.
func busy(t *testing.T, address string) *visitor {
	t.Helper()
	v := visit(t, address, "GET /stream?n=1000000&gap=100ms HTTP/1.1", "")
	v.until(t, "chunk 0")
	return v
}

// others sends n requests at once.
func others(address string, n int) <-chan lab.Answer {
	answers := make(chan lab.Answer, n)
	for range n {
		go func() {
			a, err := lab.Try(address, "/pid", "")
			if err != nil {
				a.Body = err.Error()
			}
			answers <- a
		}()
	}
	return answers
}

// Two at once, the third waits, the fourth gets 503; the third is let in when one of the two has left.
func TestServeConcurrency(t *testing.T) {
	s := serveSite(t, "limits: {concurrency: 2, queue: 1, queueTimeout: 1h}\n")
	first, second := busy(t, s.address), busy(t, s.address)
	answers := others(s.address, 2)
	refused := <-answers
	if retry, _ := strconv.Atoi(refused.Header.Get("Retry-After")); refused.Status != 503 || retry < 1 {
		t.Errorf("the fourth gets %d, Retry-After %q, %s", refused.Status, refused.Header.Get("Retry-After"), refused.Body)
	}
	select {
	case a := <-answers:
		t.Errorf("the third does not wait: %d %s", a.Status, a.Body)
	default:
	}
	first.Close()
	if a := <-answers; a.Status != 200 {
		t.Errorf("the third gets %d %s", a.Status, a.Body)
	}
	second.Close()
}

// A request in the queue is refused when its time is over, and one whose client has left does not stand in the way.
func TestServeQueueTimeout(t *testing.T) {
	s := serveSite(t, "limits: {concurrency: 1, queue: 1, queueTimeout: 1s}\n")
	first := busy(t, s.address)
	if a := lab.Get(t, s.address, "/pid"); a.Status != 503 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.Body, "too much to do") {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
	visit(t, s.address, "GET /pid HTTP/1.1", "").Close()
	lab.Eventually(t, func() string {
		if a := lab.Get(t, s.address, "/pid"); a.Status != 503 || !strings.Contains(a.Body, "too much to do") {
			return fmt.Sprintf("%d %s", a.Status, a.Body)
		}
		return ""
	})
	first.Close()
	lab.Eventually(t, func() string {
		if a := lab.Get(t, s.address, "/pid"); a.Status != 200 {
			return fmt.Sprintf("%d %s", a.Status, a.Body)
		}
		return ""
	})
}

// Requests that wait for a start stand in the same queue: as many as may be at once and as may wait, none more. The time
// that a start takes is no time in the queue.
func TestServeQueueForStart(t *testing.T) {
	s := serveSite(t, "limits: {concurrency: 2, queue: 1, queueTimeout: 1s}\nready: {timeout: 20s}\n", "-start-delay", "3s")
	answers := others(s.address, 5)
	for range 2 {
		if a := <-answers; a.Status != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
		}
	}
	for range 3 {
		if a := <-answers; a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
}

// A body over the limit gets 413, before anything is sent on or in the middle of it.
func TestServeBodyLimit(t *testing.T) {
	s := serveSite(t, "limits: {body: 2kB}\n")
	for _, c := range []struct {
		head, body string
		status     int
	}{
		{"POST /upload HTTP/1.1\r\nContent-Length: 2000", strings.Repeat("x", 2000), 200},
		{"POST /upload HTTP/1.1\r\nContent-Length: 2001", "", 413}, // not one byte of it is waited for
		{"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked", "7d0\r\n" + strings.Repeat("x", 2000) + "\r\n0\r\n\r\n", 200},
		{"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked", "7d1\r\n" + strings.Repeat("x", 2001) + "\r\n", 413},
	} {
		if a := visit(t, s.address, c.head, c.body).response(t); a.Status != c.status {
			t.Errorf("%s: %d %s, want %d", c.head, a.Status, a.Body, c.status)
		}
	}
}

// The time limit of requests is inactivity of the application: neither a long answer nor a slow client meets it.
func TestServeRequestTimeout(t *testing.T) {
	s := serveSite(t, "requestTimeout: 1s\n")
	if a := lab.Get(t, s.address, "/sleep?d=1h"); a.Status != 502 || !strings.Contains(a.Body, "502.3") {
		t.Errorf("no answer: %d %s", a.Status, a.Body)
	}
	if a := lab.Get(t, s.address, "/stream?n=6&gap=300ms"); a.Status != 200 || !strings.HasSuffix(a.Body, "chunk 5\n") {
		t.Errorf("a long answer: %d %q", a.Status, a.Body)
	}
	if a, err := lab.Try(s.address, "/stream?n=2&gap=1h", ""); err == nil {
		t.Errorf("half an answer: %d %q", a.Status, a.Body)
	}
	v := visit(t, s.address, "POST /upload HTTP/1.1\r\nContent-Length: 10", "12345")
	<-time.After(1500 * time.Millisecond)
	_, _ = io.WriteString(v, "67890")
	if a := v.response(t); a.Status != 200 || a.Body != "10 <nil>\n" {
		t.Errorf("a slow body: %d %q", a.Status, a.Body)
	}
	v = visit(t, s.address, "GET /bytes?n=50000000 HTTP/1.1", "")
	<-time.After(1500 * time.Millisecond)
	if a := v.response(t); a.Status != 200 || len(a.Body) != 50_000_000 {
		t.Errorf("a slow reader: %d, %d bytes", a.Status, len(a.Body))
	}
}

// A start that fails is the answer to all who waited for it, in the queue too; while starts are refused nobody waits.
func TestServeQueueForFailedStart(t *testing.T) {
	s := serveSite(t, "limits: {concurrency: 1, queue: 9, queueTimeout: 1h}\nready: {timeout: 3s}\nrapidFailsPerMinute: 0\n", "-silent")
	answers := others(s.address, 5)
	for range 5 {
		if a := <-answers; a.Status != 502 || !strings.Contains(a.Body, "502.5") {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
	if a := lab.Get(t, s.address, "/pid"); a.Status != 502 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
	if n := strings.Count(s.Log(), "instance does not start"); n != 1 {
		t.Errorf("%d starts\n%s", n, s.Log())
	}
}

// Limits that are pushed hold at once and cost no instance; what is stored is written back as it was meant.
func TestPushedLimits(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	file := f.Site("shop", "role=web")
	text := read(t, file)
	push := func(limits string) {
		t.Helper()
		lab.Write(t, f.Dir, "shop.yaml", text+"    limits: "+limits+"\n")
		f.Must("apply", "-f", file, "--wait")
	}
	push("{concurrency: 1, queue: 0}")
	before := f.Get("web1", "shop", "/pid").Body
	address := f.Hosts["web1"].Address
	first := visit(t, address, "GET /stream?n=1000000&gap=100ms HTTP/1.1\r\nHost: shop.example", "")
	first.until(t, "chunk 0")
	if a := f.Get("web1", "shop", "/pid"); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	push("{concurrency: 2, queue: 0, body: none, queueTimeout: 90s}")
	if a := f.Get("web1", "shop", "/pid"); a.Status != 200 || a.Body != before {
		t.Errorf("%d %s, it was %s", a.Status, a.Body, before)
	}
	first.until(t, "chunk")
	first.Close()
	if out := f.Must("get", "sites", "-o", "yaml"); !strings.Contains(out, "limits: {body: none, concurrency: 2, queue: 0, queueTimeout: 1m30s}") {
		t.Error(out)
	}
}
