package scenario

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const handshake = "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="

// A place is held only while the application owes something. Each of these would keep the only one for ever; behind it
// others are answered, and at its end it is as good as any other request.
func TestServePlaces(t *testing.T) {
	// A place is given back a moment after the answer has gone, so the next request may have to wait although the client
	// sends one after another.
	s := serveSite(t, "limits: {concurrency: 1, queue: 3, queueTimeout: 1h}\n")
	for name, c := range map[string]struct {
		head, body string
		until      string // a line of the answer that comes before others are served
		rest, ends string // what is sent then, and how the answer ends
	}{
		"a body that does not come": {"POST /upload HTTP/1.1\r\nContent-Length: 10", "12345", "", "67890", "10 <nil>"},
		"a chunk that does not come": {"POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked", "5\r\n12345\r\n", "",
			"5\r\n67890\r\n0\r\n\r\n", "10 <nil>"},
		"an answer that is not read": {"GET /bytes?n=50000000 HTTP/1.1\r\nConnection: close", "", "", "", "xxx"},
		"an answer that is silent":   {"GET /stream?n=2&gap=1h HTTP/1.1", "", "chunk 0", "", ""},
		"an event stream":            {"GET /stream?n=1000000&gap=10ms&type=text/event-stream HTTP/1.1", "", "chunk 0", "", ""},
		"a WebSocket":                {handshake, "", "HTTP/1.1 101", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := visit(t, s.address, c.head, c.body)
			if c.until != "" {
				v.until(t, c.until)
			}
			for range 3 {
				if a := lab.Get(t, s.address, "/pid"); a.Status != 200 {
					t.Errorf("%d %s", a.Status, a.Body)
				}
			}
			if c.ends != "" {
				_, _ = io.WriteString(v, c.rest)
				if a := v.response(t); a.Status != 200 || !strings.HasSuffix(strings.TrimSpace(a.Body), c.ends) {
					t.Errorf("%d, %d bytes", a.Status, len(a.Body))
				}
			}
			v.Close()
		})
	}
	// Nothing of it is left over: one is let in, three wait, the next is refused.
	first := busy(t, s.address)
	answers := others(s.address, 4)
	if a := <-answers; a.Status != 503 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	first.Close()
	for range 3 {
		if a := <-answers; a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
}

// However many come at once, the application never has more of them than it may, and all are answered.
func TestServeCrowd(t *testing.T) {
	s := serveSite(t, "limits: {concurrency: 3, queue: 100}\n")
	failed := make(chan string, 1000)
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			for range 10 {
				if a, err := lab.Try(s.address, "/crowd?d=3ms", ""); err != nil || a.Status != 200 {
					failed <- fmt.Sprintf("%d %s %v", a.Status, a.Body, err)
				}
			}
		})
	}
	all.Wait()
	close(failed)
	for problem := range failed {
		t.Error(problem)
	}
	if a := lab.Get(t, s.address, "/crowd"); a.Body != "3\n" {
		t.Errorf("at most %s at once, 3 are allowed", a.Body)
	}
}

// Whoever stands in line when the application goes offline gets the offline page at once, while what is in flight goes on.
func TestServeOfflineEndsTheQueue(t *testing.T) {
	s := serveSite(t, "limits: {concurrency: 1, queue: 1, queueTimeout: 1h}\nstop: {timeout: 60s}\n")
	first := busy(t, s.address)
	answers := others(s.address, 2)
	if a := <-answers; a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	lab.Folder(t, s.dir, "root", map[string]string{"app_offline.htm": "<p>closed today</p>"})
	if a := <-answers; a.Status != 503 || a.Header.Get("X-Ancora-Offline") != "local" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
	first.until(t, "chunk")
	first.Close()
}

