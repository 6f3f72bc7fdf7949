package rows

import (
	"bufio"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// C: what an application gets of a request.
func TestRequest(t *testing.T) {
	t.Parallel()
	plain := shared(t, func(r *recorder) *served { return serve(r, probe(r, outOfProcess, "")) })
	whole := shared(t, func(r *recorder) *served { return serve(r, compile(r, catchAll, appConfig(outOfProcess, ""))) })
	echoing := shared(t, func(r *recorder) *served { return serve(r, compile(r, echo, appConfig(outOfProcess, ""))) })
	behindTLS := sharedSecure(t, func(r *recorder) *secureSite { return secured(r, probe(r, outOfProcess, ""), "https") })
	row(t, "C01 fields of the module are the agent's alone", func(r *recorder) {
		s := plain(r)
		long := strings.Repeat("x", 1000)
		for _, name := range []string{"MS-ASPNETCORE", "mS-ASPNETCORE", "MS-ASPNETCORE-", "mS-ASPNETCORE-f", "MS-ASPNETCORE-" + long, "MS-ASPNETCORE-TOKEN"} {
			w := s.who("/who", name+": "+long)
			for field := range w.Headers {
				if strings.HasPrefix(strings.ToUpper(field), "MS-ASPNETCORE") && !strings.EqualFold(field, "MS-ASPNETCORE-TOKEN") {
					r.Errorf("%.20s reaches the application as %.20s", name, field)
				}
			}
			if token := w.field("MS-ASPNETCORE-TOKEN"); len(token) != 1 || token[0] == long {
				r.Errorf("%.20s: token %.50v", name, token)
			}
		}
	})
	row(t, "C03 the address of the client, with its port", func(r *recorder) {
		s := plain(r)
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			r.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
		a, err := receive(bufio.NewReader(conn), "GET")
		var w who
		if err != nil || json.Unmarshal([]byte(a.body), &w) != nil {
			r.Fatal(a, err)
		}
		want(r, "client", fmt.Sprintf("%s:%d", w.RemoteIP, w.RemotePort), conn.LocalAddr().String())
		r.saw(reply, "%s:%d", w.RemoteIP, w.RemotePort)
	})
	row(t, "C04 a chain of proxies is appended to", func(r *recorder) {
		s := plain(r)
		w := s.who("/who", "X-Forwarded-For: 10.1.2.3, 10.4.5.6:77")
		want(r, "client", w.RemoteIP, "127.0.0.1")
		want(r, "what is left of the field", strings.Join(w.field("X-Forwarded-For"), ", "), "10.1.2.3, 10.4.5.6:77")
	})
	row(t, "C05 the scheme in front", func(r *recorder) {
		s := behindTLS(r)
		w := s.whoSecure("/who", nil, "X-Forwarded-Proto: gopher")
		want(r, "scheme", w.Scheme, "https")
		want(r, "what is left of the field", strings.Join(w.field("X-Forwarded-Proto"), "|"), "gopher")
		want(r, "scheme of the plain listener", s.who("/who", "X-Forwarded-Proto: https").Scheme, "http")
	})
	row(t, "C07 two slashes stay two", func(r *recorder) {
		s := whole(r)
		for _, path := range []string{"//", "//a//b//", "/a//b"} {
			want(r, "path", s.get(path).body, path+" ")
		}
	})
	row(t, "C08 dot segments are gone before the application", func(r *recorder) {
		s := whole(r)
		for path, wanted := range map[string]string{"/x/../y": "/y", "/x/%2e%2e/y": "/y", "/x/%2E./y/.": "/y/", "/./a": "/a"} {
			want(r, path, s.get(path).body, wanted+" ")
		}
	})
	row(t, "C09 control characters are refused", func(r *recorder) {
		s := whole(r)
		want(r, "status", s.get("/").status, 200)
		for _, path := range []string{"/\x01", "/a\x1fb", "/\x7f", "/%00", "/a%00b"} {
			want(r, fmt.Sprintf("status for %q", path), s.get(path).status, 400)
		}
	})
	row(t, "C10 the path base of a sub-application", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /, root: "+compile(r, catchAll, appConfig(outOfProcess, "")), "path: /Sub/App, root: "+probe(r, outOfProcess, "")))
		for path, wanted := range map[string][2]string{
			"/Sub/App/who": {"/Sub/App", "/who"}, "/sub/APP/who": {"/sub/APP", "/who"}, "/SUB/app/who?x": {"/SUB/app", "/who"},
			"/x/../Sub/App/who": {"/Sub/App", "/who"}, "/Sub/./App/who": {"/Sub/App", "/who"}, "/Sub/App/%77ho": {"/Sub/App", "/who"},
		} {
			w := s.who(path)
			want(r, "path base of "+path, w.PathBase, wanted[0])
			want(r, "path of "+path, w.Path, wanted[1])
		}
		for _, path := range []string{"/Sub/App", "/Sub/App/"} {
			if a := s.get(path); a.status != 200 || !strings.HasPrefix(a.body, "probe ") {
				r.Errorf("%s: %v", path, a)
			}
		}
		for _, path := range []string{"/Sub/Apple/who", "/Sub/", "/Sub/Ap", "/other/Sub/App/who"} {
			want(r, "outside", s.get(path).body, path+" ")
		}
	})
	row(t, "C11 bodies in both directions at once", func(r *recorder) {
		s := echoing(r)
		text := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
		for _, path := range []string{"/read-then-write", "/copy", "/copy"} {
			if a := s.ask("POST", path, text); a.body != text {
				r.Errorf("%s: %d of %d bytes come back", path, len(a.body), len(text))
			}
		}
		s.interleaved("/copy")
	})
	row(t, "C13 a chunked request", func(r *recorder) {
		s := plain(r)
		body := strings.Repeat("x", 100_000)
		chunked := fmt.Sprintf("1\r\nx\r\n%x;ext=1\r\n%s\r\n0\r\n\r\n", len(body)-1, body[1:])
		s.uploaded(s.ask("POST", "/upload", chunked, "Transfer-Encoding: chunked"), body)
	})
	row(t, "C15 POST", func(r *recorder) {
		s := echoing(r)
		for _, body := range []string{"a", strings.Repeat("körper ", 70)} {
			a := s.ask("POST", "/read-then-write", body)
			want(r, "status", a.status, 200)
			want(r, "body", a.body, body)
		}
	})
	row(t, "C20 bytes that are no ASCII in a field", func(r *recorder) {
		s := plain(r)
		a := s.get("/who", "X-Latin: \xa3\xe9")
		// Kestrel takes UTF-8 unless it is told otherwise, and refuses the rest by itself.
		want(r, "status for Latin-1", a.status, 400)
		want(r, "UTF-8", strings.Join(s.who("/who", "X-Latin: £é").field("X-Latin"), ""), "£é")
	})
	row(t, "C21 Authorization reaches the application", func(r *recorder) {
		s := plain(r)
		want(r, "field", strings.Join(s.who("/who", "Authorization: Basic YTpi").field("Authorization"), "|"), "Basic YTpi")
	})
	row(t, "C22 the certificate of a client", func(r *recorder) {
		s := behindTLS(r)
		want(r, "without one", s.whoSecure("/who", nil).ClientCertificate, "")
		cert := s.ca.Issue(time.Hour, "visitor")
		want(r, "with one", s.whoSecure("/who", &cert).ClientCertificate, fmt.Sprintf("%X", sha1.Sum(cert.Certificate[0])))
	})
	row(t, "C24 a request over https", func(r *recorder) {
		s := behindTLS(r)
		w := s.whoSecure("/who", nil)
		want(r, "scheme", w.Scheme, "https")
		want(r, "path", w.Path, "/who")
	})
	row(t, "C27 Connection and WebSocket extensions are not passed", func(r *recorder) {
		s := plain(r)
		w := s.who("/who", "Connection: close, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "X-Stays: 1")
		if v := w.field("Connection"); len(v) > 0 {
			r.Errorf("Connection: %v", v)
		}
		want(r, "another field", strings.Join(w.field("X-Stays"), ""), "1")
		a := s.upgrade("/ws", "Sec-WebSocket-Extensions: permessage-deflate").answer
		want(r, "status", a.status, 101)
		want(r, "extensions", a.header.Get("Sec-WebSocket-Extensions"), "")
	})
	row(t, "C29 trailers of an answer", func(r *recorder) {
		s := secured(r, probe(r, outOfProcess, variables("Kestrel__EndpointDefaults__Protocols", "Http2")), "https")
		client := http.Client{Timeout: lab.Deadline, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool(), ServerName: "shop.example"}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
		}}
		response, err := client.Get("https://" + s.secure["https"] + "/trailers")
		if err != nil {
			r.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || string(body) != "body\n" || response.ProtoMajor != 2 {
			r.Errorf("%s %q, %v", response.Proto, body, err)
		}
		want(r, "trailer", response.Trailer.Get("x-sum"), "42")
		r.saw(reply, "trailers %v", response.Trailer)
	})
	row(t, "C31 a length beyond 32 bits", func(r *recorder) {
		folder := compile(r, firstBytes, appConfig(outOfProcess, ""))
		s := serve(r, siteFile(r, "shop", "path: /, root: "+folder+", limits: {body: none}"))
		a := s.ask("POST", "/", "0123456789", "Content-Length: 5000000000")
		want(r, "status", a.status, 200)
		want(r, "what the application was told", a.body, "5000000000 0123456789")
	})
}

