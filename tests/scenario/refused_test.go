package scenario

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// dressed has a field of web.config and pages of its own.
const dressed = `<httpProtocol><customHeaders><add name="X-Shop" value="ours"/></customHeaders></httpProtocol>
<httpErrors><error statusCode="502" path="any.html"/><error statusCode="502" subStatusCode="3" path="three.html"/></httpErrors>
<security><ipSecurity allowUnlisted="true"><add ipAddress="10.0.0.1" allowed="false"/></ipSecurity></security>`

// What cannot be started is answered as its web.config says all the same, out of process as a start that failed (ERR-4, LCH-12).
func TestRefusedIsDressed(t *testing.T) {
	folder := func(t *testing.T, attributes, inner string) *served {
		dir := lab.Dir(t)
		lab.Folder(t, dir, "root", map[string]string{
			"web.config": section(fmt.Sprintf(`<aspNetCore processPath="bogus" %s>%s</aspNetCore>%s`, attributes, inner, dressed)),
			"any.html":   "any", "three.html": "three",
		})
		return serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "")), "--trusted-proxy", "127.0.0.1/32")
	}
	t.Run("out of process", func(t *testing.T) {
		s := folder(t, `hostingModel="outofprocess" disableStartUpErrorPage="true"`, "")
		a := lab.Get(t, s.address, "/")
		told(t, "refused", a, 502, "502.5")
		if a.Body != "three" || a.Header.Get("X-Shop") != "ours" {
			t.Errorf("%v %s", a.Header, a.Body)
		}
		told(t, "a client that is kept out", visit(t, s.address, "GET / HTTP/1.1\r\nX-Forwarded-For: 10.0.0.1", "").response(t), 403, "403.6")
		s.event(t, "[1000]", "bogus", "web.config")
		s.event(t, "[1020]", "bogus", "web.config")
		lab.Write(t, s.dir, "root/app_offline.htm", "closed")
		lab.Eventually(t, func() string {
			if a = lab.Get(t, s.address, "/"); a.Status != 503 {
				return fmt.Sprint(a.Status, a.Body)
			}
			return ""
		})
		if a.Body != "closed" || a.Header.Get("X-Shop") != "ours" {
			t.Errorf("offline: %v %s", a.Header, a.Body)
		}
	})
	t.Run("its own page of 502", func(t *testing.T) {
		if a := lab.Get(t, folder(t, `hostingModel="outofprocess"`, "").address, "/"); a.Status != 502 || a.Body != "any" {
			t.Errorf("%d %s", a.Status, a.Body)
		}
	})
	t.Run("in-process, in Development", func(t *testing.T) {
		s := folder(t, `hostingModel="inprocess"`, `<environmentVariables><environmentVariable name="ASPNETCORE_ENVIRONMENT" value="Development"/>`+
			`<environmentVariable name="ANCM_ADDITIONAL_ERROR_PAGE_LINK" value="http://example/help"/></environmentVariables>`)
		a := lab.Get(t, s.address, "/")
		told(t, "refused", a, 500, "500.0")
		for _, want := range []string{"bogus", `href="http://example/help"`} {
			if !strings.Contains(a.Body, want) {
				t.Errorf("no %s in %s", want, a.Body)
			}
		}
		s.event(t, "[1034]", "bogus")
	})
	t.Run("what no handler maps", func(t *testing.T) {
		for model, code := range map[string]string{"outofprocess": "502.5", "inprocess": "500.0"} {
			dir := lab.Dir(t)
			lab.Folder(t, dir, "root", map[string]string{"web.config": fmt.Sprintf(`<configuration><system.webServer>
<handlers><add name="api" path="api/*" verb="GET" modules="AspNetCoreModuleV2"/></handlers>
<aspNetCore processPath="bogus" hostingModel="%s"/></system.webServer></configuration>`, model)})
			s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "")))
			told(t, "mapped", lab.Get(t, s.address, "/api/x"), int(code[0]-'0')*100+int(code[2]-'0'), code)
			told(t, "another path", lab.Get(t, s.address, "/picture.png"), 404, "404")
			told(t, "another method", visit(t, s.address, "DELETE /api/x HTTP/1.1", "").response(t), 404, "404")
		}
	})
	t.Run("in-process, without a page", func(t *testing.T) {
		a := lab.Get(t, folder(t, `hostingModel="inprocess" disableStartUpErrorPage="true"`, "").address, "/")
		told(t, "refused", a, 500, "500.0")
		if strings.Contains(a.Body, "configured") {
			t.Error(a.Body)
		}
	})
}

// In-process the code of a failed start stays what it is where its page is switched off.
func TestPlainInProcess(t *testing.T) {
	text := `<aspNetCore processPath="x" hostingModel="inprocess" disableStartUpErrorPage="true"/>`
	plain := lab.Get(t, serveConfig(t, section(text+dressed), "", nil, "-exit", "3").address, "/")
	told(t, "plain", plain, 500, "500.30")
	if strings.Contains(plain.Body, "did not start") {
		t.Error(plain.Body)
	}
	own := lab.Get(t, serveConfig(t, section(text+`<httpErrors><error statusCode="500" subStatusCode="30" path="thirty.html"/></httpErrors>`), "",
		map[string]string{"thirty.html": "thirty"}, "-exit", "3").address, "/")
	if own.Status != http.StatusInternalServerError || own.Body != "thirty" {
		t.Errorf("%d %s", own.Status, own.Body)
	}
}

// Fields of web.config are on the answers of an application that is out of service as well.
func TestOfflineIsDressed(t *testing.T) {
	s := serveConfig(t, section(`<aspNetCore processPath="x"/>`+dressed), "", map[string]string{"app_offline.htm": "closed"})
	a := lab.Get(t, s.address, "/")
	if a.Status != 503 || a.Body != "closed" || a.Header.Get("X-Shop") != "ours" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
}

// A root that is a link is the folder that it leads to: when a deployment moves it, web.config and app_offline.htm of the new one count.
func TestRootLinkMoves(t *testing.T) {
	dir := lab.Dir(t)
	for _, release := range []string{"one", "two"} {
		lab.Folder(t, dir, release, map[string]string{
			"web.config": section(`<httpProtocol><customHeaders><add name="X-Release" value="` + release + `"/></customHeaders></httpProtocol>`),
		})
	}
	link := filepath.Join(dir, "current")
	if err := os.Symlink("one", link); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", link, "", lab.Bin(t, "childapp"))))
	if a := lab.Get(t, s.address, "/"); a.Status != 200 || a.Header.Get("X-Release") != "one" {
		t.Fatalf("%d %v", a.Status, a.Header)
	}
	if err := errors.Join(os.Symlink("two", link+".new"), os.Rename(link+".new", link)); err != nil {
		t.Fatal(err)
	}
	until := func(status int) {
		t.Helper()
		lab.Eventually(t, func() string {
			if a := lab.Get(t, s.address, "/"); a.Status != status || a.Header.Get("X-Release") != "two" {
				return fmt.Sprint(a.Status, a.Header)
			}
			return ""
		})
	}
	until(200)
	lab.Write(t, dir, "two/app_offline.htm", "closed")
	until(503)
}
