package rows

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// refusedConfig is a web.config that cannot be used: the code that visitors get, and what operators are told.
type refusedConfig struct{ text, code, says string }

// refuses serves such files, each as that of an application of its own, and sees what becomes of them.
func refuses(r *recorder, all ...refusedConfig) {
	r.Helper()
	applications := []string{"path: /, root: " + child(r, "", outOfProcess, "")}
	for n, c := range all {
		applications = append(applications, fmt.Sprintf("path: /bad%d, root: %s", n, lab.Folder(r, lab.Dir(r), "www", map[string]string{"web.config": c.text})))
	}
	s := serve(r, siteFile(r, "shop", applications...))
	for n, c := range all {
		a := s.get(fmt.Sprintf("/bad%d/", n))
		if a.code() != c.code || fmt.Sprint(a.status) != c.code[:3] || !strings.Contains(a.body, "HTTP Error "+c.code+" ") {
			r.Errorf("%s: %v, want %s", c.says, a, c.code)
		}
		if strings.Contains(a.body, c.says) {
			r.Errorf("visitors are told: %s", a.body)
		}
		if c.code == "502.5" { // a start that fails
			s.event(1000, c.says, "web.config")
			s.event(1020, c.says, c.code, "web.config")
			continue
		}
		s.event(1034, c.says, c.code, "web.config")
	}
	want(r, "the one that is right", s.get("/").status, 200)
	want(r, "processes", len(s.instances()), 1)
}

// attributes are those of an aspNetCore section in a file of its own.
func attributes(text string) string { return webConfig(text, "") }