const echo = `var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(k => k.Limits.MaxRequestBodySize = null);
var app = builder.Build();
app.MapPost("/read-then-write", async (HttpContext c) => {
	var all = new MemoryStream();
	await c.Request.Body.CopyToAsync(all);
	all.Position = 0;
	await all.CopyToAsync(c.Response.Body);
});
app.MapPost("/copy", async (HttpContext c) => {
	await c.Response.Body.FlushAsync();
	var buffer = new byte[4096];
	for (int n; (n = await c.Request.Body.ReadAsync(buffer)) > 0;) {
		await c.Response.Body.WriteAsync(buffer.AsMemory(0, n));
		await c.Response.Body.FlushAsync();
	}
});
app.Run();`

const firstBytes = `var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(k => k.Limits.MaxRequestBodySize = null);
var app = builder.Build();
app.MapPost("/", async (HttpContext c) => {
	var b = new byte[10];
	await c.Request.Body.ReadExactlyAsync(b);
	return c.Request.ContentLength + " " + System.Text.Encoding.ASCII.GetString(b);
});
app.Run();`

// interleaved sends pieces of a body, each of which must come back before the next is sent.
func (s *served) interleaved(path string) {
	s.r.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.r.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(lab.Deadline))
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n", path)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.r.Fatal(err)
	}
	defer response.Body.Close()
	for i := range 5 {
		piece := fmt.Sprintf("piece %04d", i)
		got := make([]byte, len(piece))
		io.WriteString(conn, piece)
		if _, err := io.ReadFull(response.Body, got); err != nil || string(got) != piece {
			s.r.Fatalf("piece %d comes back as %q, %v", i, got, err)
		}
	}
	s.r.saw(reply, "five pieces, each before the next was sent")
}

