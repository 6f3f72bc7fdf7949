package supervise

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

// What an application answers to a warm-up takes no memory of the agent, and becomes no text that is not a status.
func TestWarmupAnswers(t *testing.T) {
	for name, c := range map[string]struct{ answer, status, wrong string }{
		"plain":       {"HTTP/1.1 204 No Content\r\n\r\n", "204", ""},
		"no reason":   {"HTTP/1.1 500\r\n\r\n", "500", ""},
		"with a body": {"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 1<<20), "200", ""},
		"no line":     {strings.Repeat("x", 1<<20), "", "not in HTTP"},
		"no status":   {"HTTP/1.1 " + strings.Repeat("9", 100) + "\r\n\r\n", "", "not in HTTP"},
		"no HTTP":     {"220 mail.example ESMTP\r\n", "", "not in HTTP"},
		"nothing":     {"", "", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = conn.Write([]byte(c.answer))
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			i := &instance{pool: &Pool{}, at: process.Endpoint{Port: uint16(l.Addr().(*net.TCPAddr).Port)}}
			status, err := i.askFor(ctx, WarmupRequest{Target: "/", Host: "shop.test"})
			if status != c.status || (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%.40q, %v, want %q and %q", status, err, c.status, c.wrong)
			}
		})
	}
}
