package forward

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

func crlf(s string) string { return strings.ReplaceAll(strings.TrimPrefix(s, "\n"), "\n", "\r\n") }

// parsed makes a request of a head, as ingress does.
func parsed(head string) (*Request, error) {
	var h h1.Request
	if err := h.Parse([]byte(head)); err != nil {
		return nil, err
	}
	return &Request{
		Method: h.Method, Path: h.Target, Host: h.Host, Fields: h.Fields, ContentLength: h.Length,
		Upgrade: h.Upgrade, Expect100: h.Expect, Client: netip.MustParseAddrPort("192.0.2.1:4711"),
	}, nil
}

// TestRequestHead shows what the application gets, byte for byte (FWD-1 to FWD-9).
func TestRequestHead(t *testing.T) {
	const forwarded = "X-Forwarded-For: 192.0.2.1:4711\nX-Forwarded-Proto: http\n"
	const tail = "MS-ASPNETCORE-TOKEN: t0ken\n" + forwarded + "\n"
	tests := []struct{ name, head, want string }{
		{"order and spelling are kept", "GET /a?b HTTP/1.1\nhost: x\nB: 2\na:1\n\n",
			"GET /a?b HTTP/1.1\nHost: x\nB: 2\na: 1\n" + tail},
		{"authority of the target", "GET http://y/p HTTP/1.1\nHost: x\n\n", "GET /p HTTP/1.1\nHost: y\n" + tail},
		{"hop by hop", "GET / HTTP/1.1\nHost: x\nConnection: keep-alive\nKeep-Alive: 1\nProxy-Connection: a\nTE: trailers\nTrailer: a\nUpgrade: h2c\nHTTP2-Settings: a\n\n",
			"GET / HTTP/1.1\nHost: x\n" + tail},
		{"nominated", "GET / HTTP/1.1\nHost: x\nConnection: close, b\nB: 1\nBc: 2\nConnection: c\nC: 3\n\n",
			"GET / HTTP/1.1\nHost: x\nBc: 2\n" + tail},
		{"everything of IIS", "GET / HTTP/1.1\nHost: x\nMS-ASPNETCORE-EVENT: shutdown\nms-aspnetcore-token: forged\nMS_ASPNETCORE_TOKEN: forged\nMS-ASPNETCORE: a\nMS-ASPNETCORE-CLIENTCERT: a\nMS-ASPNETCORE-WINAUTHTOKEN: a\nmS-ASPNETCORE-f: a\nMS-ASPNETCORE0: a\nMS-ASPNETCOR: kept\n\n",
			"GET / HTTP/1.1\nHost: x\nMS-ASPNETCOR: kept\n" + tail},
		{"our fields cannot be nominated away", "GET / HTTP/1.1\nHost: x\nConnection: MS-ASPNETCORE-TOKEN, X-Forwarded-Proto, X-Forwarded-For\nX-Forwarded-For: 6.6.6.6\n\n",
			"GET / HTTP/1.1\nHost: x\n" + tail},
		{"forwarded fields are appended to, in one", "GET / HTTP/1.1\nHost: x\nX-Forwarded-For: 1.1.1.1\nx-forwarded-for: 2.2.2.2:5, 3.3.3.3\nX-Forwarded-Proto: https\nX-Forwarded-For:\n\n",
			"GET / HTTP/1.1\nHost: x\nMS-ASPNETCORE-TOKEN: t0ken\nX-Forwarded-For: 1.1.1.1, 2.2.2.2:5, 3.3.3.3, 192.0.2.1:4711\nX-Forwarded-Proto: https, http\n\n"},
		{"other spellings of ours", "GET / HTTP/1.1\nHost: x\nX_Forwarded_For: 6.6.6.6\nX-Forwarded_Proto: https\nContent_Length: 5\nTransfer_Encoding: chunked\n\n",
			"GET / HTTP/1.1\nHost: x\n" + tail},
		{"what passes", "GET / HTTP/1.1\nHost: x\nAuthorization: a\nProxy-Authorization: b\nX-Forwarded-Host: c\nX-Original-For: d\nForwarded: e\n\n",
			"GET / HTTP/1.1\nHost: x\nAuthorization: a\nProxy-Authorization: b\nX-Forwarded-Host: c\nX-Original-For: d\nForwarded: e\n" + tail},
		{"POST without a body", "POST / HTTP/1.1\nHost: x\n\n", "POST / HTTP/1.1\nHost: x\nContent-Length: 0\n" + tail},
		{"chunked", "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n", "GET / HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n" + tail},
		{"length", "PUT / HTTP/1.1\nHost: x\nContent-Length: 007\n\n", "PUT / HTTP/1.1\nHost: x\nContent-Length: 7\n" + tail},
		{"websocket", "GET / HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: WebSocket\nSec-WebSocket-Extensions: permessage-deflate\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
			"GET / HTTP/1.1\nHost: x\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nConnection: Upgrade\nUpgrade: websocket\n" + tail},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := parsed(crlf(tt.head))
			if err != nil {
				t.Fatal(err)
			}
			head, _ := appendRequest(nil, r, &Options{Token: "t0ken"})
			if got := strings.ReplaceAll(string(head), "\r\n", "\n"); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// The certificate is the one that TLS has verified, whatever the client says (FWD-2, FWD-7).
func TestClientCertificate(t *testing.T) {
	r, err := parsed(crlf("GET / HTTP/1.1\nHost: x\nConnection: MS-ASPNETCORE-CLIENTCERT\nMS-ASPNETCORE-CLIENTCERT: forged\nms_aspnetcore_clientcert: forged\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	const field = "MS-ASPNETCORE-CLIENTCERT: TUlJ\r\n"
	for _, tt := range []struct {
		certificate string
		generic     bool
		want        int
	}{{"TUlJ", false, 1}, {"", false, 0}, {"TUlJ", true, 0}} {
		r.ClientCertificate = []byte(tt.certificate)
		head, _ := appendRequest(nil, r, &Options{Token: "t0ken", Generic: tt.generic})
		if got := string(head); strings.Contains(got, "forged") || strings.Count(got, field) != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

func TestForwardedAddress(t *testing.T) {
	for client, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1:80", "[::1]:51234": "[::1]:51234", "[::ffff:192.0.2.1]:1": "192.0.2.1:1", "[fe80::1%eth0]:1": "[fe80::1]:1",
	} {
		r := &Request{Client: netip.MustParseAddrPort(client), Secure: true}
		want = "X-Forwarded-For: " + want + "\r\nX-Forwarded-Proto: https\r\n"
		if got := string(appendForwarded(nil, r, false, false)); got != want {
			t.Errorf("%s: %q", client, got)
		}
	}
}

// An application of the generic profile gets nothing of IIS, addresses without ports, and the host name.
func TestGenericHead(t *testing.T) {
	const ends = "X-Forwarded-Proto: http\nX-Forwarded-Host: shop.example:80\n\n"
	for _, tt := range []struct{ client, head, want string }{
		{"192.0.2.1:4711", "MS-ASPNETCORE-TOKEN: forged\nA: 1\n", "A: 1\nX-Forwarded-For: 192.0.2.1\n"},
		{"[2001:db8::1]:4711", "X-Forwarded-For: 6.6.6.6\n", "X-Forwarded-For: 6.6.6.6, 2001:db8::1\n"},
		{"192.0.2.1:4711", "X-Forwarded-Host: evil.example\nx_forwarded_host: evil.example\nConnection: X-Forwarded-Host\n", "X-Forwarded-For: 192.0.2.1\n"},
	} {
		r, err := parsed(crlf("GET / HTTP/1.1\nHost: shop.example:80\n" + tt.head + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		r.Client = netip.MustParseAddrPort(tt.client)
		head, _ := appendRequest(nil, r, &Options{Token: "t0ken", Generic: true})
		want := "GET / HTTP/1.1\nHost: shop.example:80\n" + tt.want + ends
		if got := strings.ReplaceAll(string(head), "\r\n", "\n"); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
}

// What a trusted proxy has told is passed on as it is, in one field, whatever Connection says; what it has not is ours.
func TestToldByProxy(t *testing.T) {
	for _, tt := range []struct {
		name, head     string
		client, scheme bool
		want           string
	}{
		{"both", "X-Forwarded-For: 6.6.6.6, 7.7.7.7:1\nx-forwarded-proto: http\nX-Forwarded-Proto: https\n", true, true,
			"X-Forwarded-For: 6.6.6.6, 7.7.7.7:1\nX-Forwarded-Proto: http, https\n"},
		{"client", "X-Forwarded-For: 6.6.6.6\nX-Forwarded-For: 7.7.7.7\n", true, false,
			"X-Forwarded-For: 6.6.6.6, 7.7.7.7\nX-Forwarded-Proto: https\n"},
		{"scheme", "X-Forwarded-For: nobody\nX-Forwarded-Proto: https\n", false, true,
			"X-Forwarded-For: nobody, 192.0.2.1:4711\nX-Forwarded-Proto: https\n"},
		{"nominated", "Connection: X-Forwarded-For, X-Forwarded-Proto\nX-Forwarded-For: 7.7.7.7\nX-Forwarded-Proto: https\n", true, true,
			"X-Forwarded-For: 7.7.7.7\nX-Forwarded-Proto: https\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := parsed(crlf("GET / HTTP/1.1\nHost: x\n" + tt.head + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			r.Secure, r.ClientTold, r.SchemeTold = true, tt.client, tt.scheme
			head, _ := appendRequest(nil, r, &Options{})
			want := "GET / HTTP/1.1\nHost: x\n" + tt.want + "\n"
			if got := strings.ReplaceAll(string(head), "\r\n", "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAnswerFields(t *testing.T) {
	const token = "0123456789abcdef"
	head := crlf("HTTP/1.1 200 " + token + "\nServer: Kestrel\nDate: today\nTransfer-Encoding: chunked\nConnection: close, x-hop\nx-ancora-error: 500\nKeep-Alive: timeout=5\n" +
		"X-Hop: 1\nSet-Cookie: a\nSet-Cookie: b\nTrailer: x\nMS-ASPNETCORE-TOKEN: a\nms_aspnetcore_x: a\nX-" + token + ": a\nX-Echo: <" + token + ">\nX-Part: " + token[1:] + "\nProxy-Authenticate: Basic\n\n")
	var a h1.Response
	if err := a.Parse([]byte(head)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range filterAnswer(&a, token) {
		got = append(got, string(f.Name)+": "+string(f.Value))
	}
	if len(a.Reason) > 0 {
		t.Errorf("reason %q", a.Reason)
	}
	want := "Server: Kestrel|Set-Cookie: a|Set-Cookie: b|X-Part: 123456789abcdef|Proxy-Authenticate: Basic"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestEventStream(t *testing.T) {
	for value, want := range map[string]bool{
		"text/event-stream": true, "Text/Event-Stream": true, "text/event-stream; charset=utf-8": true, "text/event-stream ;x": true,
		"": false, "text/html": false, "text/event-streams": false, "application/json; x=text/event-stream": false,
	} {
		if got := isEventStream([]Field{{Name: []byte("Server"), Value: []byte("x")}, {Name: []byte("CONTENT-TYPE"), Value: []byte(value)}}); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	if isEventStream(nil) {
		t.Error("no field at all")
	}
}
