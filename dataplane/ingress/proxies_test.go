package ingress

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
)

func networks(all ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range all {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// client tells who is taken for the client.
func client(r *forward.Request, w forward.ResponseWriter) {
	text := fmt.Sprintf("%s %v %v %v", r.Client.Addr(), r.Secure, r.ClientTold, r.SchemeTold)
	w.Head(200, nil, int64(len(text)))
	w.Write([]byte(text))
}

// TestTrustedProxies: a trusted proxy says who the client is in its last entries, of one line or of several; nobody else
// does, and what it says badly is not taken.
func TestTrustedProxies(t *testing.T) {
	own := func(address string) string { return address + " false false false" }
	s := start(t, door(client), Options{H2C: true, TrustedProxies: networks("10.0.0.0/8", "127.0.0.2/32")})
	for _, tt := range []struct {
		name, from string
		fields     http.Header
		want       string
	}{
		{"last of a list", "127.0.0.2", http.Header{"X-Forwarded-For": {"6.6.6.6, 192.0.2.7:80"}, "X-Forwarded-Proto": {"http, https"}}, "192.0.2.7 true true true"},
		{"last of two lines", "127.0.0.2", http.Header{"X-Forwarded-For": {"6.6.6.6", "2001:db8::7"}, "X-Forwarded-Proto": {"https", "HTTP"}}, "2001:db8::7 false true true"},
		{"client alone", "127.0.0.2", http.Header{"X-Forwarded-For": {"[2001:db8::7]:80"}}, "2001:db8::7 false true false"},
		{"scheme alone", "127.0.0.2", http.Header{"X-Forwarded-Proto": {"https"}}, "127.0.0.2 true false true"},
		{"nothing", "127.0.0.2", http.Header{}, own("127.0.0.2")},
		{"malformed", "127.0.0.2", http.Header{"X-Forwarded-For": {"192.0.2.7, unknown"}, "X-Forwarded-Proto": {"https, ftp"}}, own("127.0.0.2")},
		{"empty at the end", "127.0.0.2", http.Header{"X-Forwarded-For": {"192.0.2.7,"}, "X-Forwarded-Proto": {"https,"}}, own("127.0.0.2")},
		{"another spelling", "127.0.0.2", http.Header{"X_Forwarded_For": {"192.0.2.7"}}, own("127.0.0.2")},
		{"anybody else", "127.0.0.3", http.Header{"X-Forwarded-For": {"192.0.2.7"}, "X-Forwarded-Proto": {"https"}}, own("127.0.0.3")},
	} {
		for major, transport := range transports(t, tt.from) {
			request, err := http.NewRequest("GET", "http://"+s.addr, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = tt.fields
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			if got := text(t, response); got != tt.want || response.ProtoMajor != major {
				t.Errorf("%s, HTTP/%d: %q, want %q", tt.name, response.ProtoMajor, got, tt.want)
			}
		}
	}
}

// transports speak each version from an address.
func transports(t *testing.T, from string) map[int]*http.Transport {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	both := map[int]*http.Transport{1: {DialContext: dialer.DialContext}, 2: {DialContext: dialer.DialContext, Protocols: protocols}}
	t.Cleanup(func() {
		for _, each := range both {
			each.CloseIdleConnections()
		}
	})
	return both
}

func text(t *testing.T, response *http.Response) string {
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return string(all)
}

// TestBelievingAllocatesNothing, since every request of a trusted proxy does it.
func TestBelievingAllocatesNothing(t *testing.T) {
	r := forward.Request{Fields: []h1.Field{
		{Name: []byte("X-Forwarded-For"), Value: []byte("6.6.6.6, [2001:db8::7]:80")}, {Name: []byte("X-Forwarded-Proto"), Value: []byte("https")},
	}}
	if n := testing.AllocsPerRun(1000, func() { believe(&r) }); n != 0 || !r.ClientTold || !r.SchemeTold {
		t.Errorf("%v allocations, %v", n, r)
	}
}

func TestParseClient(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7": "192.0.2.7:0", "192.0.2.7:80": "192.0.2.7:80", "::1": "[::1]:0", "[::1]": "[::1]:0", "[::1]:65535": "[::1]:65535",
		"::ffff:192.0.2.7": "192.0.2.7:0", "[::ffff:192.0.2.7]:1": "192.0.2.7:1",
		"": "", "unknown": "", "_hidden": "", "192.0.2": "", "192.0.2.07": "", "192.0.2.7:": "", "192.0.2.7:65536": "", "192.0.2.7:-1": "", "192.0.2.7:8 ": "",
		"[192.0.2.7]": "", "[::1": "", "[::1]80": "", "[::1]:": "", "::1]": "", "fe80::1%eth0": "", "localhost:80": "", `"[::1]"`: "", "192.0.2.7:80:80": "",
	} {
		got, ok := parseClient([]byte(text))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v %v, want %q", text, got, ok, want)
		}
	}
}

// FuzzLastEntry: what is taken for the client is the last thing said, and what a strict parser takes for an address.
func FuzzLastEntry(f *testing.F) {
	for _, seed := range []string{"192.0.2.7", "a, 192.0.2.7:80", "[::1]:80", "::ffff:1.2.3.4", "x,", "[::1", "1.2.3.4:99999", "fe80::1%a"} {
		f.Add("6.6.6.6", seed)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		fields := []h1.Field{{Name: []byte("X-Forwarded-For"), Value: []byte(first)}, {Name: []byte("x-forwarded-FOR"), Value: h1.Trim([]byte(second))}}
		entry := string(lastEntry(fields, "x-forwarded-for"))
		said := first
		if strings.Trim(second, " \t") != "" {
			said = second
		}
		said = said[strings.LastIndexByte(said, ',')+1:]
		if entry != strings.Trim(said, " \t") {
			t.Fatalf("%q of %q, %q", entry, first, second)
		}
		got, ok := parseClient([]byte(entry))
		if !ok {
			return
		}
		if got.Addr().Zone() != "" || got.Addr().Is4In6() {
			t.Fatalf("%q: %v", entry, got)
		}
		want, err := netip.ParseAddrPort(entry)
		if err != nil {
			var addr netip.Addr
			addr, err = netip.ParseAddr(strings.Trim(entry, "[]"))
			want = netip.AddrPortFrom(addr, 0)
		}
		if err != nil || netip.AddrPortFrom(want.Addr().Unmap(), want.Port()) != got {
			t.Fatalf("%q: %v, %v %v", entry, got, want, err)
		}
	})
}
