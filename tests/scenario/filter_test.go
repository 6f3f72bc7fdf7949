package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// configCase gives a web.config of the cases.
func configCase(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(lab.Root(), "dataplane/webconfig/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// serveConfig serves childapp from a folder with a web.config and other files. The agent's own host is a proxy that is
// believed, so that a request may come from any client.
func serveConfig(t *testing.T, config, more string, files map[string]string, childapp ...string) *served {
	t.Helper()
	dir := lab.Dir(t)
	lab.Folder(t, dir, "root", map[string]string{"web.config": config})
	for name, text := range files {
		lab.Folder(t, dir, filepath.Join("root", filepath.Dir(name)), map[string]string{filepath.Base(name): text})
	}
	file := lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", more, append([]string{lab.Bin(t, "childapp")}, childapp...)...))
	return serve(t, dir, file, "--trusted-proxy", "127.0.0.1/32")
}

// section puts sections into a web.config.
func section(text string) string {
	return "<configuration><system.webServer>" + text + "</system.webServer></configuration>"
}

// told is an answer that comes with a code of ours, or is the application's own when code is empty.
func told(t *testing.T, what string, a lab.Answer, status int, code string) {
	t.Helper()
	if a.Status != status || a.Header.Get("X-Ancora-Error") != code {
		t.Errorf("%s: %d with X-Ancora-Error %q, want %d with %q: %.200s", what, a.Status, a.Header.Get("X-Ancora-Error"), status, code, a.Body)
	}
}

// A refused request is answered with status and substatus of IIS, and starts nothing.
func TestFilterRequests(t *testing.T) {
	s := serveConfig(t, configCase(t, "030-closed-doors.config"), "", nil)
	const inside, outside = "X-Forwarded-For: 10.20.3.4", "X-Forwarded-For: 10.21.3.4"
	for _, c := range []struct {
		name, line, field string
		status            int
		code              string
	}{
		{"client not listed", "GET /pid", outside, 403, "403.6"},
		{"client without a proxy", "GET /pid", "X-A: b", 403, "403.6"},
		{"hidden segment", "GET /a/Private/b", inside, 404, "404.8"},
		{"hidden segment encoded", "GET /a/%70rivate/b", inside, 404, "404.8"},
		{"file extension", "GET /a/b.bak?x", inside, 404, "404.7"},
		{"verb that is never answered", "TRACE /", inside, 501, "501"},
		{"url sequence", "GET /a/OLD/b", inside, 404, "404.5"},
		{"body over maxAllowedContentLength", "POST /upload", inside + "\r\nContent-Length: 20971521", 413, "413"},
	} {
		t.Run("030 "+c.name, func(t *testing.T) {
			told(t, c.line, visit(t, s.address, c.line+" HTTP/1.1\r\n"+c.field, "").response(t), c.status, c.code)
			if running := instances(t, s.dir+"/data"); len(running) > 0 {
				t.Errorf("processes %v run for a request that is refused", running)
			}
		})
	}
	t.Run("030 what is not forbidden", func(t *testing.T) {
		for _, line := range []string{"GET /pid", "GET /privateer", "GET /old", "GET /a.bak/b"} {
			a := visit(t, s.address, line+" HTTP/1.1\r\n"+inside, "").response(t)
			if a.Header.Get("X-Ancora-Error") != "" || line == "GET /pid" && a.Status != 200 {
				t.Errorf("%s: %d %v", line, a.Status, a.Header)
			}
		}
	})
}

// A limit of a body holds for its place, also in the middle of a body of which no length was said; the site's own goes before
// all of them.
func TestFilterLimits(t *testing.T) {
	s := serveConfig(t, strings.NewReplacer("files/upload", "upload/small", "1048576", "1000").Replace(configCase(t, "027-body-limits.config")), "", nil)
	sends := func(s *served, target string, n int) lab.Answer {
		return visit(t, s.address, fmt.Sprintf("POST %s HTTP/1.1\r\nContent-Length: %d", target, n), strings.Repeat("x", n)).response(t)
	}
	t.Run("027 a smaller one for one path", func(t *testing.T) {
		told(t, "one byte more", sends(s, "/upload/small", 1001), 413, "413")
		told(t, "in other letters", sends(s, "/UPLOAD/small", 1001), 413, "413")
		told(t, "as many", sends(s, "/upload/small", 1000), 200, "")
		chunk := fmt.Sprintf("%x\r\n%s\r\n", 600, strings.Repeat("x", 600))
		told(t, "without a length", visit(t, s.address, "POST /upload/small HTTP/1.1\r\nTransfer-Encoding: chunked", chunk+chunk+"0\r\n\r\n").response(t), 413, "413")
	})
	t.Run("027 a larger one elsewhere", func(t *testing.T) {
		const n = 31_000_000 // more than there may be without the file
		a := visit(t, s.address, fmt.Sprintf("POST /upload HTTP/1.1\r\nContent-Length: %d", n), strings.Repeat("x", n)).response(t)
		if a.Status != 200 || a.Body != "31000000 <nil>\n" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
	t.Run("027 no target is longer than 16 KiB", func(t *testing.T) {
		told(t, "within", lab.Get(t, s.address, "/pid?"+strings.Repeat("a", 16<<10-5)), 200, "")
		told(t, "over", lab.Get(t, s.address, "/pid?"+strings.Repeat("a", 16<<10-4)), 414, "414")
		s.says(t, "maxQueryString=\\\"32768\\\"") // that a longer query does not come so far
	})
	t.Run("the site wins", func(t *testing.T) {
		s := serveConfig(t, configCase(t, "027-body-limits.config"), "limits: {body: 10}\n", nil)
		told(t, "over the site's", sends(s, "/upload", 11), 413, "413")
		s.says(t, "maxAllowedContentLength has no effect")
	})
}

// sslFlags ask for TLS and for a certificate.
func TestFilterAccess(t *testing.T) {
	s := serveConfig(t, section(`<security><access sslFlags="Ssl, SslRequireCert" /></security>`), "", nil)
	t.Run("without TLS", func(t *testing.T) { told(t, "http", lab.Get(t, s.address, "/pid"), 403, "403.4") })
	t.Run("without a certificate", func(t *testing.T) {
		told(t, "https", visit(t, s.address, "GET /pid HTTP/1.1\r\nX-Forwarded-Proto: https", "").response(t), 403, "403.7")
	})
}

// What answers get: fields of web.config on all of them, pages of it in place of ours and never of the application's.
func TestFilterAnswers(t *testing.T) {
	pages := map[string]string{"pages/down.html": "it is down", "pages/starting.html": "it does not start"}
	t.Run("028 starts not", func(t *testing.T) {
		s := serveConfig(t, configCase(t, "028-own-error-pages.config"), "", pages, "-exit", "3")
		a := lab.Get(t, s.address, "/")
		told(t, "502.5", a, 502, "502.5")
		if a.Body != "it does not start" || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s", a.Header.Get("Content-Type"), a.Body)
		}
	})
	t.Run("the page of 502.3", func(t *testing.T) {
		config := section(`<aspNetCore processPath="x" hostingModel="outofprocess" disableStartUpErrorPage="true" /><httpErrors><error statusCode="502" path="any.html" /><error statusCode="502" subStatusCode="3" path="three.html" /></httpErrors>`)
		s := serveConfig(t, config, "", map[string]string{"any.html": "any", "three.html": "three"}, "-exit", "3")
		if a := lab.Get(t, s.address, "/"); a.Status != 502 || a.Body != "three" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
	s := serveConfig(t, configCase(t, "028-own-error-pages.config"), "", pages)
	t.Run("028 gives no answer", func(t *testing.T) {
		a := lab.Get(t, s.address, "/hangup")
		told(t, "502.3", a, 502, "502.3")
		if a.Body != "it is down" {
			t.Error(a.Body)
		}
	})
	t.Run("028 the application's own error", func(t *testing.T) {
		a := lab.Get(t, s.address, "/answer?status=502&X-Ancora-Error=502.3&x_ancora_error=1")
		told(t, "its own", a, 502, "")
		if a.Body != "the application's own\n" || a.Header.Get("X_ancora_error") != "" {
			t.Errorf("%s %v", a.Body, a.Header)
		}
	})
	t.Run("a page that leads out of the folder", func(t *testing.T) {
		page := s.dir + "/root/pages/down.html"
		secret := lab.Write(t, s.dir, "secret", "not for visitors")
		if err := os.Remove(page); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(secret, page); err != nil {
			t.Fatal(err)
		}
		lab.Eventually(t, func() string { // what was read before is shown for a second
			if a := lab.Get(t, s.address, "/hangup"); a.Body == "it is down" || a.Status != 502 {
				return fmt.Sprint(a.Status, a.Body)
			} else if strings.Contains(a.Body, "not for") || !strings.Contains(a.Body, "502.3") {
				t.Error(a.Body)
			}
			return ""
		})
	})
}

func TestFilterHeaders(t *testing.T) {
	config := section(`<security><requestFiltering removeServerHeader="true"><verbs allowUnlisted="false"><add verb="GET" allowed="true" /></verbs><requestLimits maxUrl="20" maxQueryString="30" /><hiddenSegments><add segment="private" /></hiddenSegments></requestFiltering></security>
<httpProtocol><customHeaders><add name="X-Served-For" value="gallery" /></customHeaders></httpProtocol>
<httpErrors><error statusCode="404" subStatusCode="8" path="https://example.com/none" responseMode="Redirect" /></httpErrors>`)
	s := serveConfig(t, config, "", nil)
	t.Run("033 an answer of the application", func(t *testing.T) {
		a := lab.Get(t, s.address, "/answer?Server=Kestrel&X-Own=1")
		if a.Status != 200 || a.Header.Get("X-Served-For") != "gallery" || a.Header.Get("X-Own") != "1" || a.Header.Get("Server") != "" {
			t.Errorf("%d %v", a.Status, a.Header)
		}
	})
	t.Run("verb, url, query", func(t *testing.T) {
		told(t, "verb", visit(t, s.address, "PUT /pid HTTP/1.1", "").response(t), 404, "404.6")
		told(t, "url", lab.Get(t, s.address, "/"+strings.Repeat("a", 20)), 404, "404.14")
		told(t, "query", lab.Get(t, s.address, "/pid?"+strings.Repeat("a", 31)), 404, "404.15")
		told(t, "query within", lab.Get(t, s.address, "/pid?"+strings.Repeat("a", 30)), 200, "")
	})
	t.Run("033 an answer of ours", func(t *testing.T) {
		a := visit(t, s.address, "GET /private HTTP/1.1", "").response(t)
		if a.Status != 302 || a.Header.Get("Location") != "https://example.com/none" || a.Header.Get("X-Served-For") != "gallery" || a.Header.Get("X-Ancora-Error") != "404.8" {
			t.Errorf("%d %v", a.Status, a.Header)
		}
	})
}

// Where WebSockets are switched off, the application is told so and gets a plain request.
func TestFilterWebSockets(t *testing.T) {
	s := serveConfig(t, configCase(t, "029-websocket-off-and-warm-up.config"), "", nil)
	t.Run("029 the upgrade is dropped", func(t *testing.T) {
		a := visit(t, s.address, "GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "").response(t)
		if a.Status != 400 || a.Body != "no upgrade\n" || a.Header.Get("Upgrade") != "" || strings.EqualFold(a.Header.Get("Connection"), "upgrade") {
			t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
		}
	})
	t.Run("029 the application is told", func(t *testing.T) {
		if body := lab.Get(t, s.address, "/env").Body; !strings.Contains(body, "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED=false\n") {
			t.Error(body)
		}
	})
}

// What keeps visitors out and is not enforced does not start, until the site accepts it by name.
func TestFilterOpen(t *testing.T) {
	config := configCase(t, "031-nobody-anonymous.config")
	t.Run("031 refused", func(t *testing.T) {
		dir := lab.Dir(t)
		lab.Folder(t, dir, "root", map[string]string{"web.config": config})
		file := lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "", lab.Bin(t, "childapp")))
		p := lab.Start(t, nil, lab.Bin(t, "ancora-agent"), "serve", file, "--listen", "127.0.0.1:0", "--data", dir+"/data")
		lab.Eventually(t, func() string {
			if log := p.Log(); !strings.Contains(log, "web.config:10:9: anonymousAuthentication") || !strings.Contains(log, "webConfig: {open: [anonymousAuthentication]}") {
				return log
			}
			return ""
		})
	})
	t.Run("031 accepted", func(t *testing.T) {
		s := serveConfig(t, config, "webConfig: {open: [anonymousAuthentication]}\n", nil)
		told(t, "open", lab.Get(t, s.address, "/pid"), 200, "")
		s.says(t, "anonymousAuthentication is disabled, so that visitors have to log on, which is not enforced")
	})
}

// An application below another one is as closed as what is above it, at its own place.
func TestFilterInherited(t *testing.T) {
	dir := lab.Dir(t)
	lab.Folder(t, dir, "root", map[string]string{"web.config": `<configuration><location path="api/inner/hidden"><system.webServer><security><ipSecurity allowUnlisted="false" /></security></system.webServer></location>
<system.webServer><security><requestFiltering><hiddenSegments><add segment="private" /></hiddenSegments></requestFiltering></security></system.webServer></configuration>`})
	lab.Folder(t, dir, "api", nil)
	lab.Folder(t, dir, "inner", map[string]string{"web.config": section(`<security><requestFiltering><hiddenSegments><add segment="own" /></hiddenSegments></requestFiltering></security>`)})
	child := lab.Bin(t, "childapp")
	text := siteText("shop", dir+"/root", "", child)
	for path, folder := range map[string]string{"/api": "api", "/api/inner": "inner"} {
		text += fmt.Sprintf("  - path: %s\n    root: %s/%s\n    command: [%q]\n", path, dir, folder, child)
	}
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", text))
	for target, code := range map[string]string{
		"/private": "404.8", "/own": "", "/api/private/x": "404.8", "/api/own": "", "/api/pid": "",
		"/api/inner/private": "404.8", "/api/inner/own": "404.8", "/api/inner/hidden/x": "403.6", "/api/inner/pid": "", "/hidden": "",
	} {
		if a := lab.Get(t, s.address, target); a.Header.Get("X-Ancora-Error") != code {
			t.Errorf("%s: %d with X-Ancora-Error %q, want %q", target, a.Status, a.Header.Get("X-Ancora-Error"), code)
		}
	}
}
