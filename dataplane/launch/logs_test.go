package launch

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/debuglog"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// Where each way to write a path leads; below the root or, in Azure's form, below an open home.
func TestLogFile(t *testing.T) {
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"LOGS": `D:\out`, "UP": `..\..`}[strings.ToUpper(name)]
		return value, ok
	}
	for _, c := range []struct{ written, home, want, said string }{
		{`.\aspnetcore-stdout`, "", "/srv/app/aspnetcore-stdout", ""},
		{`.\logs\stdout`, "", "/srv/app/logs/stdout", ""},
		{`logs/./a/../stdout`, "", "/srv/app/logs/stdout", ""},
		{`.\logs\`, "", "/srv/app/logs/", ""},
		{`C:\Logs\Heron\out`, "", "/srv/app/Logs/Heron/out", "below"},
		{`c:out`, "", "/srv/app/out", "below"},
		{`\logs\out`, "", "/srv/app/logs/out", "below"},
		{`\\server\share\logs\out`, "", "/srv/app/logs/out", "below"},
		{`/var/log/app`, "", "/srv/app/var/log/app", "below"},
		{`/srv/app/logs/out`, "", "/srv/app/logs/out", ""},
		{`/srv/apples/out`, "", "/srv/app/srv/apples/out", "below"},
		{`\\?\%home%\LogFiles\stdout`, "/srv/tide", "/srv/tide/LogFiles/stdout", ""},
		{`\\?\%HOME%\LogFiles\stdout`, "", "/srv/app/LogFiles/stdout", "home"},
		{`%Home%/LogFiles/stdout`, "/srv/tide", "/srv/tide/LogFiles/stdout", ""},
		{`%home%\site\wwwroot\logs\out`, "/srv/tide", "/srv/app/logs/out", ""},
		{`%homes%\out`, "/srv/tide", "/srv/app/%homes%/out", ""},
		{`%home%x\out`, "/srv/tide", "/srv/app/%home%x/out", ""},
		{`%LOGS%\a`, "", "/srv/app/out/a", "below"},
		{`%unknown%\a`, "", "/srv/app/%unknown%/a", ""},
		{`..\logs\stdout`, "", "", ""},
		{`logs\..\..\stdout`, "", "", ""},
		{`C:\..\stdout`, "", "", ""},
		{`%home%\..\stdout`, "/srv/tide", "", ""},
		{`%UP%\stdout`, "", "", ""},
		{`.\`, "", "", ""},
		{"a\x00b", "", "", ""},
	} {
		f, said, err := logFile(c.written, "/srv/app", c.home, lookup)
		if got := place(f); got != c.want || (err != nil) != (c.want == "") || (said != "") != (c.said != "") || !strings.Contains(said, c.said) {
			t.Errorf("%s: %q, %q, %v; want %q, %q", c.written, got, said, err, c.want, c.said)
		}
	}
}

// Whatever is written, and whatever a variable holds: the place lies below its folder, and is the same when read again.
func FuzzLogFile(f *testing.F) {
	for _, written := range []string{`.\a`, `\\?\%home%\LogFiles\stdout`, `C:\..\a`, `..\a`, `%X%/../a`, `\\a\b\c`, "//", "a/..", `%home%\site\wwwroot\..\x`, "a\x00"} {
		f.Add(written, `..\..`, true)
	}
	f.Fuzz(func(t *testing.T, written, value string, open bool) {
		home := ""
		if open {
			home = "/home/user"
		}
		got, _, err := logFile(written, "/srv/app", home, func(string) (string, bool) { return value, true })
		if err != nil {
			if got != (File{}) {
				t.Fatalf("%q: %+v beside %v", written, got, err)
			}
			return
		}
		whole := filepath.Join(got.Folder, got.Path)
		if got.Folder != "/srv/app" && got.Folder != home || !strings.HasPrefix(whole, got.Folder+"/") || strings.ContainsRune(got.Path, 0) {
			t.Fatalf("%q leads to %+v", written, got)
		}
		for part := range strings.SplitSeq(strings.TrimSuffix(got.Path, "/"), "/") {
			if part == "" || part == "." || part == ".." {
				t.Fatalf("%q leads to %+v", written, got)
			}
		}
	})
}

// planOf gives the plan of an application with this web.config's settings.
func planOf(t *testing.T, config *webconfig.Config, env ...site.Variable) *Plan {
	t.Helper()
	root := folder(t, map[string]string{"app": "elf"})
	config.ProcessPath = "./app"
	plan, err := Resolve(Input{
		Application: &site.Application{Path: "/", Root: root, Env: env}, Root: root, Config: config, Inherited: []string{"HOME=/home/user"},
	})
	if err != nil {
		t.Fatal(err)
	}
	plan.Stdout.Folder = strings.Replace(plan.Stdout.Folder, root, "", 1)
	return plan
}

// The default file is that of the section; output goes nowhere only out of process and without a file (LOG-9).
func TestStdout(t *testing.T) {
	off := map[string]string{"enableoutofprocessconsoleredirection": "False"}
	for _, c := range []struct {
		config webconfig.Config
		path   string
		silent bool
	}{
		{webconfig.Config{Section: "aspNetCore"}, "", false},
		{webconfig.Config{Section: "aspNetCore", StdoutLogEnabled: true}, "aspnetcore-stdout", false},
		{webconfig.Config{Section: "httpPlatform", StdoutLogEnabled: true}, "httpplatform-stdout", false},
		{webconfig.Config{Section: "aspNetCore", Settings: off}, "", true},
		{webconfig.Config{Section: "aspNetCore", Settings: off, InProcess: true}, "", false},
		{webconfig.Config{Section: "aspNetCore", Settings: off, StdoutLogEnabled: true}, "aspnetcore-stdout", false},
	} {
		if plan := planOf(t, &c.config); plan.Stdout.Path != c.path || plan.Silent != c.silent {
			t.Errorf("%+v: %q, silent %v; want %q, %v", c.config, plan.Stdout.Path, plan.Silent, c.path, c.silent)
		}
	}
}

// Environment and web.config are joined; a file of the environment holds until web.config names another (DBG-2).
func TestDebug(t *testing.T) {
	for _, c := range []struct {
		level, file, env, envFile string
		want                      debuglog.Level
		sinks                     debuglog.Sinks
		place, first              string
	}{
		{"", "a.log", "", "b.log", debuglog.Off, debuglog.Sinks{}, "", ""},
		{"File", "", "", "", debuglog.Info, debuglog.Sinks{File: true}, "aspnetcore-debug.log", ""},
		{"file, trace", `sub\debug.txt`, "", "", debuglog.Trace, debuglog.Sinks{File: true}, "sub/debug.txt", ""},
		{"", "", "file", "", debuglog.Info, debuglog.Sinks{File: true}, "aspnetcore-debug.log", "aspnetcore-debug.log"},
		{"", "", "file", "e.log", debuglog.Info, debuglog.Sinks{File: true}, "e.log", "e.log"},
		{"warning", "c.log", "FILE", "e.log", debuglog.Info, debuglog.Sinks{File: true}, "c.log", "e.log"},
		{"EventLog,Error", "", "", "", debuglog.Error, debuglog.Sinks{Events: true}, "", ""},
		{"TRACE", "", "", "", debuglog.Trace, debuglog.Sinks{Console: true}, "", ""},
		{"TRACE", "c.log", "", "", debuglog.Trace, debuglog.Sinks{File: true}, "c.log", ""},
		{"file", `..\c.log`, "", "", debuglog.Info, debuglog.Sinks{}, "", ""},
	} {
		plan := planOf(t, &webconfig.Config{Section: "aspNetCore", Settings: map[string]string{"debuglevel": c.level, "debugfile": c.file}},
			site.Variable{Name: "aspnetcore_module_debug", Value: c.env}, site.Variable{Name: "ASPNETCORE_MODULE_DEBUG_FILE", Value: c.envFile})
		d := plan.Debug
		if d.Level != c.want || d.Sinks != c.sinks || d.Place.Path != c.place || d.First.Path != c.first {
			t.Errorf("%+v: %+v", c, d)
		}
		warned := slices.ContainsFunc(plan.Notes, func(n webconfig.Note) bool {
			return n.Kind == webconfig.Warning && strings.HasPrefix(n.Text, "the debug log is on")
		})
		if warned != (c.want != debuglog.Off) {
			t.Errorf("%+v: notes %v", c, plan.Notes)
		}
	}
}