// What of web.config is refused, and how that looks from outside.
func TestRefused(t *testing.T) {
	t.Parallel()
	row(t, "A34 what a section must have", func(r *recorder) {
		refuses(r, refusedConfig{webConfig(`processPath="x"`, "<nothing />"), "500.19", "nothing"},
			refusedConfig{attributes(`hostingModel="inprocess"`), "500.0", "processPath"}, refusedConfig{attributes(`processPath="x" hostingModel="both"`), "500.0", "inprocess or outofprocess"},
			refusedConfig{attributes(`hostingModel="both" x="y"`), "500.19", "is no attribute"})
	})
	row(t, "L07 attributes that there are not", func(r *recorder) {
		refuses(r, refusedConfig{attributes(`ProcessPath="x"`), "500.19", "ProcessPath"}, refusedConfig{attributes(`processPath="x" colour="red"`), "500.19", "colour"},
			refusedConfig{attributes(`processPath="x" hostingmodel="inprocess"`), "500.19", "hostingModel"})
	})
	row(t, "L09 a variable that stands twice, and one behind clear", func(r *recorder) {
		refuses(r, refusedConfig{webConfig(`processPath="x"`, variables("A", "1", "a", "2")), "500.19", "environmentVariable"})
		again := strings.Replace(variables("A", "1", "B", "1", "A", "2"), `<environmentVariable name="A" value="2" />`, `<clear /><environmentVariable name="A" value="2" />`, 1)
		env := serve(r, child(r, "", outOfProcess, again)).environ()
		want(r, "A", env["A"], "2")
		if v, ok := env["B"]; ok {
			r.Errorf("B is %q", v)
		}
	})
	row(t, "E06 a span of time that is none", func(r *recorder) {
		refuses(r, refusedConfig{attributes(`processPath="x" requestTimeout="00:60:00"`), "500.19", "requestTimeout"})
	})
	row(t, "L06 numbers at their limits and beyond", func(r *recorder) {
		for _, c := range []struct{ name, least, most, below, above string }{
			{"startupTimeLimit", "0", "3600", "-1", "3601"}, {"shutdownTimeLimit", "0", "600", "-1", "601"}, {"rapidFailsPerMinute", "0", "100", "-1", "101"},
			{"processesPerApplication", "1", "100", "0", "101"}, {"requestTimeout", "00:00:00", "15.00:00:00", "-00:00:01", "15.00:00:01"},
		} {
			number := func(value string) string { return fmt.Sprintf(` %s="%s"`, c.name, value) }
			refuses(r, refusedConfig{attributes(`processPath="x"` + number(c.below)), "500.19", c.name}, refusedConfig{attributes(`processPath="x"` + number(c.above)), "500.19", c.name})
			s := serve(r, siteFile(r, "shop", "path: /least, root: "+child(r, "", outOfProcess+number(c.least), ""), "path: /most, root: "+child(r, "", outOfProcess+number(c.most), "")))
			if a := s.get("/least/"); a.code() != "200" && (c.name != "startupTimeLimit" || a.code() != "502.5") { // few listen within no time
				r.Errorf("%s=%s: %v", c.name, c.least, a)
			}
			want(r, c.name+"="+c.most, s.get("/most/").code(), "200")
			s.Stop(r)
		}
	})
	row(t, "A06 a program that cannot be one, in-process", func(r *recorder) {
		for _, c := range []struct {
			attributes, code string
			event            int
			says             string
		}{
			{`processPath="bogus"`, "500.0", 1034, "bogus"}, {`processPath=".\program.zip"`, "500.0", 1034, "program.zip"}, {`processPath="dotnet.exe" arguments=""`, "500.0", 1034, "arguments"},
			// Wherever dotnet is said to be, it is the host's.
			{`processPath=".\nowhere\dotnet.exe" arguments="something.dll"`, "500.31", 1011, "something.dll"}, {`processPath="c:\random files\dotnet.exe" arguments="something.dll"`, "500.31", 1011, "something.dll"},
		} {
			s := serve(r, lab.Folder(r, lab.Dir(r), "www", map[string]string{"web.config": attributes(c.attributes + inProcess), "program.zip": "no program"}))
			want(r, c.attributes, s.get("/").code(), c.code)
			s.event(c.event, c.says)
			s.Stop(r)
		}
	})
	row(t, "L17 a program that there is not, dotnet without arguments", func(r *recorder) {
		refuses(r, refusedConfig{attributes(`processPath="bogus"` + inProcess), "500.0", "is not found"}, refusedConfig{attributes(`processPath="bogus"` + outOfProcess), "502.5", "is not found"},
			refusedConfig{attributes(`processPath="dotnet" arguments=""` + inProcess), "500.0", "arguments"}, refusedConfig{attributes(`processPath="dotnet"` + outOfProcess), "502.5", "arguments"})
	})
	row(t, "B03 a port that no application may have", func(r *recorder) {
		for _, port := range []string{"1024", "48001", "many"} {
			s := serve(r, child(r, "", outOfProcess, variables("ASPNETCORE_PORT", port)))
			want(r, "code", s.get("/").code(), "502.5")
			s.event(1000, "1025 to 48000", "web.config:")
			s.event(1020, "1025 to 48000", "web.config:")
			want(r, "attempts", s.count(1000), 1)
			want(r, "starts", s.count(1001), 0)
			want(r, "processes", len(s.instances()), 0)
			s.Stop(r)
		}
	})
	row(t, "A50 a link on the page of a section that cannot be used", func(r *recorder) {
		folder := lab.Folder(r, lab.Dir(r), "www", map[string]string{"web.config": attributes(inProcess)})
		links(r, serve(r, folder, "ANCM_ADDITIONAL_ERROR_PAGE_LINK=http://example/agent"), "http://example/agent")
		links(r, serve(r, siteFile(r, "shop", "path: /, root: "+folder+`, env: {ANCM_ADDITIONAL_ERROR_PAGE_LINK: "http://example/site"}`), "ANCM_ADDITIONAL_ERROR_PAGE_LINK=http://example/agent"), "http://example/site")
	})
	row(t, "A52 a link on the page of a version that there is not", func(r *recorder) {
		folder := child(r, "", outOfProcess, settings("handlerVersion", "88.93"))
		s := serve(r, folder, "ANCM_ADDITIONAL_ERROR_PAGE_LINK=http://example/agent")
		links(r, s, "http://example/agent")
		s.event(1034, "88.93")
	})
	row(t, "A54 versions of the handler", func(r *recorder) {
		s := serve(r, child(r, "", outOfProcess, settings("handlerVersion", "2.0.0")))
		want(r, "code", s.get("/").code(), "500.0")
		s.event(1034, "2.0.0", "there are no versions")
		s.write("web.config", webConfig(`processPath=".\childapp"`+outOfProcess, ""))
		s.online()
		want(r, "in-process, where nobody asks for it", serve(r, child(r, "", inProcess, settings("handlerVersion", "2.0.0"))).get("/").status, 200)
	})
	row(t, "L04 any version is one too many, none is right", func(r *recorder) {
		for _, version := range []string{"1.2.3", "latest", "2.2.0;3.0.0"} {
			refuses(r, refusedConfig{webConfig(`processPath="x"`+outOfProcess, settings("handlerVersion", version)), "500.0", version})
		}
		want(r, "an empty one", serve(r, child(r, "", outOfProcess, settings("handlerVersion", ""))).get("/").status, 200)
	})
	row(t, "L18 each kind of failure has its code", func(r *recorder) {
		dir := lab.Dir(r)
		offline := child(r, "", outOfProcess, "")
		lab.Write(r, offline, "app_offline.htm", "closed")
		s := serve(r, siteFile(r, "shop", "path: /, root: "+child(r, "", outOfProcess+` requestTimeout="00:00:02"`, ""),
			"path: /xml, root: "+lab.Folder(r, dir, "xml", map[string]string{"web.config": "<configuration"}),
			"path: /section, root: "+lab.Folder(r, dir, "section", map[string]string{"web.config": attributes("")}),
			"path: /out, root: "+child(r, "-exit 3", outOfProcess, ""), "path: /in, root: "+child(r, "-exit 3", inProcess, ""),
			"path: /late, root: "+child(r, "-silent", inProcess+` startupTimeLimit="1"`, ""), "path: /offline, root: "+offline,
			"path: /small, root: "+child(r, "", outOfProcess, "")+", limits: {body: 10}"))
		for path, code := range map[string]string{
			"/xml/": "500.19", "/section/": "500.0", "/out/": "502.5", "/in/": "500.30", "/late/": "500.37", "/offline/": "503", "/hangup": "502.3", "/sleep?d=20s": "502.3", "/%00": "400", "/": "200",
		} {
			want(r, path, s.get(path).code(), code)
		}
		want(r, "a large body", s.ask("POST", "/small/upload", strings.Repeat("x", 11)).code(), "413")
	})
}

