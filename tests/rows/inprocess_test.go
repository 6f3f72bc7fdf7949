package rows

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// startFailure is one way in which a .NET application does not start, and what is seen of it.
type startFailure struct {
	row, attributes, inside string
	// form is what is published, by default probe; program is processPath, else the published assembly is started.
	form, program string
	spoil         func(s *served)
	code          string
	event         int
	noted         []string // in the event
	shown, hidden []string // in the page
}

// What visitors and operators see of an application that does not start in-process, in the module's own numbers.
func TestStartFailures(t *testing.T) {
	t.Parallel()
	gone := func(name string) func(s *served) { return func(s *served) { s.remove(name) } }
	throws := []string{"PROBE_START", "throw"}
	detailed := []string{"ASPNETCORE_DETAILEDERRORS", "true"}
	thrown := []string{"InvalidOperationException: probe: told to throw at start"}
	with := func(names ...[]string) string {
		var all []string
		for _, n := range names {
			all = append(all, n...)
		}
		return variables(all...)
	}
	link := func(address string) []string { return []string{"ANCM_ADDITIONAL_ERROR_PAGE_LINK", address} }
	for _, c := range []startFailure{
		{row: "A17 it throws", inside: with(throws), code: "500.30", event: 1018, noted: []string{"told to throw at start", "signal 6"}, hidden: thrown},
		{row: "A18 it ends with code 12", inside: variables("PROBE_START", "exit:12"), code: "500.30", event: 1011, noted: []string{"exit code 12", "0xc", "probe: told to exit"}},
		{row: "A19 it hangs", attributes: ` startupTimeLimit="1"`, inside: variables("PROBE_START", "hang"), code: "500.37", event: 1031, noted: []string{"did not listen"}},
		{row: "A36 the dll is missing", spoil: gone("Probe.dll"), inside: with(detailed), code: "500.31", event: 1011, noted: []string{"exit code 155"}, shown: []string{"does not exist"}},
		{row: "A37 a program without its dll", form: "probe-linux", program: `.\Probe`, spoil: gone("Probe.dll"), inside: with(detailed), code: "500.38", event: 1011, noted: []string{"exit code 154"}, shown: []string{"The application to execute does not exist"}},
		{row: "A38 a program for another machine", form: "probe-linux", program: `.\Probe`, spoil: otherMachine, code: "500.32", event: 1031, noted: []string{"exec format error"}},
		{row: "A39 the host finds no hostpolicy", spoil: gone("Probe.runtimeconfig.json"), code: "500.32", event: 1011, noted: []string{"exit code 131", "libhostpolicy"}},
		{row: "A39 deps.json is broken", spoil: func(s *served) { s.write("Probe.deps.json", "{") }, code: "500.31", event: 1011, noted: []string{"exit code 139"}},
		{row: "A41 the framework is missing", form: "probe-net8", inside: with(detailed), code: "500.31", event: 1011, noted: []string{"exit code 150"}, shown: []string{"You must install or update .NET", "8.0.0"}},
		{row: "A43 Development by ASPNETCORE_ENVIRONMENT", inside: with(throws, []string{"ASPNETCORE_ENVIRONMENT", "Development"}), code: "500.30", event: 1018, shown: thrown},
		{row: "A43 development by DOTNET_ENVIRONMENT", inside: with(throws, []string{"DOTNET_ENVIRONMENT", "development"}), code: "500.30", event: 1018, shown: thrown},
		{row: "A43 detailed errors by a digit", inside: with(throws, []string{"ASPNETCORE_DETAILEDERRORS", "1"}), code: "500.30", event: 1018, shown: thrown},
		{row: "A44 detailed errors by web.config", inside: with(throws, []string{"ASPNETCORE_DETAILEDERRORS", "TRUE"}), code: "500.30", event: 1018, shown: thrown},
		{row: "A44 no detailed errors", inside: with(throws, []string{"ASPNETCORE_DETAILEDERRORS", "yes"}), code: "500.30", event: 1018, hidden: thrown},
		{row: "A45 it throws while its host starts", inside: with(detailed, []string{"PROBE_URLS", "http://127.0.0.1:x&lt;y&gt;"}), code: "500.30", event: 1018, shown: []string{"Hosting failed to start", "&lt;StartAsync&gt;"}, hidden: []string{"<StartAsync>"}},
		{row: "A47 callStartupHook is off", inside: with(throws, detailed) + settings("callStartupHook", "false"), code: "500.30", event: 1018, noted: []string{"told to throw"}, hidden: thrown},
		{row: "A53 a link on its page", inside: with(throws, link("https://help.example/?a=1&amp;b=&lt;2&gt;")), code: "500.30", event: 1018, shown: []string{`<a href="https://help.example/?a=1&amp;b=&lt;2&gt;">`}, hidden: []string{"<2>"}},
		{row: "A53 no link to a script", inside: with(throws, link("javascript:alert(1)")), code: "500.30", event: 1018, hidden: []string{"javascript:", "<a "}},
	} {
		row(t, c.row, func(r *recorder) { c.check(r) })
	}
}

func (c *startFailure) check(r *recorder) {
	form, start := c.form, `processPath="dotnet" arguments=".\Probe.dll"`
	if form == "" {
		form = "probe"
	}
	if c.program != "" {
		start = `processPath="` + c.program + `"`
	}
	folder := publish(r, form, webConfig(start+inProcess+c.attributes, c.inside))
	if c.spoil != nil {
		c.spoil(&served{r: r, root: folder})
	}
	s := serve(r, folder)
	a := s.get("/")
	want(r, "code", a.code(), c.code)
	if !strings.Contains(a.body, "HTTP Error "+c.code+" ") {
		r.Errorf("page %s", a.body)
	}
	for _, text := range c.shown {
		if !strings.Contains(a.body, text) {
			r.Errorf("no %q in\n%s", text, a.body)
		}
	}
	for _, text := range c.hidden {
		if strings.Contains(a.body, text) {
			r.Errorf("%q in\n%s", text, a.body)
		}
	}
	s.event(c.event, c.noted...)
}

