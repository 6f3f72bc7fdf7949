package check

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// facts are those of an application for .NET in which nothing is wrong.
func facts() *Facts {
	return &Facts{
		Name: "shop/", Machine: Machine{Arch: "amd64", Kernel: "6.1", WatcherLimit: 128},
		Prospect: &dataplane.Prospect{
			Application: &site.Application{Path: "/"}, Root: "/srv/shop", User: "www", Home: "/home/www",
			Config: &webconfig.Config{File: "/srv/shop/web.config", Section: "aspNetCore", Places: map[string]webconfig.Place{"stdoutLogEnabled": {File: "/srv/shop/web.config", Line: 4, Column: 9}}},
			Plan:   &launch.Plan{Program: "/usr/bin/dotnet", Args: []string{"./Shop.dll"}, Chosen: "aspNetCore of web.config", Profile: site.ProfileASPNETCore, Dir: "/srv/shop"},
		},
		Started: &Binary{Path: "/usr/bin/dotnet", Machine: "amd64", Interpreter: "/lib64/ld-linux-x86-64.so.2"},
		DotNet: &DotNet{
			File: "/srv/shop/Shop.runtimeconfig.json", Root: "/usr/share/dotnet", ICU: true, OpenSSL: true,
			Config:    RuntimeConfig{Frameworks: []Reference{{Name: "Microsoft.NETCore.App", Version: "8.0.0"}, {Name: aspNetCore, Version: "8.0.0"}}},
			Installed: []Installed{{Reference: Reference{Name: "Microsoft.NETCore.App", Version: "8.0.5"}}, {Reference: Reference{Name: aspNetCore, Version: "8.0.5"}}},
		},
	}
}

