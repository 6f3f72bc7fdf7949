package h1

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// crlf writes a head with one line of text a line.
func crlf(s string) []byte {
	return []byte(strings.ReplaceAll(strings.TrimPrefix(s, "\n"), "\n", "\r\n"))
}

func status(err error) int {
	var breach *Error
	if errors.As(err, &breach) {
		return breach.Status
	}
	return 0
}

func TestRequest(t *testing.T) {
	const key = "\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	tests := []struct {
		name, head string
		want       string // method target host minor length flags, or the status of the refusal
	}{
		{"plain", "GET /a?b HTTP/1.1\nHost: x\n\n", "GET /a?b x 1 0"},
		{"host with port", "GET / HTTP/1.1\nhOST: [::1]:80\n\n", "GET / [::1]:80 1 0"},
		{"1.0 closes", "GET / HTTP/1.0\n\n", "GET /  0 0 close"},
		{"1.0 keep-alive", "GET / HTTP/1.0\nConnection: Keep-Alive\n\n", "GET /  0 0"},
		{"close", "GET / HTTP/1.1\nHost: x\nConnection: a, Close\n\n", "GET / x 1 0 close"},
		{"absolute-form wins", "GET http://y:80/p?q HTTP/1.1\nHost: x\n\n", "GET /p?q y:80 1 0"},
		{"absolute-form without a path", "GET HTTPS://y HTTP/1.1\nHost: x\n\n", "GET  y 1 0"},
		{"length", "POST / HTTP/1.1\nHost: x\nContent-Length: \t5 \n\n", "POST / x 1 5"},
		{"chunked", "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: CHUNKED\n\n", "POST / x 1 -1"},
		{"expect", "POST / HTTP/1.1\nHost: x\nContent-Length: 5\nExpect: 100-Continue\n\n", "POST / x 1 5 expect"},
		{"expect without a body", "POST / HTTP/1.1\nHost: x\nExpect: 100-continue\n\n", "POST / x 1 0"},
		{"expect in 1.0", "POST / HTTP/1.0\nContent-Length: 5\nExpect: foo\n\n", "POST /  0 5 close"},
		{"websocket", "GET / HTTP/1.1\nHost: x\nConnection: keep-alive, Upgrade\nUpgrade: WebSocket" + key + "\n\n", "GET / x 1 0 upgrade"},
		{"websocket without a key", "GET / HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n\n", "GET / x 1 0"},
		{"websocket whose key ends here", "GET / HTTP/1.1\nHost: x\nConnection: Upgrade, Sec-WebSocket-Key\nUpgrade: websocket" + key + "\n\n", "GET / x 1 0"},
		{"websocket by POST", "POST / HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket" + key + "\n\n", "POST / x 1 0"},
		{"websocket with a body", "GET / HTTP/1.1\nHost: x\nContent-Length: 1\nConnection: Upgrade\nUpgrade: websocket" + key + "\n\n", "GET / x 1 1"},
		{"h2c is ignored", "GET / HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: h2c" + key + "\n\n", "GET / x 1 0"},
		{"tab in a value", "GET / HTTP/1.1\nHost: x\nA: b\tc\n\n", "GET / x 1 0"},

		{"no host", "GET / HTTP/1.1\n\n", "400"},
		{"empty host", "GET / HTTP/1.1\nHost:\n\n", "400"},
		{"two hosts", "GET / HTTP/1.1\nHost: x\nHost: x\n\n", "400"},
		{"list of hosts", "GET / HTTP/1.1\nHost: x,y\n\n", "400"},
		{"letters for a port", "GET / HTTP/1.1\nHost: x:a\n\n", "400"},
		{"port too large", "GET / HTTP/1.1\nHost: x:65536\n\n", "400"},
		{"user in the target", "GET http://u@x/ HTTP/1.1\nHost: x\n\n", "400"},
		{"other scheme", "GET ftp://x/ HTTP/1.1\nHost: x\n\n", "400"},
		{"asterisk", "OPTIONS * HTTP/1.1\nHost: x\n\n", "400"},
		{"fragment", "GET /a#b HTTP/1.1\nHost: x\n\n", "400"},
		{"control byte in the target", "GET /\x01 HTTP/1.1\nHost: x\n\n", "400"},
		{"byte above 127 in the target", "GET /\xc3 HTTP/1.1\nHost: x\n\n", "400"},
		{"CONNECT", "CONNECT x:80 HTTP/1.1\nHost: x\n\n", "501"},
		{"TRACE", "TRACE / HTTP/1.1\nHost: x\n\n", "501"},
		{"no token for a method", "G@T / HTTP/1.1\nHost: x\n\n", "400"},
		{"long method", strings.Repeat("A", 33) + " / HTTP/1.1\nHost: x\n\n", "501"},
		{"two spaces", "GET  / HTTP/1.1\nHost: x\n\n", "400"},
		{"space at the end", "GET / HTTP/1.1 \nHost: x\n\n", "400"},
		{"0.9", "GET /\n\n", "400"},
		{"version 2", "GET / HTTP/2.0\nHost: x\n\n", "505"},
		{"version 1.10", "GET / HTTP/1.10\nHost: x\n\n", "400"},
		{"lower case version", "GET / http/1.1\nHost: x\n\n", "400"},
		{"both framings", "POST / HTTP/1.1\nHost: x\nContent-Length: 5\nTransfer-Encoding: chunked\n\n", "400"},
		{"two lengths", "POST / HTTP/1.1\nHost: x\nContent-Length: 5\nContent-Length: 5\n\n", "400"},
		{"list of lengths", "POST / HTTP/1.1\nHost: x\nContent-Length: 5, 5\n\n", "400"},
		{"signed length", "POST / HTTP/1.1\nHost: x\nContent-Length: +5\n\n", "400"},
		{"empty length", "POST / HTTP/1.1\nHost: x\nContent-Length:\n\n", "400"},
		{"length over 2^62", "POST / HTTP/1.1\nHost: x\nContent-Length: 18446744073709551621\n\n", "400"},
		{"chunked in 1.0", "POST / HTTP/1.0\nTransfer-Encoding: chunked\n\n", "400"},
		{"chunked twice", "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked, chunked\n\n", "400"},
		{"two encodings", "POST / HTTP/1.1\nHost: x\nTransfer-Encoding: gzip\nTransfer-Encoding: chunked\n\n", "400"},
		{"other expectation", "POST / HTTP/1.1\nHost: x\nContent-Length: 1\nExpect: y 100-continue\n\n", "417"},
		{"folded field", "GET / HTTP/1.1\nHost: x\nA: b\n c\n\n", "400"},
		{"space before the colon", "GET / HTTP/1.1\nHost: x\nA : b\n\n", "400"},
		{"no colon", "GET / HTTP/1.1\nHost: x\nA\n\n", "400"},
		{"CR in a value", "GET / HTTP/1.1\nHost: x\nA: b\rc\n\n", "400"},
		{"NUL in a value", "GET / HTTP/1.1\nHost: x\nA: \x00\n\n", "400"},
		{"DEL in a value", "GET / HTTP/1.1\nHost: x\nA: \x7f\n\n", "400"},
		{"101 fields", "GET / HTTP/1.1\nHost: x\n" + strings.Repeat("A: b\n", 100) + "\n", "431"},
		{"101 connection options", "GET / HTTP/1.1\nHost: x\nConnection: close" + strings.Repeat(",x", 100) + "\n\n", "431"},
		{"long target", "GET /" + strings.Repeat("a", MaxTarget) + " HTTP/1.1\nHost: x\n\n", "414"},
	}
	var r Request
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			head := crlf(tt.head)
			if got := describe(&r, r.Parse(head)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func describe(r *Request, err error) string {
	if err != nil {
		return fmt.Sprint(status(err))
	}
	s := fmt.Sprintf("%s %s %s %d %d", r.Method, r.Target, r.Host, r.Minor, r.Length)
	for flag, set := range map[string]bool{" close": r.Close, " expect": r.Expect, " upgrade": r.Upgrade} {
		if set {
			s += flag
		}
	}
	return s
}

func TestBoundary(t *testing.T) {
	const head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	whole := []byte(head + "rest")
	next := 0
	for n := range len(whole) {
		end, from, err := Boundary(whole[:n], next)
		if err != nil {
			t.Fatal(err)
		}
		if want := n >= len(head); (end == len(head)) != want || !want && end != 0 {
			t.Fatalf("%d bytes: end %d", n, end)
		}
		if end == 0 {
			next = from
		}
	}
	for _, bad := range []string{"GET / HTTP/1.1\n", "\n", "GET / HTTP/1.1\r\nA: b\n"} {
		if _, _, err := Boundary([]byte(bad), 0); status(err) != 400 {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, _, err := Boundary([]byte(strings.Repeat("a", MaxHead)), 0); status(err) != 431 {
		t.Errorf("a head without end: %v", err)
	}
	if _, _, err := Boundary([]byte(strings.Repeat("a", MaxHead)+"\r\n\r\n"), 0); status(err) != 431 {
		t.Errorf("a head over the limit: %v", err)
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		sent    string
		settled bool
		status  int
	}{{"", false, 0}, {"GET /", false, 0}, {"GET / HTTP/1.1\r\nHo", true, 0}, {"GET /\r\n", true, 400}, {"\x16\x03\x01", true, 400}} {
		settled, err := Check([]byte(tt.sent))
		if settled != tt.settled || status(err) != tt.status {
			t.Errorf("%q: settled %v, %v", tt.sent, settled, err)
		}
	}
}

func TestSkipEmptyLine(t *testing.T) {
	for _, tt := range []struct {
		sent       string
		n          int
		incomplete bool
	}{{"", 0, true}, {"\r", 0, true}, {"\r\n", 2, true}, {"\r\nG", 2, false}, {"G", 0, false}, {"\rG", 0, false}} {
		if n, incomplete := SkipEmptyLine([]byte(tt.sent)); n != tt.n || incomplete != tt.incomplete {
			t.Errorf("%q: %d, %v", tt.sent, n, incomplete)
		}
	}
}

func TestTokens(t *testing.T) {
	const tokens = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for c := range 256 {
		if want := strings.IndexByte(tokens, byte(c)) >= 0; isToken(byte(c)) != want {
			t.Errorf("%q: %v", byte(c), !want)
		}
	}
}

// TestParseAllocates nothing: what a head says is views of it.
func TestParseAllocates(t *testing.T) {
	head := crlf("GET /a HTTP/1.1\nHost: x\nUser-Agent: a\nAccept: */*\nConnection: keep-alive\nCookie: a=b\n\n")
	answer := crlf("HTTP/1.1 200 OK\nContent-Length: 5\nServer: Kestrel\nKeep-Alive: timeout=5\n\n")
	var r Request
	var a Response
	if n := testing.AllocsPerRun(100, func() {
		if r.Parse(head) != nil || a.Parse(answer) != nil {
			t.Fatal("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