// otherMachine makes an apphost one for ARM.
func otherMachine(s *served) {
	file := filepath.Join(s.root, "Probe")
	program, err := os.ReadFile(file)
	if err != nil {
		s.r.Fatal(err)
	}
	program[18] = 0x28
	if err := os.WriteFile(file, program, 0o755); err != nil {
		s.r.Fatal(err)
	}
}

// What the in-process model changes for an application that starts, or could.
func TestInProcess(t *testing.T) {
	t.Parallel()
	row(t, "A20 one that is late lives on, and is served when it listens", func(r *recorder) {
		s := serve(r, probe(r, inProcess+`startupTimeLimit="1"`, variables("PROBE_START_DELAY_MS", "4000")+settings("suppressRecycleOnStartupTimeout", "true")))
		want(r, "code", s.get("/").code(), "500.37")
		running := s.instances()
		if len(running) != 1 {
			r.Fatalf("processes %v, want one", running)
		}
		s.online()
		want(r, "process", s.pid(), running[0])
	})
	row(t, "A24 in another directory, with the files of its folder", func(r *recorder) {
		s := serve(r, probe(r, inProcess, settings("setCurrentDirectory", "false")))
		s.write("wwwroot/of-the-folder.txt", "here")
		p := s.paths()
		if p.WorkingDirectory == s.root || strings.TrimSuffix(p.BaseDirectory, "/") != s.root || strings.TrimSuffix(p.ContentRoot, "/") != s.root {
			r.Errorf("%+v, the folder is %s", p, s.root)
		}
		want(r, "its own file", s.get("/of-the-folder.txt").body, "here")
		before := s.pid()
		s.touch("web.config") // the folder is what is watched, wherever the application works
		s.newPid(before)
		s.write("app_offline.htm", "away")
		lab.Eventually(r, func() string {
			if a, err := s.try("GET", "/", ""); err != nil || a.status != 503 {
				return fmt.Sprint(a, err)
			}
			return ""
		})
	})
	row(t, "A31 two applications of a site", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /, root: "+child(r, "", inProcess, ""), "path: /two, root: "+child(r, "", inProcess, "")))
		one, two := s.pid(), s.pidOf(s.get("/two/"))
		if one == two {
			r.Errorf("both are process %d", one)
		}
		s.event(1032, strconv.Itoa(one))
		s.event(1032, strconv.Itoa(two))
	})
	row(t, "A32 both models in one site", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /, root: "+child(r, "", inProcess, ""), "path: /two, root: "+child(r, "", outOfProcess, "")))
		one, two := s.pid(), s.pidOf(s.get("/two/"))
		s.event(1032, strconv.Itoa(one))
		s.event(1001, strconv.Itoa(two))
	})
	row(t, "D04 the application names its server", func(r *recorder) {
		for _, model := range models() {
			s := serve(r, probe(r, model, ""))
			want(r, "Server, "+modelOf(model), s.get("/").header.Get("Server"), "Kestrel")
			s.Stop(r)
		}
	})
	row(t, "E15 the same page and no start, then the next request tries again", func(r *recorder) {
		s := stuck(r)
		begin := time.Now()
		page := s.get("/")
		want(r, "code", page.code(), "500.30")
		for range 20 {
			a := s.get("/")
			after, err := strconv.Atoi(a.header.Get("Retry-After"))
			if a.body != page.body || err != nil || after < 1 || after > 10 {
				r.Fatalf("Retry-After %d, %v: %v", after, err, a)
			}
		}
		s.write("good", "")
		s.online()
		if waited := time.Since(begin); waited < 10*time.Second {
			r.Errorf("up after %v", waited)
		}
		s.event(1032)
		want(r, "failed starts", s.count(1011), 1)
	})
	for name, act := range map[string]func(s *served){
		"E15 a touched web.config ends it": func(s *served) { s.touch("web.config") },
		"E15 app_offline.htm come and gone ends it": func(s *served) {
			s.write("app_offline.htm", "away")
			s.offline("away")
			s.remove("app_offline.htm")
		},
	} {
		row(t, name, func(r *recorder) {
			s := stuck(r)
			begin := time.Now()
			want(r, "code", s.get("/").code(), "500.30")
			s.write("good", "")
			want(r, "code", s.get("/").code(), "500.30")
			act(s)
			s.online()
			if waited := time.Since(begin); waited >= 10*time.Second {
				r.Errorf("up after %v", waited)
			}
			s.event(1032)
			want(r, "failed starts", s.count(1011), 1)
		})
	}
	row(t, "H23 started and stopped", func(r *recorder) {
		s := serve(r, child(r, "", inProcess, ""))
		pid := s.pid()
		s.event(1032, fmt.Sprint(pid))
		s.touch("web.config")
		s.gone(pid)
		s.event(1033)
	})
}

// stuck serves a program of the in-process model that ends with code 3 until there is a file `good` in its folder.
func stuck(r *recorder) *served {
	r.Helper()
	s := child(r, "", "", "")
	lab.Folder(r, s, ".", map[string]string{
		"web.config": webConfig(`processPath="/bin/sh" arguments="./start.sh"`+inProcess, ""),
		"start.sh":   "[ -e good ] || { echo no database; exit 3; }\nexec ./childapp\n",
	})
	return serve(r, s)
}