// links sees a page about a refused web.config that leads somewhere.
func links(r *recorder, s *served, to string) {
	r.Helper()
	a := s.get("/")
	want(r, "code", a.code(), "500.0")
	if !strings.Contains(a.body, `<a href="`+to+`">`) {
		r.Errorf("no link to %s in %s", to, a.body)
	}
	s.Stop(r)
}

// What applications below others have from above.
func TestNested(t *testing.T) {
	t.Parallel()
	// nested serves childapp at / and at /stock, whose web.configs set variables; the one above leaves its own to the one below, or not.
	type site struct {
		*served
		stock string
	}
	nested := func(r *recorder, inherit bool) site {
		top, stock := child(r, "", outOfProcess, variables("Above", "1", "Both", "top")), child(r, "", outOfProcess, variables("BOTH", "own"))
		s := serve(r, siteFile(r, "shop", "path: /, root: "+top, "path: /stock, root: "+stock))
		s.root = top // what is edited
		if inherit {
			pid := s.pid()
			s.edit("web.config", `inheritInChildApplications="false"`, `inheritInChildApplications="true"`)
			s.newPid(pid)
		}
		return site{s, stock}
	}
	row(t, "L10 what an application leaves to those below", func(r *recorder) {
		for inherit, wanted := range map[bool]string{false: "", true: "1"} {
			s := nested(r, inherit)
			want(r, "above", s.environ()["Above"], "1")
			lab.Eventually(r, func() string {
				if a, err := s.try("GET", "/stock/env", ""); err != nil || strings.Contains(a.body, "\nAbove=1\n") != (wanted == "1") || !strings.Contains(a.body, "\nBOTH=own\n") || strings.Contains(a.body, "\nBoth=top\n") {
					return fmt.Sprintf("inherit %v: %v %s", inherit, err, a.body)
				}
				return ""
			})
			r.saw(reply, "inheritInChildApplications=%v: Above is %q below", inherit, wanted)
			if inherit { // what it leaves is live
				s.edit("web.config", `value="1"`, `value="2"`)
				lab.Eventually(r, func() string {
					if a, err := s.try("GET", "/stock/env", ""); err != nil || !strings.Contains(a.body, "\nAbove=2\n") {
						return fmt.Sprint(err, a)
					}
					return ""
				})
			}
			s.Stop(r)
		}
	})
	row(t, "F05 a change above is one below", func(r *recorder) {
		s := nested(r, true)
		lab.Eventually(r, func() string { // the file above was edited just now
			if a, err := s.try("GET", "/stock/env", ""); err != nil || !strings.Contains(a.body, "\nAbove=1\n") {
				return fmt.Sprint(a, err)
			}
			return ""
		})
		top, stock := s.pid(), s.pidOf(s.get("/stock/"))
		lab.Write(r, s.stock, "web.config", webConfig(`processPath=".\childapp.exe"`+outOfProcess, variables("BOTH", "newer")))
		lab.Eventually(r, func() string {
			if a, err := s.try("GET", "/stock/env", ""); err != nil || !strings.Contains(a.body, "\nBOTH=newer\n") {
				return fmt.Sprint("below nothing happens: ", a, err)
			}
			return ""
		})
		want(r, "process above, behind a change below", s.pid(), top)
		stock = s.pidOf(s.get("/stock/"))
		s.touch("web.config")
		s.newPid(top)
		lab.Eventually(r, func() string {
			if a, err := s.try("GET", "/stock/", ""); err != nil || a.status != 200 || s.pidOf(a) == stock {
				return fmt.Sprint("below nothing happens: ", a, err)
			}
			return ""
		})
		r.saw(process, "%d and %d are replaced", top, stock)
	})
	row(t, "L11 requests that no handler takes", func(r *recorder) {
		folder := child(r, "", outOfProcess, "")
		s := serve(r, folder)
		s.Stop(r)
		content, err := os.ReadFile(filepath.Join(folder, "web.config"))
		if err != nil {
			r.Fatal(err)
		}
		lab.Write(r, folder, "index.html", "a file")
		lab.Write(r, folder, "web.config", strings.Replace(string(content), `<add name="aspNetCore" path="*" verb="*"`, `<add name="maps" path="*.map" verb="*" modules="AspNetCoreModuleV2" /><add name="aspNetCore" path="api/*" verb="GET,POST"`, 1))
		s = serve(r, folder)
		for _, path := range []string{"/", "/index.html", "/api", "/x/api/y"} {
			if a := s.get(path); a.status != 404 || !strings.Contains(a.body, "does not answer at this address") {
				r.Errorf("%s: %v", path, a)
			}
		}
		want(r, "DELETE", s.ask("DELETE", "/api/x", "").code(), "404")
		want(r, "processes", len(s.instances()), 0)
		for _, path := range []string{"/api/", "/API/x", "/x/y.map"} {
			want(r, path, s.get(path).body, "404 page not found\n") // the application's own words
		}
		lab.Eventually(r, func() string {
			if log := s.Log(); !strings.Contains(log, "api/*") || !strings.Contains(log, "GET,POST") {
				return "nothing tells what is sent to the application"
			}
			return ""
		})
		s.write("web.config", webConfig(`processPath=".\childapp.exe"`+outOfProcess, "")) // the file is live
		s.online()
	})
}
