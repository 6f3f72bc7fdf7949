package h2

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"
)

// TestTokenStaysInside: an application that shows its pairing token anywhere but in a body shows it to nobody. Status and
// body pass as they are.
func TestTokenStaysInside(t *testing.T) {
	const accept = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	for _, tt := range []struct {
		name, reply string // § is the token
		status      int
		upgrade     bool
	}{
		{"value", "HTTP/1.1 200 OK\r\nX-A: <§>\r\nSet-Cookie: a=§; path=/\r\nContent-Length: 2\r\n\r\nok", 200, false},
		{"own field", "HTTP/1.1 200 OK\r\nMS-ASPNETCORE-TOKEN: §\r\nms_aspnetcore_token: §\r\nContent-Length: 2\r\n\r\nok", 200, false},
		{"name", "HTTP/1.1 200 OK\r\n§: a\r\nX-§: a\r\nContent-Length: 2\r\n\r\nok", 200, false},
		{"name in another case", "HTTP/1.1 200 OK\r\nX-0123456789ABCDEF-Pairing: a\r\nContent-Length: 2\r\n\r\nok", 200, false},
		{"reason", "HTTP/1.1 200 the token is §\r\nContent-Length: 2\r\n\r\nok", 200, false},
		{"interim", "HTTP/1.1 103 §\r\nLink: <§>\r\n\r\nHTTP/1.1 100 §\r\nX-A: §\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, false},
		{"trailers", "HTTP/1.1 200 OK\r\nTrailer: X-A, §\r\nTransfer-Encoding: chunked\r\n\r\n2;§=§\r\nok\r\n0;a=§\r\nX-A: §\r\n§: a\r\n\r\n", 200, false},
		{"nominated", "HTTP/1.1 200 OK\r\nConnection: §, X-A\r\nX-A: §\r\n§: a\r\nContent-Length: 2\r\n\r\nok", 200, false},
		{"error of the application", "HTTP/1.1 500 §\r\nX-A: §\r\nContent-Length: 2\r\n\r\nok", 500, false},
		{"malformed status", "HTTP/1.1 §\r\n\r\n", 502, false},
		{"malformed field", "HTTP/1.1 200 OK\r\nX §: §\r\n\r\n", 502, false},
		{"malformed length", "HTTP/1.1 200 OK\r\nContent-Length: §\r\n\r\n", 502, false},
		{"upgrade", "HTTP/1.1 101 §\r\n" + accept + "X-A: §\r\n§: a\r\nSec-WebSocket-Protocol: §\r\n\r\n", 101, true},
		{"upgrade that does not match", "HTTP/1.1 101 §\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: §\r\n\r\n", 502, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBackend(t)
			b.says(strings.ReplaceAll(tt.reply, "§", token))
			address, _ := proxy(t, b)
			more := ""
			if tt.upgrade {
				more = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\n"
			}
			got := raw(t, address, "GET /a HTTP/1.1\r\nHost: shop.example\r\n"+more+"\r\n", tt.upgrade)
			final := got
			if strings.HasPrefix(got, "HTTP/1.1 103 ") {
				_, final, _ = strings.Cut(got, "\r\n\r\n")
			}
			if want := fmt.Sprintf("HTTP/1.1 %d ", tt.status); !strings.HasPrefix(final, want) || strings.Contains(strings.ToLower(got), token) {
				t.Errorf("HTTP/1.1: %q", got)
			}
			if tt.upgrade {
				return
			}
			c := dial(t, address)
			defer c.Close()
			c.headers(1, fields(get), true)
			verdict, _, body := c.outcome(1)
			if verdict != fmt.Sprint(tt.status) || tt.status != 502 && string(body) != "ok" {
				t.Errorf("HTTP/2: %s %q", verdict, body)
			}
			for _, f := range c.got {
				if strings.Contains(f.Name, token) || strings.Contains(f.Value, token) {
					t.Errorf("HTTP/2: %s: %s", f.Name, f.Value)
				}
			}
		})
	}
}

// raw sends an HTTP/1.1 request and gives all that comes back: the head, or, when the connection is to end, everything.
func raw(t *testing.T, address, request string, headOnly bool) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if !headOnly {
		request = strings.Replace(request, "\r\n", "\r\nConnection: close\r\n", 1)
	}
	io.WriteString(c, request)
	var got []byte
	for piece := make([]byte, 4096); ; {
		n, err := c.Read(piece)
		got = append(got, piece[:n]...)
		if err != nil && err != io.EOF {
			t.Fatalf("%v after %q", err, got)
		}
		if err == io.EOF || headOnly && strings.Contains(string(got), "\r\n\r\n") {
			return string(got)
		}
	}
}

