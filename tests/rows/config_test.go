package rows

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// L: how web.config is read, as far as it shows in what is started.
func TestConfig(t *testing.T) {
	t.Parallel()
	row(t, "L03 the first dotnet of PATH", func(r *recorder) {
		dir := lab.Dir(r)
		lab.Folder(r, dir, "empty", nil)
		lab.Folder(r, dir, "not a program", map[string]string{"dotnet": "text"})
		path := strings.Join([]string{"", "/nowhere", dir + "/empty", dir + "/not a program", filepath.Join(lab.Dotnet(r), "runtime"), "/usr/bin", "/bin"}, ":")
		s := serve(r, probe(r, outOfProcess, ""), "DOTNET_ROOT=", "PATH="+path)
		want(r, "status", s.get("/").status, 200)
	})
	row(t, "L05 the virtual path of an application", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /, root: "+child(r, "", outOfProcess, ""), "path: /app, root: "+child(r, "", outOfProcess, ""), "path: /app/Nested, root: "+child(r, "", outOfProcess, "")))
		for prefix, wanted := range map[string]string{"": "/", "/app": "/app", "/app/nested": "/app/Nested"} {
			if a := s.get(prefix + "/env"); !strings.Contains(a.body, "\nASPNETCORE_APPL_PATH="+wanted+"\n") {
				r.Errorf("%s: no %s in %s", prefix, wanted, a.body)
			}
		}
	})
	row(t, "L12 web.config is broken and mended", func(r *recorder) {
		s := serve(r, child(r, "-say one", outOfProcess, ""))
		pid := s.pid()
		for _, broken := range []string{"<configuration>", "", "no XML"} {
			s.write("web.config", broken+"<")
			lab.Eventually(r, func() string {
				if !strings.Contains(s.Log(), "site rejected") {
					return "the broken file is not told of"
				}
				return ""
			})
			want(r, "process", s.pid(), pid)
		}
		s.write("web.config", webConfig(`processPath=".\childapp" arguments="-say two"`+outOfProcess, ""))
		s.newPid(pid)
		if a := s.get("/"); !strings.HasPrefix(a.body, "two ") {
			r.Errorf("%v", a)
		}
	})
	row(t, "L13 no location around the section", func(r *recorder) {
		folder := child(r, "", outOfProcess, "")
		text := webConfig(`processPath=".\childapp" arguments="-say here"`+outOfProcess, "")
		text = strings.NewReplacer(`<location path="." inheritInChildApplications="false">`, "", "</location>", "").Replace(text)
		lab.Write(r, folder, "web.config", text)
		if a := serve(r, folder).get("/"); a.status != 200 || !strings.HasPrefix(a.body, "here ") {
			r.Errorf("%v", a)
		}
	})
	row(t, "L01 names of handler settings in any case, and empty values", func(r *recorder) {
		for _, spell := range []func(string) string{func(s string) string { return s }, strings.ToUpper, strings.ToLower} {
			s := serve(r, writable(r, child(r, "", outOfProcess, settings(spell("debugFile"), "here.txt", spell("debugLevel"), "file"))))
			s.startMessages("here.txt")
			s.Stop(r)
		}
		s := serve(r, writable(r, child(r, "", outOfProcess, settings("debugLevel", "", "handlerVersion", "", "debugFile", ""))))
		want(r, "empty values", s.get("/").status, 200)
		if lines := s.debugLines("aspnetcore-debug.log"); len(lines) > 0 {
			r.Errorf("%q", lines)
		}
	})
	row(t, "L08 hostingModel in any case, empty and absent", func(r *recorder) {
		for _, c := range []struct {
			attribute string
			event     int
		}{
			{`hostingModel="InProcess"`, 1032}, {`hostingModel="INPROCESS"`, 1032}, {`hostingModel=""`, 1032}, {"", 1032}, {`hostingModel="OutOfProcess"`, 1001}, {`hostingModel="OUTOFPROCESS"`, 1001},
		} {
			s := serve(r, child(r, "", c.attribute, ""))
			want(r, c.attribute, s.get("/").status, 200)
			s.event(c.event)
			s.Stop(r)
		}
	})
	row(t, "L15 variables that are long, empty, or not there", func(r *recorder) {
		long := strings.Repeat("0123456789", 100)
		folder := child(r, "", outOfProcess, variables("A", "%LONG%|%EMPTY%|%UNSET%"))
		s := serve(r, siteFile(r, "shop", `path: /, root: `+folder+`, env: {LONG: "`+long+`", EMPTY: ""}`))
		want(r, "A", s.environ()["A"], long+"||%UNSET%")
	})
}