// Two instances of one application, one replacing the other, together stay within its limits; who waits is served by the
// new one.
func TestServeSwapKeepsTheBound(t *testing.T) {
	s := serveSite(t, "limits: {concurrency: 1, queue: 1, queueTimeout: 1h}\n")
	first := busy(t, s.address)
	before := len(instances(t, s.dir+"/data"))
	lab.Folder(t, s.dir, "root", map[string]string{"web.config": "<configuration/>"})
	lab.Eventually(t, func() string {
		if n := len(instances(t, s.dir+"/data")); n <= before {
			return fmt.Sprintf("%d processes", n)
		}
		return ""
	})
	answers := others(s.address, 2)
	if a := <-answers; a.Status != 503 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	first.until(t, "chunk")
	first.Close()
	if a := <-answers; a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// queued waits until so many stand in line.
func (s *served) queued(t *testing.T, n int) {
	t.Helper()
	s.counts(t, fmt.Sprintf(`ancora_queue_length{application="/",site="shop"} %d`, n))
}

// counts waits until a line stands among the metrics.
func (s *served) counts(t *testing.T, line string) {
	t.Helper()
	lab.Eventually(t, func() string {
		if _, counts := adminGet(t, s.dir+"/data", "/metrics"); !strings.Contains(counts, line+"\n") {
			return "no " + line + " in\n" + counts
		}
		return ""
	})
}

func refused(t *testing.T, v *visitor, whose string) {
	t.Helper()
	if a := v.response(t); a.Status != 503 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %v %s", whose, a.Status, a.Header, a.Body)
	}
}

// A full queue makes room: those that owe their bodies for others, down to half of it, and who has most in it for other clients.
func TestServeQueueIsShared(t *testing.T) {
	s := serveSite(t, "limits: {concurrency: 1, queue: 4, queueTimeout: 1h}\n")
	const upload = "POST /upload HTTP/1.1\r\nContent-Length: 10"
	first := busy(t, s.address)
	waiting := 0
	join := func(client, head, body string) *visitor {
		t.Helper()
		v := visitFrom(t, client, s.address, head, body)
		waiting = min(waiting+1, 4)
		s.queued(t, waiting)
		return v
	}
	const one, other = "127.0.0.1", "127.0.0.9"
	nothing := join(one, upload, "")
	part := join(one, upload, "12345")
	chunked := join(one, "POST /upload HTTP/1.1\r\nTransfer-Encoding: chunked", "5\r\n12345\r\n")
	expects := join(one, upload+"\r\nExpect: 100-continue", "")
	refused(t, join(one, upload, "12345"), "one more that owes")

	whole := join(one, upload, "1234567890")
	refused(t, expects, "the newest that owes")
	get := join(one, "GET /pid HTTP/1.1", "")
	refused(t, chunked, "the next one")
	refused(t, join(one, "GET /pid HTTP/1.1", ""), "one more")
	foreign := join(other, "GET /pid HTTP/1.1", "")

	first.Close()
	for client, v := range map[string]*visitor{one: whole, other: foreign} { // though those before them owe still
		if a := v.response(t); a.Status != 200 {
			t.Errorf("%s: %d %s", client, a.Status, a.Body)
		}
	}
	refused(t, get, "the newest of "+one+" for "+other)
	for v, rest := range map[*visitor]string{nothing: "1234567890", part: "67890"} {
		_, _ = io.WriteString(v, rest)
		if a := v.response(t); a.Status != 200 || a.Body != "10 <nil>\n" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	}
}

// A client that has taken a whole answer before waits before strangers, and has room in a queue that is full of them.
func TestServeRegulars(t *testing.T) {
	s := serveSite(t, "limits: {concurrency: 1, queue: 4, queueTimeout: 1h}\n")
	const regular = "127.0.0.9"
	if a := visitFrom(t, regular, s.address, "GET /pid HTTP/1.1", "").response(t); a.Status != 200 {
		t.Fatal(a)
	}
	first := busy(t, s.address)
	const endless = "GET /stream?n=1000000&gap=10ms HTTP/1.1"
	for n := range 4 {
		visitFrom(t, fmt.Sprint("127.0.1.", 1+n), s.address, endless, "")
		s.queued(t, n+1)
	}
	refused(t, visitFrom(t, "127.0.1.9", s.address, endless, ""), "one more stranger")
	v := visitFrom(t, regular, s.address, "GET /pid HTTP/1.1", "")
	s.counts(t, `ancora_rejected_total{application="/",reason="queue_full",site="shop"} 2`) // a stranger has made room
	first.Close()
	if a := v.response(t); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