// TestEventStaysOutside: the field that stops an application with our token added reaches it from no visitor, however it is
// spelled and wherever it stands, and nobody takes the token away.
func TestEventStaysOutside(t *testing.T) {
	const target = "/shop/iisintegration"
	h1 := func(fields, body string) func(*testing.T, string) {
		return func(t *testing.T, address string) {
			raw(t, address, "POST "+target+" HTTP/1.1\r\nHost: shop.example\r\n"+fields+"\r\n"+body, false)
		}
	}
	over := func(raw []hpack.HeaderField, trailer string) func(*testing.T, string) {
		return func(t *testing.T, address string) {
			d := downgrade{head: ":method: POST\n" + scheme + authority + ":path: " + target + "\n", raw: raw, trailer: trailer}
			d.play(t, address)
		}
	}
	const event = "MS-ASPNETCORE-EVENT"
	for name, tt := range map[string]struct {
		send func(t *testing.T, address string)
		none bool // nothing may reach the application
	}{
		"h1":                   {h1(event+": shutdown\r\nContent-Length: 0\r\n", ""), false},
		"h1 lower case":        {h1("ms-aspnetcore-event: shutdown\r\nContent-Length: 0\r\n", ""), false},
		"h1 underscores":       {h1("MS_ASPNETCORE_EVENT: shutdown\r\nMS-ASPNETCORE_EVENT: shutdown\r\nContent-Length: 0\r\n", ""), false},
		"h1 tab before colon":  {h1(event+"\t: shutdown\r\nContent-Length: 0\r\n", ""), true},
		"h1 folded":            {h1("X-A: 1\r\n "+event+": shutdown\r\nContent-Length: 0\r\n", ""), true},
		"h1 bare LF":           {h1("X-A: 1\n"+event+": shutdown\r\nContent-Length: 0\r\n", ""), true},
		"h1 bare CR":           {h1("X-A: 1\r"+event+": shutdown\r\nContent-Length: 0\r\n", ""), true},
		"h1 trailer":           {h1("Trailer: "+event+"\r\nTransfer-Encoding: chunked\r\n", "0\r\n"+event+": shutdown\r\n\r\n"), false},
		"h1 chunk extension":   {h1("Transfer-Encoding: chunked\r\n", "0;\n"+event+": shutdown\r\n\r\n"), true},
		"h1 token nominated":   {h1("Connection: MS-ASPNETCORE-TOKEN, ms_aspnetcore_token\r\n"+event+": shutdown\r\nContent-Length: 0\r\n", ""), false},
		"h1 token of its own":  {h1("MS-ASPNETCORE-TOKEN: forged\r\nms_aspnetcore_token: forged\r\nContent-Length: 0\r\n", ""), false},
		"h2":                   {over(one("ms-aspnetcore-event", "shutdown"), ""), false},
		"h2 underscores":       {over(one("ms_aspnetcore_event", "shutdown"), ""), false},
		"h2 upper case":        {over(one(event, "shutdown"), ""), true},
		"h2 line in a value":   {over(one("x-a", "1\r\n"+event+": shutdown"), ""), true},
		"h2 line in a name":    {over(one("x-a: 1\r\n"+event, "shutdown"), ""), true},
		"h2 line in the path":  {over(one(":path", target+" HTTP/1.1\r\n"+event+": shutdown\r\n\r\n"), ""), true},
		"h2 trailer":           {over(one("trailer", "ms-aspnetcore-event"), "ms-aspnetcore-event: shutdown\n"), false},
		"h2 token nominated":   {over(one("connection", "ms-aspnetcore-token"), ""), true},
		"h2 token of its own":  {over(one("ms-aspnetcore-token", "forged"), ""), false},
		"h2 upgrade to itself": {over(one("http2-settings", "AAMAAABk"), ""), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBackend(t)
			address, stop := proxy(t, b)
			tt.send(t, address)
			stop()
			b.stop()
			if tt.none != (len(b.whole) == 0) || len(b.whole) > 1 {
				t.Errorf("the application sees %q", b.whole)
			}
			for _, request := range slices.Concat(b.whole, b.cut) {
				like := strings.ReplaceAll(strings.ToUpper(request), "_", "-")
				if strings.Contains(like, event) || strings.Count(like, "MS-ASPNETCORE") != 1 || !strings.Contains(request, "\r\nMS-ASPNETCORE-TOKEN: "+token+"\r\n") {
					t.Errorf("the application sees %q", request)
				}
			}
		})
	}
}
