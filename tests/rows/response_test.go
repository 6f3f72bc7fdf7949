package rows

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// D: what a client gets of an answer, and what an application learns of a client that leaves.
func TestAnswer(t *testing.T) {
	t.Parallel()
	plain := shared(t, func(r *recorder) *served { return serve(r, probe(r, outOfProcess, "")) })
	app := shared(t, func(r *recorder) *served { return serve(r, answers(r)) })
	row(t, "D01 fields of one name keep their values and their order", func(r *recorder) {
		a := app(r).get("/fields")
		want(r, "X-Many", strings.Join(a.header.Values("X-Many"), "|"), "one|two|three")
		want(r, "Set-Cookie", strings.Join(a.header.Values("Set-Cookie"), "|"), "b=1|a=2")
		want(r, "WWW-Authenticate", strings.Join(a.header.Values("WWW-Authenticate"), "|"), "Basic|Bearer")
		want(r, "Content-Language", a.header.Get("Content-Language"), "de")
	})
	row(t, "D02 a field without a value", func(r *recorder) {
		for _, model := range models() {
			a := serve(r, compile(r, answersApp, appConfig(model, ""))).get("/empty")
			want(r, "status", a.status, 200)
			want(r, "X-Full", a.header.Get("X-Full"), "yes")
			want(r, "times X-Empty", len(a.header.Values("X-Empty")), 0) // the server of .NET does not send it
		}
	})
	row(t, "D03 the application names its server", func(r *recorder) {
		want(r, "Server", plain(r).get("/server?name=MyServer").header.Get("Server"), "MyServer")
	})
	row(t, "D05 answers without a body", func(r *recorder) {
		s := plain(r)
		for _, code := range []int{204, 304} {
			a := s.get(fmt.Sprintf("/status/%d", code))
			want(r, "status", a.status, code)
			want(r, "body", a.body, "")
			want(r, "Transfer-Encoding", a.header.Get("Transfer-Encoding"), "")
		}
	})
	row(t, "D06 the application throws in a request", func(r *recorder) {
		a := plain(r).get("/throw")
		want(r, "status", a.status, 500)
		want(r, "body", a.body, "")
		want(r, "length", a.header.Get("Content-Length"), "0")
	})
	row(t, "D07 a status and a reason of the application's own", func(r *recorder) {
		a := app(r).get("/reason")
		want(r, "status", a.status, 418)
		want(r, "reason", a.reason, "Custom Reason")
		want(r, "body", a.body, "custom")
	})
	row(t, "D08 a large answer", func(r *recorder) {
		s := plain(r)
		for _, more := range []string{"", "&length=true"} {
			a := s.get("/download?bytes=20000000" + more)
			want(r, "bytes", len(a.body), 20_000_000)
			want(r, "bytes that are right", strings.Count(a.body, "x"), 20_000_000)
		}
	})
	row(t, "D09 what is flushed arrives", func(r *recorder) {
		s := app(r)
		for _, path := range []string{"/flush", "/pipe"} {
			s.waits(path)
		}
		want(r, "a completed answer", s.get("/complete").body, "done")
	})
	row(t, "D10 nothing is held back", func(r *recorder) {
		app(r).waits("/flush", "Accept-Encoding: gzip, br")
	})
	row(t, "D14 what the application says of caching", func(r *recorder) {
		s := app(r)
		for range 2 {
			a := s.get("/cached")
			want(r, "Cache-Control", a.header.Get("Cache-Control"), "public, max-age=60")
			want(r, "ETag", a.header.Get("ETag"), `"v1"`)
			want(r, "Vary", a.header.Get("Vary"), "Accept")
		}
		want(r, "asked twice", s.get("/cached").body, "3")
	})
	row(t, "D15 a client leaves in mid-request", func(r *recorder) {
		s := plain(r)
		s.leave("POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nbeginning")
		s.leave("GET /download?bytes=100000000 HTTP/1.1\r\nHost: x\r\n\r\n")
		want(r, "the next request", s.get("/").status, 200)
	})
	row(t, "D16 the application learns that its client left", func(r *recorder) {
		s := serve(r, publish(r, "probe", ""))
		before := s.pid()
		s.leave("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
		s.printed("probe: request aborted after")
		want(r, "process", s.pid(), before)
	})
	row(t, "D17 many clients leave", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		before := s.pid()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				s.leave([]string{
					"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n", "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx",
					"GET /download?bytes=10000000 HTTP/1.1\r\nHost: x\r\n\r\n",
				}[i%3])
			})
		}
		all.Wait()
		want(r, "process", s.pid(), before)
	})
	row(t, "D18 a client leaves while the application thinks", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		s.pid()
		s.leave("GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
		s.printed("probe: request aborted after")
	})
	row(t, "D19 the application cuts a request", func(r *recorder) {
		s := app(r)
		want(r, "before anything was sent", s.get("/abort").code(), "502.3")
		s.cut("/abort-late")
	})
	row(t, "D20 the application cuts a request in-process", func(r *recorder) {
		serve(r, compile(r, answersApp, appConfig(`hostingModel="inprocess"`, ""))).cut("/abort-late")
	})
	row(t, "D22 an error of the application's own stays its own", func(r *recorder) {
		s := app(r)
		for _, code := range []int{404, 500, 503} {
			a := s.get(fmt.Sprintf("/error/%d", code))
			want(r, "status", a.status, code)
			want(r, "body", a.body, "own page")
		}
	})
	row(t, "D23 Date once, no fields of the connection", func(r *recorder) {
		a := app(r).get("/hop", "Connection: keep-alive")
		want(r, "dates", len(a.header.Values("Date")), 1)
		if d := a.header.Get("Date"); strings.Contains(d, "1999") {
			r.Errorf("Date %q is the application's", d)
		}
		want(r, "Connection", a.header.Get("Connection"), "")
		want(r, "body", a.body, "hop")
	})
}

