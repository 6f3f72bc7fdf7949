package scenario

import (
	"bufio"
	"fmt"
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
	writePolicy(t, web1, policy)
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
	// The agent gets through to its own listener, to see whether a notice holds, though it is no trusted proxy.
	writePolicy(t, web1, strings.Replace(policy, "[10.0.0.0/8, 127.0.0.1]", "[10.0.0.0/8]", 1))
	lab.Eventually(t, func() string {
		if _, answer := say(t, web1.Address, "PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"+request); answer != "" {
			return answer
		}
		return ""
	})
	if out := f.Must("offline", "shop", "--for", "10m"); !strings.Contains(out, "1/1 hosts") {
		t.Error(out)
	}
}

// An agent that cannot prove a notice, because its own request is one connection of its source too many, stops all the same.
func TestStopsWhileANoticeIsNotProven(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	writePolicy(t, web1, strings.Replace(read(t, web1.Policy), "http: 127.0.0.1:0", `http: {address: "127.0.0.1:0", maxConnectionsPerSource: 1}`, 1))
	lab.Eventually(t, func() string {
		const request = "GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n"
		first, one := say(t, web1.Address, request)
		second, two := say(t, web1.Address, request)
		if one != "" && two == "" {
			return ""
		}
		for _, c := range []net.Conn{first, second} {
			if c != nil {
				c.Close()
			}
		}
		return fmt.Sprintf("the first gets %q, the second %q", one, two)
	})
	if r := f.CLI("offline", "shop", "--for", "10m", "--timeout", "2s"); !strings.Contains(r.Out+r.Errors, "0/1 hosts") {
		t.Fatalf("it is proven: %+v", r)
	}
	web1.Stop(t)
}

func writePolicy(t *testing.T, h *lab.Host, text string) {
	t.Helper()
	if err := os.WriteFile(h.Policy, []byte(text), 0o644); err != nil {
		t.Fatal(err)
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