// What the facts come to: the line of each finding, and nothing of that level beside it.
func TestJudge(t *testing.T) {
	env := func(pairs ...string) func(f *Facts) {
		return func(f *Facts) { f.Plan = resolved8(f, pairs...) }
	}
	for name, c := range map[string]struct {
		change func(f *Facts)
		want   []string // errors and warnings, all of them
		notes  []string // among the notes
	}{
		"nothing": {func(*Facts) {}, nil, []string{
			"note starts /usr/bin/dotnet ./Shop.dll, by aspNetCore of web.config, out of process, as user www",
			"note Shop.runtimeconfig.json uses Microsoft.AspNetCore.App 8.0.5 (asked for: 8.0.0, rollForward Minor)",
			"note Shop.runtimeconfig.json ASP.NET Core 8 is proven; 2.1 and later run by the activation",
			"note this host: Linux 6.1, linux-x64;",
		}},
		"web.config": {func(f *Facts) {
			f.Plan, f.Notes = nil, nil
			f.Problems = []error{webconfig.Errors{{File: "/srv/shop/web.config", Line: 4, Column: 9, Field: "startupTimeLimit", Value: "x", Message: "is wrong"}, {File: "/srv/shop/web.config", Line: 5, Column: 1, Message: "too", Code: "500.0"}}, errors.New("user www cannot reach /srv/shop: /srv is in the way (mode -rwx------)")}
		}, []string{
			`error web.config:4:9 startupTimeLimit="x": is wrong (visitors get 500.19)`, "error web.config:5:1 too (visitors get 500.0)",
			"error user www cannot reach /srv/shop: /srv is in the way (mode -rwx------)",
		}, nil},
		"notes": {func(f *Facts) {
			f.Notes = []webconfig.Note{{Kind: webconfig.Honoured, Line: 7, Column: 3, Text: "httpErrors is honoured"}, {Kind: webconfig.Ignored, Line: 8, Column: 3, Text: "rewrite is not honoured yet"}, {Kind: webconfig.Warning, Text: "the debug log is on"}, {Text: "plain"}}
		}, []string{"warning the debug log is on"}, []string{"note web.config:7:3 httpErrors is honoured", "note web.config:8:3 rewrite is not honoured yet", "note plain"}},
		"no script": {func(f *Facts) {
			f.Started, f.Absent = &Binary{Path: "/usr/bin/node"}, `"./server.js"`
			f.Broken = []Trouble{{"/srv/shop/appsettings.json:3:3", "invalid"}}
		}, []string{
			`error node is given "./server.js" to run, which is not there`,
			"error appsettings.json:3:3 is no JSON (invalid): an application of the standard templates does not start with it",
		}, nil},
		"first module": {func(f *Facts) { f.Config.Handlers = []webconfig.Handler{{Path: "*", Module: "AspNetCoreModule"}} }, nil,
			[]string{`note web.config modules="AspNetCoreModule" is the first module, which knew processes of their own only: without hostingModel that is out-of-process`}},
		"stdout log": {func(f *Facts) { f.Plan.Stdout = launch.File{Folder: "/srv/shop", Path: "logs/out"} },
			[]string{"warning web.config:4:9 stdout logging is on (/srv/shop/logs/out): "}, nil},
		"fixed port": {func(f *Facts) { f.Plan.Port = 5000 }, []string{"warning the port is fixed at 5000: one instance only"}, nil},
		"UseUrls":    {func(f *Facts) { f.Calls = []string{"UseUrls"} }, []string{"warning Shop.dll calls UseUrls: addresses set in code beat the port"}, nil},
		"endpoints in code": {func(f *Facts) { f.Calls = []string{"ListenAnyIP", "ListenLocalhost"} },
			[]string{"warning Shop.dll sets endpoints in code (ListenAnyIP, ListenLocalhost): they are thrown away by the activation; if the application needs them, give it profile: generic"}, nil},
		"endpoints, generic": {func(f *Facts) { f.Calls = []string{"ListenAnyIP"}; f.Plan.Profile = site.ProfileGeneric }, nil, nil},
		"settings":           {func(f *Facts) { f.Settings = []string{"Kestrel:Endpoints"} }, nil, []string{"note appsettings.json sets Kestrel:Endpoints, which loses to the port"}},
		"settings, generic": {func(f *Facts) { f.Settings = []string{"Urls"}; f.Plan.Profile = site.ProfileGeneric },
			[]string{"warning appsettings.json sets Urls, which can beat the port that the application is given with profile: generic"}, nil},
		"no runtime of the version": {func(f *Facts) { f.DotNet.Installed[1].Version = "9.0.1" },
			[]string{"error Shop.runtimeconfig.json needs Microsoft.AspNetCore.App 8.0.0, which is not installed in /usr/share/dotnet (there: 9.0.1; rollForward Minor): install it, or set DOTNET_ROLL_FORWARD=Major and"}, nil},
		"no runtime": {func(f *Facts) { f.DotNet.Installed = f.DotNet.Installed[:1] },
			[]string{"error Shop.runtimeconfig.json needs Microsoft.AspNetCore.App 8.0.0, which is not installed in /usr/share/dotnet (there: none; rollForward Minor): install it"}, nil},
		"rolled forward by a variable": {func(f *Facts) { f.DotNet.Installed[1].Version = "9.0.1"; env("DOTNET_ROLL_FORWARD", "major")(f) }, nil,
			[]string{"note Shop.runtimeconfig.json uses Microsoft.AspNetCore.App 9.0.1 (asked for: 8.0.0, rollForward Major)", "note Shop.runtimeconfig.json ASP.NET Core 9.0.1: 2.1 and later run by the activation, 8 and 10 are proven"}},
		"an option that is none": {func(f *Facts) { f.DotNet.RollForward = "up" }, []string{`error Shop.runtimeconfig.json --roll-forward "up" is not known: Disable, LatestPatch, Minor, LatestMinor, Major, LatestMajor`}, nil},
		"a word that is none":    {env("DOTNET_ROLL_FORWARD", "up"), []string{`error Shop.runtimeconfig.json DOTNET_ROLL_FORWARD="up" is not known: Disable, LatestPatch, Minor, LatestMinor, Major, LatestMajor`}, nil},
		"before 2.1": {func(f *Facts) {
			f.DotNet.Config.Frameworks = []Reference{{Name: aspNetCore, Version: "2.0.3"}}
			f.DotNet.Installed = []Installed{{Reference: Reference{Name: aspNetCore, Version: "2.0.9"}}}
		}, []string{"warning Shop.runtimeconfig.json ASP.NET Core 2.0.9 is older than 2.1"}, nil},
		"settings of .NET broken": {func(f *Facts) { f.DotNet.Trouble = "cannot be read: x (exit code 147)" }, []string{"error Shop.runtimeconfig.json cannot be read: x (exit code 147)"}, nil},
		"no ICU":                  {func(f *Facts) { f.DotNet.ICU = false }, []string{"error Shop.runtimeconfig.json ICU is not there (libicuuc.so, libicui18n.so), and the application is not invariant: install libicu, or set DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1"}, nil},
		"no ICU, invariant": {func(f *Facts) {
			f.DotNet.ICU, f.DotNet.Config.Properties = false, map[string]any{"System.Globalization.Invariant": true}
		}, nil, nil},
		"no ICU, variable": {func(f *Facts) { f.DotNet.ICU = false; env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")(f) }, nil, nil},
		"no ICU, variable beats property": {func(f *Facts) {
			f.DotNet.ICU, f.DotNet.Config.Properties = false, map[string]any{"System.Globalization.Invariant": true}
			env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "false")(f)
		}, []string{"error Shop.runtimeconfig.json ICU is not there"}, nil},
		"no ICU, own": {func(f *Facts) {
			f.DotNet.ICU, f.DotNet.Config.Properties = false, map[string]any{"System.Globalization.AppLocalIcu": "72.1"}
		}, nil, nil},
		"no OpenSSL":           {func(f *Facts) { f.DotNet.OpenSSL = false }, []string{"warning Shop.runtimeconfig.json OpenSSL is not there (libssl.so)"}, nil},
		"another architecture": {func(f *Facts) { f.Started.Machine = "arm64" }, []string{"error /usr/bin/dotnet is for arm64, and this host is amd64: publish with -r linux-x64"}, nil},
		"for musl": {func(f *Facts) { f.Started.Interpreter, f.Started.Lost = "/lib/ld-musl-x86_64.so.1", true },
			[]string{"error /usr/bin/dotnet was built for musl, and this host has glibc (/lib/ld-musl-x86_64.so.1 is not there): publish with -r linux-x64"}, nil},
		"for glibc on musl": {func(f *Facts) { f.Started.Lost, f.Machine.Musl = true, true },
			[]string{"error /usr/bin/dotnet was built for glibc, and this host has musl (/lib64/ld-linux-x86-64.so.2 is not there): publish with -r linux-musl-x64"}, nil},
		"script": {func(f *Facts) {
			f.Started = &Binary{Path: "/srv/shop/run", Script: true, Interpreter: "ruby", Lost: true}
		}, []string{"error run is a script for ruby, which is not there"}, nil},
		"script of Windows": {func(f *Facts) {
			f.Started = &Binary{Path: "/srv/shop/run", Script: true, Interpreter: "/bin/sh\r", Lost: true}
		},
			[]string{`error run is a script with the line ends of Windows: "/bin/sh\r" is no program`}, nil},
		"libraries": {func(f *Facts) {
			f.Natives = []Binary{{Path: "/srv/shop/runtimes/linux-x64/native/libx.so", Machine: "amd64", Missing: []string{"liba.so.1", "libb.so"}}}
		},
			[]string{"error runtimes/linux-x64/native/libx.so needs shared libraries that are not there: liba.so.1, libb.so"}, nil},
		"natives for others": {func(f *Facts) { f.Foreign = []string{"/srv/shop/runtimes/linux-arm64/native/libx.so"} },
			[]string{"warning runtimes/linux-arm64/native/libx.so is for other systems, and the folder has no such file for linux-x64"}, nil},
		"noexec": {func(f *Facts) { f.NoExec = true }, []string{"error /usr/bin/dotnet lies on a file system from which nothing is executed (noexec)"}, nil},
		"unreadable": {func(f *Facts) {
			f.Unreadable = []Trouble{{"/srv/shop/Shop.dll", "permission denied"}, {"/srv/shop/notes.md", "permission denied"}}
		},
			[]string{"error Shop.dll cannot be read by user www: permission denied", "warning notes.md cannot be read by user www: permission denied"}, nil},
		"home": {func(f *Facts) { f.HomeTrouble = "read-only file system" }, []string{"warning /home/www is the HOME of user www, who cannot write there (read-only file system)"}, nil},
		"calls": {func(f *Facts) { f.Machine.Calls = []Call{{"splice", "no", false}, {"sysinfo", "no", true}} },
			[]string{"error the system call splice does not work here (no), and the agent needs it", "error the system call sysinfo does not work here (no), and .NET does not start without it"}, nil},
		"old kernel":             {func(f *Facts) { f.Machine.Kernel = "3.10.0-1160.el7.x86_64" }, []string{"warning Linux 3.10.0-1160.el7.x86_64 is older than 4.1"}, nil},
		"calls of .NET alone":    {func(f *Facts) { f.Machine.Calls, f.DotNet = []Call{{"sysinfo", "no", true}}, nil }, nil, nil},
		"watchers":               {func(f *Facts) { f.Watchers = 128 }, []string{"error user www has 128 of 128 inotify instances open"}, nil},
		"watchers, switched off": {func(f *Facts) { f.Watchers = 128; env("DOTNET_hostBuilder__reloadConfigOnChange", "false")(f) }, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts()
			c.change(f)
			var out strings.Builder
			report := NewReport("shop", append(JudgeMachine(f.Machine), Judge(f)...))
			if err := report.Text(&out, "/srv/shop"); err != nil {
				t.Fatal(err)
			}
			var serious []string
			for line := range strings.Lines(out.String()) {
				if strings.HasPrefix(line, "error ") || strings.HasPrefix(line, "warning ") {
					serious = append(serious, line)
				}
			}
			for i, want := range c.want {
				if i >= len(serious) || !strings.HasPrefix(serious[i], want) {
					t.Errorf("no %q in order in\n%s", want, out.String())
				}
			}
			if len(serious) != len(c.want) {
				t.Errorf("%d errors and warnings, want %d:\n%s", len(serious), len(c.want), out.String())
			}
			for _, want := range c.notes {
				if !strings.Contains(out.String(), "\n"+want) && !strings.HasPrefix(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
}

// resolved8 is the plan with variables for the application.
func resolved8(f *Facts, pairs ...string) *launch.Plan {
	a := &site.Application{Path: "/", Root: "/", Command: []string{"/bin/sh"}, Profile: site.ProfileASPNETCore}
	for i := 0; i < len(pairs); i += 2 {
		a.Env = append(a.Env, site.Variable{Name: pairs[i], Value: pairs[i+1]})
	}
	plan, err := launch.Resolve(launch.Input{Application: a, Root: "/", Site: "shop"})
	if err != nil {
		panic(err)
	}
	plan.Program, plan.Args, plan.Chosen, plan.Dir = f.Plan.Program, f.Plan.Args, f.Plan.Chosen, f.Plan.Dir
	return plan
}

// Errors come first, nothing twice, several applications are told apart, and nothing reaches the terminal but text.
func TestReport(t *testing.T) {
	r := NewReport("x", []Finding{{Note, "a/", "", "one\ntwo"}, {Error, "a/b", "/r/f\x1b[31m:1:2", "bad\x1b[31m"}, {Warning, "a/", "", "hm"}, {Note, "a/", "", "one\ntwo"}})
	var text, object strings.Builder
	if err := r.Text(&text, "/r"); err != nil {
		t.Fatal(err)
	}
	if want := "error a/b f·[31m:1:2 bad·[31m\nwarning a/ hm\nnote a/ one; two\nx: 1 error, 1 warning\n"; text.String() != want {
		t.Errorf("%q, want %q", text.String(), want)
	}
	if err := r.JSON(&object); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"errors": 1`, `"warnings": 1`, `"place": "/r/f·[31m:1:2"`, `"level": "note"`} {
		if !strings.Contains(object.String(), want) {
			t.Errorf("no %s in %s", want, object.String())
		}
	}
	if empty := NewReport("x", nil); fmt.Sprint(empty.Findings) != "[]" || empty.Findings == nil {
		t.Errorf("%v", empty)
	}
}