const answersApp = `var app = WebApplication.CreateBuilder(args).Build();
var asked = 0;
app.MapGet("/", () => "up");
app.MapGet("/fields", (HttpContext c) => {
	c.Response.Headers.Append("X-Many", "one"); c.Response.Headers.Append("X-Many", "two"); c.Response.Headers.Append("X-Many", "three");
	c.Response.Headers.Append("Set-Cookie", "b=1"); c.Response.Headers.Append("Set-Cookie", "a=2");
	c.Response.Headers.Append("WWW-Authenticate", "Basic"); c.Response.Headers.Append("WWW-Authenticate", "Bearer");
	c.Response.Headers.ContentLanguage = "de";
});
app.MapGet("/reason", async (HttpContext c) => {
	c.Response.StatusCode = 418;
	c.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpResponseFeature>()!.ReasonPhrase = "Custom Reason";
	await c.Response.WriteAsync("custom");
});
var go = new SemaphoreSlim(0);
app.MapGet("/go", () => { go.Release(); return "gone"; });
app.MapGet("/flush", async (HttpContext c) => {
	c.Response.ContentType = "text/html";
	c.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpResponseBodyFeature>()!.DisableBuffering();
	await c.Response.WriteAsync("first");
	await c.Response.Body.FlushAsync();
	await go.WaitAsync(c.RequestAborted);
	await c.Response.WriteAsync("second");
});
app.MapGet("/pipe", async (HttpContext c) => {
	await c.Response.BodyWriter.WriteAsync("first"u8.ToArray());
	await go.WaitAsync(c.RequestAborted);
	await c.Response.BodyWriter.WriteAsync("second"u8.ToArray());
});
app.MapGet("/complete", async (HttpContext c) => { await c.Response.WriteAsync("done"); await c.Response.CompleteAsync(); await Task.Delay(200); });
app.MapGet("/cached", (HttpContext c) => {
	c.Response.Headers.CacheControl = "public, max-age=60"; c.Response.Headers.ETag = "\"v1\""; c.Response.Headers.Vary = "Accept";
	return (++asked).ToString();
});
app.MapGet("/abort", (HttpContext c) => c.Abort());
app.MapGet("/abort-late", async (HttpContext c) => {
	c.Response.ContentLength = 1000;
	await c.Response.WriteAsync("beginning");
	await c.Response.Body.FlushAsync();
	await Task.Delay(100);
	c.Abort();
});
app.MapGet("/error/{code:int}", (int code) => Results.Text("own page", statusCode: code));
app.MapGet("/empty", (HttpContext c) => { c.Response.Headers.Append("X-Empty", ""); c.Response.Headers.Append("X-Full", "yes"); });
app.MapGet("/hop", async (HttpContext c) => {
	c.Response.Headers.Date = "Fri, 31 Dec 1999 23:59:59 GMT"; c.Response.Headers.Connection = "close";
	await c.Response.WriteAsync("hop");
});
app.Run();`

func answers(r *recorder) string {
	r.Helper()
	return compile(r, answersApp, appConfig(outOfProcess, ""))
}

// waits asks for an answer whose second half the application sends only when it is told to, behind the first.
func (s *served) waits(path string, fields ...string) {
	s.r.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.r.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(lab.Deadline))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, strings.Join(append(fields, ""), "\r\n"))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.r.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, len("first"))
	if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != "first" {
		s.r.Fatalf("%s: %q, %v", path, first, err)
	}
	s.get("/go")
	rest, err := io.ReadAll(response.Body)
	if err != nil || string(rest) != "second" {
		s.r.Errorf("%s: then %q, %v", path, rest, err)
	}
	s.r.saw(reply, "%s: %s before %s was written", path, first, rest)
}

// leave sends bytes, waits until the application has them or answers, and drops the connection.
func (s *served) leave(text string) {
	s.r.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.r.Error(err)
		return
	}
	defer conn.Close()
	io.WriteString(conn, text)
	_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	_, _ = conn.Read(make([]byte, 1)) // nothing comes, or the beginning of an answer
	_ = conn.(*net.TCPConn).SetLinger(0)
}

// cut asks for an answer that the application does not finish.
func (s *served) cut(path string) {
	s.r.Helper()
	a, err := s.try("GET", path, "")
	if err == nil || a.body != "beginning" {
		s.r.Errorf("%s: %v, %v", path, a, err)
	}
	s.r.saw(reply, "%s: cut behind %q: %v", path, a.body, err)
}
