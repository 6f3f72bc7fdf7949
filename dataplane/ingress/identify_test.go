package ingress

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/proxyproto"
)

const (
	proxyV1 = "PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n"
	proxyV2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x12\x67\x01\xbb"
	proxyLocal = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

// who tells the client and its port.
func who(r *forward.Request, w forward.ResponseWriter) {
	text := r.Client.String()
	w.Head(200, nil, int64(len(text)))
	w.Write([]byte(text))
}

// TestProxyProtocol: the header says who the client is, for all requests of the connection, in whatever pieces it comes.
func TestProxyProtocol(t *testing.T) {
	s := start(t, door(who), Options{ProxyProtocol: true})
	for name, tt := range map[string]struct{ header, want string }{
		"version 1": {proxyV1, "192.0.2.7:4711"}, "version 2": {proxyV2, "[2001:db8::7]:4711"},
		"local": {proxyLocal, ""}, "unknown": {"PROXY UNKNOWN\r\n", ""},
	} {
		const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
		together, apart := dial(t, s), dial(t, s)
		together.say(tt.header + request + request)
		for _, b := range []byte(tt.header + request) {
			apart.Write([]byte{b})
		}
		for _, c := range []*wire{together, together, apart} {
			want := tt.want
			if want == "" {
				want = c.LocalAddr().String()
			}
			if _, body := c.answer("GET"); body != want {
				t.Errorf("%s: %q, want %q", name, body, want)
			}
		}
	}
}

// TestProxyProtocolH2: the header comes before the preface too.
func TestProxyProtocolH2(t *testing.T) {
	s := start(t, door(who), Options{ProxyProtocol: true, H2C: true})
	for header, want := range map[string]string{proxyV1: "192.0.2.7:4711", proxyV2: "[2001:db8::7]:4711"} {
		transport := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				_, err = io.WriteString(c, header)
			}
			return c, err
		}}
		transport.Protocols.SetUnencryptedHTTP2(true)
		response, err := (&http.Client{Transport: transport}).Get("http://" + s.addr)
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, response); got != want || response.ProtoMajor != 2 {
			t.Errorf("HTTP/%d: %q, want %q", response.ProtoMajor, got, want)
		}
		transport.CloseIdleConnections()
	}
}

// TestProxyProtocolRequired: whoever says nothing of the kind, the wrong thing, or not in time, is not served, and is not
// answered either: it may not speak HTTP.
func TestProxyProtocolRequired(t *testing.T) {
	s := start(t, door(who), Options{ProxyProtocol: true, HeadLimit: 200 * time.Millisecond})
	for name, sent := range map[string]string{
		"a request": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "broken": "PROXY TCP4 192.0.2.7\r\n", "twice as HTTP": proxyV1 + proxyV1,
		"nothing": "", "half": proxyV1[:20], "half of version 2": proxyV2[:30],
	} {
		c := dial(t, s)
		c.say(sent)
		if got, err := io.ReadAll(c.r); name != "twice as HTTP" && (len(got) > 0 || strings.Contains(fmt.Sprint(err), "timeout")) || strings.Contains(string(got), "200 OK") {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

// TestProxyProtocolFromTrusted: with trusted proxies only they may connect, and the client they name is no proxy for it:
// what it says in fields is believed only if it is trusted itself.
func TestProxyProtocolFromTrusted(t *testing.T) {
	s := start(t, door(client), Options{ProxyProtocol: true, TrustedProxies: networks("127.0.0.2/32", "10.0.0.0/8"), Own: "secret"})
	ask := func(from, header string) string {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, header+"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.9\r\nConnection: close\r\n\r\n")
		got, _ := io.ReadAll(c)
		_, body, _ := strings.Cut(string(got), "\r\n\r\n")
		return body
	}
	for _, tt := range []struct{ from, header, want string }{
		{"127.0.0.2", proxyV1, "192.0.2.7 false false false"},
		{"127.0.0.2", "PROXY TCP4 10.0.0.9 10.0.0.1 4711 80\r\n", "198.51.100.9 false true false"},
		{"127.0.0.2", proxyLocal, "198.51.100.9 false true false"},
		{"127.0.0.3", proxyV1, ""},
		{"127.0.0.3", string(proxyproto.Own("secret")), "127.0.0.3 false false false"},
		{"127.0.0.3", string(proxyproto.Own("another")), ""},
		{"127.0.0.3", proxyLocal, ""},
	} {
		if got := ask(tt.from, tt.header); got != tt.want {
			t.Errorf("from %s, %q: %q, want %q", tt.from, tt.header, got, tt.want)
		}
	}
}
