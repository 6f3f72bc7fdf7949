package ingress

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

// TestOwed: a request owes nothing when it came whole.
func TestOwed(t *testing.T) {
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		text := "owes nothing"
		if r.Owed() {
			text = "owes"
		}
		w.Head(200, nil, int64(len(text)))
		w.Write([]byte(text))
	}), Options{H2C: true})
	for name, tt := range map[string]struct{ request, want string }{
		"no body":           {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "owes nothing"},
		"a length of 0":     {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "owes nothing"},
		"a whole body":      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345", "owes nothing"},
		"another behind it": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345GET / HTTP/1.1\r\nHost: x\r\n\r\n", "owes nothing"},
		"a handshake":       {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", "owes nothing"},
		"none of a body":    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n", "owes"},
		"a byte too few":    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n1234", "owes"},
		"more than is read": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n" + strings.Repeat("x", 20_000), "owes"},
		"an unknown end":    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", "owes"},
		"100 is waited for": {"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "owes"},
	} {
		c := dial(t, s)
		c.say(tt.request)
		if _, got := c.answer("POST"); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	client := h2Client(t)
	for name, tt := range map[string]struct {
		method string
		body   io.Reader
		want   string
	}{
		"no body":        {"GET", nil, "owes nothing"},
		"an end at once": {"POST", http.NoBody, "owes nothing"},
		"a body":         {"POST", strings.NewReader("12345"), "owes"},
		"an unknown end": {"POST", io.MultiReader(strings.NewReader("12345")), "owes"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+s.addr, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if said := fmt.Sprint(response.Proto, " ", string(got)); said != "HTTP/2.0 "+tt.want || err != nil {
			t.Errorf("HTTP/2, %s: %s, %v", name, said, err)
		}
	}
}
