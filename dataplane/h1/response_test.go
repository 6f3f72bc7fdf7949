package h1

import (
	"fmt"
	"strings"
	"testing"
)

func TestResponse(t *testing.T) {
	tests := []struct {
		name, head string
		want       string // status reason minor length flags, or "bad"
	}{
		{"plain", "HTTP/1.1 200 OK\nContent-Length: 5\n\n", "200 OK 1 5"},
		{"no reason", "HTTP/1.1 200\n\n", "200  1 -1"},
		{"chunked", "HTTP/1.1 200 \nTransfer-Encoding: chunked\n\n", "200  1 -1 chunked"},
		{"1.0", "HTTP/1.0 200 OK\n\n", "200 OK 0 -1 close"},
		{"1.0 keep-alive", "HTTP/1.0 200 OK\nConnection: keep-alive\nContent-Length: 0\n\n", "200 OK 0 0"},
		{"close", "HTTP/1.1 404 No\nConnection: close\n\n", "404 No 1 -1 close"},
		{"keep-alive", "HTTP/1.1 200 OK\nKeep-Alive: max=3, Timeout=5\n\n", "200 OK 1 -1 5s"},
		{"upgrade", "HTTP/1.1 101 Go\nConnection: Upgrade\nUpgrade: websocket\n\n", "101 Go 1 -1 upgrade"},
		{"799", "HTTP/1.1 799 Odd\n\n", "799 Odd 1 -1"},

		{"four digits", "HTTP/1.1 2000 OK\n\n", "bad"},
		{"below 100", "HTTP/1.1 099 OK\n\n", "bad"},
		{"version 3", "HTTP/3.0 200 OK\n\n", "bad"},
		{"1.2", "HTTP/1.2 200 OK\n\n", "bad"},
		{"no status line", "hello\n\n", "bad"},
		{"NUL in the reason", "HTTP/1.1 200 O\x00\n\n", "bad"},
		{"both framings", "HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked\n\n", "bad"},
		{"two lengths", "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\n", "bad"},
		{"chunked in 1.0", "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n", "bad"},
		{"identity", "HTTP/1.1 200 OK\nTransfer-Encoding: identity\n\n", "bad"},
		{"folded", "HTTP/1.1 200 OK\nA: b\n c\n\n", "bad"},
		{"escape in a value", "HTTP/1.1 200 OK\nA: \x1b[31m\n\n", "bad"},
		{"257 fields", "HTTP/1.1 200 OK\n" + strings.Repeat("A: b\n", 257) + "\n", "bad"},
	}
	var r Response
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := "bad"
			if r.Parse(crlf(tt.head)) == nil {
				got = fmt.Sprintf("%d %s %d %d", r.Status, r.Reason, r.Minor, r.Length)
				for flag, set := range map[string]bool{" chunked": r.Chunked, " close": r.Close, " upgrade": r.Upgrade} {
					if set {
						got += flag
					}
				}
				if r.KeepAlive >= 0 {
					got += fmt.Sprintf(" %ds", r.KeepAlive)
				}
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBodiless(t *testing.T) {
	for _, tt := range []struct {
		method string
		status int
		want   bool
	}{{"GET", 200, false}, {"HEAD", 200, true}, {"GET", 204, true}, {"GET", 304, true}, {"GET", 103, true}, {"head", 200, false}} {
		if got := Bodiless([]byte(tt.method), tt.status); got != tt.want {
			t.Errorf("%s %d: %v", tt.method, tt.status, got)
		}
	}
}