// uploaded compares what the probe got with what was sent.
func (s *served) uploaded(a answer, body string) {
	s.r.Helper()
	wanted := fmt.Sprintf(`{"bytes":%d,"sha256":"%x"}`, len(body), sha256.Sum256([]byte(body)))
	if a.status != 200 || a.body != wanted {
		s.r.Errorf("%v, want %s", a, wanted)
	}
}

// whoSecure is who over TLS, with a client's certificate if there is one.
func (s *secureSite) whoSecure(path string, cert *tls.Certificate, fields ...string) who {
	s.r.Helper()
	config := &tls.Config{RootCAs: s.ca.Pool(), ServerName: "shop.example"}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	conn, err := tls.Dial("tcp", s.secure["https"], config)
	if err != nil {
		s.r.Fatal(err)
	}
	defer conn.Close()
	lines := slices.Concat([]string{"GET " + path + " HTTP/1.1", "Host: shop.example", "Connection: close"}, fields, []string{"", ""})
	io.WriteString(conn, strings.Join(lines, "\r\n"))
	a, err := receive(bufio.NewReader(conn), "GET")
	var w who
	if err != nil || json.Unmarshal([]byte(a.body), &w) != nil {
		s.r.Fatal(a, err)
	}
	s.r.saw(reply, "https %s: %s", path, a.code())
	return w
}
