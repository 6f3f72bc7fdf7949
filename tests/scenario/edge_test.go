package scenario

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// A policy that begins to ask for the PROXY header is in force without a restart: who sends one is the client that it
// names, for the application too, who sends none is not served, and a source has as many connections as it may.
func TestEdgeOfPolicy(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	if a := f.Get("web1", "shop", "/headers"); a.Status != 200 || !strings.Contains(a.Body, "X-Forwarded-For: 127.0.0.1:") {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	policy := strings.Replace(read(t, web1.Policy), "http: 127.0.0.1:0",
		`http: {address: "127.0.0.1:0", proxyProtocol: true, trustedProxies: [10.0.0.0/8, 127.0.0.1], maxConnectionsPerSource: 1}`, 1)
	if err := os.WriteFile(web1.Policy, []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	const request = "GET /headers HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 198.51.100.9\r\nX-Forwarded-Proto: https\r\n\r\n"
	lab.Eventually(t, func() string {
		_, answer := say(t, web1.Address, "PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"+request)
		if strings.Contains(answer, "X-Forwarded-For: 198.51.100.9, 192.0.2.7:4711\n") && strings.Contains(answer, "X-Forwarded-Proto: https, http\n") {
			return ""
		}
		return "the client of the header is not the application's: " + answer
	})
	if _, answer := say(t, web1.Address, request); answer != "" {
		t.Errorf("without a header: %s", answer)
	}
	// A proxy that is trusted itself, named by the one in front of it, is believed, and may have any number of connections.
	for range 2 {
		c, answer := say(t, web1.Address, "PROXY TCP4 10.0.0.9 127.0.0.1 4711 80\r\n"+request)
		defer c.Close()
		if !strings.Contains(answer, "X-Forwarded-For: 198.51.100.9\n") || !strings.Contains(answer, "X-Forwarded-Proto: https\n") {
			t.Errorf("behind two proxies: %s", answer)
		}
	}
	first, answer := say(t, web1.Address, "PROXY TCP4 192.0.2.8 127.0.0.1 4711 80\r\n"+request)
	defer first.Close()
	if answer == "" {
		t.Error("the first of a source is refused")
	}
	if _, answer := say(t, web1.Address, "PROXY TCP4 192.0.2.8 127.0.0.1 4712 80\r\n"+request); answer != "" {
		t.Errorf("the second of a source: %s", answer)
	}
}

// say sends text on a connection of its own and gives the body of the answer; empty: it was closed without one.
func say(t *testing.T, address, text string) (net.Conn, string) {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, lab.Deadline)
	if err != nil {
		return nil, ""
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(lab.Deadline))
	if _, err := io.WriteString(c, text); err != nil {
		return c, ""
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return c, ""
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return c, ""
	}
	return c, string(body)
}
