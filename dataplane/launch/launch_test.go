package launch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/debuglog"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// folder makes a folder with files; a name's value says what kind of file.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range files {
		file, mode := filepath.Join(root, name), os.FileMode(0o644)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		text := map[string]string{
			"elf": "\x7fELF", "pe": "MZ", "runtimeconfig": `{"runtimeOptions":{"framework":{"name":"Microsoft.AspNetCore.App"}}}`,
			"runtimeconfig-selfcontained": `{"runtimeOptions":{"includedFrameworks":[{"name":"Microsoft.NETCore.App"}]}}`,
		}[kind]
		if kind == "elf" || kind == "script" {
			mode = 0o755
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func input(t *testing.T, root string, config *webconfig.Config) Input {
	bin := folder(t, map[string]string{"dotnet": "elf", "node": "elf"})
	environ := []string{"PATH=" + bin}
	return Input{
		Application: &site.Application{Path: "/", Root: root}, Root: root, Config: config,
		Environ: environ, Inherited: Inherit(environ, User{Name: "www", Home: "/home/www"}),
	}
}

// What a folder holds says what is started when nothing else does (LCH-23a).
func TestFolders(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string // argv, relative to the root
		err   string
	}{
		"published":      {map[string]string{"A.dll": "dll", "A.runtimeconfig.json": "runtimeconfig", "A": "elf", "B.dll": "dll"}, []string{"dotnet", "./A.dll"}, ""},
		"self-contained": {map[string]string{"A.dll": "dll", "A.runtimeconfig.json": "runtimeconfig-selfcontained", "A": "elf", "libx.so": "elf"}, []string{"A"}, ""},
		"single file":    {map[string]string{"A": "elf", "createdump": "elf", "readme": "text"}, []string{"A"}, ""},
		"two assemblies": {map[string]string{"A.dll": "dll", "A.runtimeconfig.json": "runtimeconfig", "B.dll": "dll", "B.runtimeconfig.json": "runtimeconfig"}, nil, "more than one application: A.dll, B.dll"},
		"two programs":   {map[string]string{"A": "elf", "B": "elf"}, nil, "more than one program: A, B"},
		"nothing":        {map[string]string{"readme": "text"}, nil, "nothing to start"},
	} {
		t.Run(name, func(t *testing.T) {
			root := folder(t, c.files)
			plan, err := Resolve(input(t, root, nil))
			checkPlan(t, root, plan, err, c.want, c.err)
		})
	}
}

// What processPath and arguments mean on this system (LCH-3, LCH-4, LCH-20 to LCH-23).
func TestProcessPaths(t *testing.T) {
	app := map[string]string{"App.dll": "dll", "App.runtimeconfig.json": "runtimeconfig"}
	with := func(more ...string) map[string]string {
		all := map[string]string{"App.dll": "dll", "App.runtimeconfig.json": "runtimeconfig"}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	for name, c := range map[string]struct {
		files           map[string]string
		path, arguments string
		want            []string
		err             string
	}{
		"dotnet":              {app, `dotnet`, `.\App.dll`, []string{"dotnet", "./App.dll"}, ""},
		"dotnet of Windows":   {app, `C:\Program Files\dotnet\dotnet.exe`, `App.dll --x "a b"`, []string{"dotnet", "App.dll", "--x", "a b"}, ""},
		"dotnet alone":        {app, `dotnet`, ``, nil, "arguments is empty"},
		"space in name":       {map[string]string{"My App.dll": "dll", "My App.runtimeconfig.json": "runtimeconfig"}, `dotnet`, `.\My App.dll`, []string{"dotnet", "./My App.dll"}, ""},
		"exe beside dll":      {with("App.exe", "pe"), `.\App.exe`, ``, []string{"dotnet", "./App.dll"}, ""},
		"exe that is missing": {app, `.\App.exe`, `--y`, []string{"dotnet", "./App.dll", "--y"}, ""},
		"exe and apphost":     {with("App.exe", "pe", "App", "elf"), `.\App.exe`, ``, []string{"dotnet", "./App.dll"}, ""},
		"apphost":             {with("App", "elf"), `.\App`, ``, []string{"App"}, ""},
		"project folder":      {app, `bin\Debug\net8.0\App.exe`, ``, []string{"dotnet", "./App.dll"}, ""},
		"exe without dll":     {map[string]string{"App.exe": "pe"}, `.\App.exe`, ``, nil, "program for Windows"},
		"exe of an elf":       {map[string]string{"App": "elf"}, `.\App.exe`, ``, []string{"App"}, ""},
		"not executable":      {map[string]string{"run.sh": "text"}, `run.sh`, ``, nil, "chmod +x"},
		"script":              {map[string]string{"run.sh": "script"}, `run.sh`, `1`, []string{"run.sh", "1"}, ""},
		"node of Windows":     {map[string]string{"server.js": "text"}, `C:\Program Files\nodejs\node.exe`, `.\server.js`, []string{"node", "./server.js"}, ""},
		"environment here":    {map[string]string{"bin/python": "elf", "app.py": "text"}, `.\Scripts\python.exe`, `app.py`, []string{"bin/python", "./app.py"}, ""},
		"environment":         {map[string]string{".venv/bin/python": "elf", "app.py": "text"}, `D:\sites\x\.venv\Scripts\python.exe`, `app.py`, []string{".venv/bin/python", "./app.py"}, ""},
		"other backslashes":   {app, `dotnet`, `App.dll a\b`, []string{"dotnet", "App.dll", `a\b`}, ""},
		"placeholder":         {app, `%LAUNCHER_PATH%`, `%LAUNCHER_ARGS%`, []string{"dotnet", "./App.dll"}, ""},
		"unknown":             {app, `nothing`, ``, nil, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			root := folder(t, c.files)
			plan, err := Resolve(input(t, root, &webconfig.Config{Section: "aspNetCore", ProcessPath: c.path, Arguments: c.arguments}))
			checkPlan(t, root, plan, err, c.want, c.err)
		})
	}
}

func checkPlan(t *testing.T, root string, plan *Plan, err error, want []string, problem string) {
	t.Helper()
	if problem != "" {
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("error %v, want %q", err, problem)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	argv := plan.Command(12345, "", "")
	if rest, inside := strings.CutPrefix(argv[0], root+"/"); inside {
		argv[0] = rest
	} else {
		argv[0] = filepath.Base(argv[0])
	}
	if diff := cmp.Diff(want, argv); diff != "" {
		t.Error(diff)
	}
}

// The site's variables win over those of web.config; what would move the port does not pass (ENV-20 to ENV-24).
func TestVariables(t *testing.T) {
	root := folder(t, map[string]string{"App.dll": "dll", "App.runtimeconfig.json": "runtimeconfig"})
	in := input(t, root, &webconfig.Config{Section: "aspNetCore", ProcessPath: "dotnet", Arguments: `.\App.dll`, Env: []site.Variable{
		{Name: "Both", Value: "config"}, {Name: "Wide", Value: "%both%;%HOME%;%NOT%"}, {Name: "ASPNETCORE_URLS", Value: "http://+:80"},
		{Name: "Empty", Value: ""}, {Name: "ASPNETCORE_APPL_PATH", Value: "/x"}, {Name: "aspnetcore_token", Value: "t0ken"},
		{Name: "ASPNETCORE_CONTENTROOT", Value: `C:\site`},
	}})
	in.Application.Env = []site.Variable{{Name: "both", Value: "site"}, {Name: "Percent", Value: "%HOME%"}}
	plan, err := Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	env := plan.Environ(12345, "", plan.Token)
	for _, want := range []string{
		"both=site", "Wide=site;/home/www;%NOT%", "Percent=%HOME%", "Empty=", "ASPNETCORE_URLS=http://127.0.0.1:12345",
		"ASPNETCORE_APPL_PATH=/", "ASPNETCORE_TOKEN=t0ken", "ASPNETCORE_PORT=12345", "PORT=12345", "HOME=/home/www",
		"ASPNETCORE_IIS_PHYSICAL_PATH=" + root + "/", "ASPNETCORE_IIS_HTTPAUTH=anonymous;",
	} {
		if !slices.Contains(env, want) {
			t.Errorf("no %q in %q", want, env)
		}
	}
	seen := map[string]bool{}
	for _, v := range env {
		name := strings.ToUpper(strings.SplitN(v, "=", 2)[0])
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
	}
	if seen["ASPNETCORE_CONTENTROOT"] || !slices.ContainsFunc(plan.Notes, func(n webconfig.Note) bool { return strings.Contains(n.Text, "http://+:80") }) {
		t.Errorf("notes %v, env %q", plan.Notes, env)
	}
}

// A program that is not ASP.NET Core learns its port by PORT, and by nothing of the module's.
func TestGeneric(t *testing.T) {
	root := folder(t, map[string]string{"server.js": "text"})
	in := input(t, root, nil)
	in.Application.Profile, in.Application.Command = site.ProfileGeneric, []string{"node", "server.js", "--port=${PORT}"}
	plan, err := Resolve(in)
	if err != nil {
		t.Fatal(err)
	}
	if argv := plan.Command(12345, "", ""); argv[2] != "--port=12345" {
		t.Errorf("%q", argv)
	}
	env := strings.Join(plan.Environ(12345, "", ""), "\n")
	for _, want := range []string{"\nPORT=12345", "\nHTTP_PLATFORM_PORT=12345", "\nASPNETCORE_URLS=http://127.0.0.1:12345", "\nASPNETCORE_FORWARDEDHEADERS_ENABLED=true"} {
		if !strings.Contains(env, want) {
			t.Errorf("no %q in %s", want, env)
		}
	}
	if strings.Contains(env, "ASPNETCORE_TOKEN") || strings.Contains(env, "ASPNETCORE_PORT") {
		t.Errorf("activation reaches a generic program: %s", env)
	}
}

// A port that the settings name is used when it may be, and refused when not (ENV-1).
func TestFixedPort(t *testing.T) {
	root := folder(t, map[string]string{"A": "elf"})
	for value, want := range map[string]uint16{"5000": 5000, "": 0, "80": 1, "x": 1, "70000": 1} {
		in := input(t, root, nil)
		in.Application.Env = []site.Variable{{Name: "ASPNETCORE_PORT", Value: value}}
		plan, err := Resolve(in)
		if want == 1 {
			if err == nil || !strings.Contains(err.Error(), "1025 to 48000") {
				t.Errorf("%q: %v", value, err)
			}
		} else if err != nil || plan.Port != want {
			t.Errorf("%q: %v, %v", value, plan, err)
		}
	}
}

// What a running instance depends on changes the fingerprint, what stands before it does not.
func TestFingerprint(t *testing.T) {
	root := folder(t, map[string]string{"A": "elf"})
	base := input(t, root, nil)
	of := func(change func(a *site.Application)) string {
		a := *base.Application
		change(&a)
		in := base
		in.Application = &a
		plan, err := Resolve(in)
		if err != nil {
			t.Fatal(err)
		}
		return plan.Fingerprint()
	}
	same := of(func(*site.Application) {})
	if again := of(func(a *site.Application) { n := uint32(3); a.RapidFailsPerMinute = &n }); again != same {
		t.Error("rapidFailsPerMinute costs a new instance")
	}
	if again := of(func(a *site.Application) { n := uint32(3); a.Concurrency, a.Queue = &n, &n }); again != same {
		t.Error("limits cost a new instance")
	}
	if other := of(func(a *site.Application) { a.Env = []site.Variable{{Name: "X", Value: "1"}} }); other == same {
		t.Error("a new variable costs nothing")
	}
	if other := of(func(a *site.Application) { a.Command = []string{"./A", "x"} }); other == same {
		t.Error("another command costs nothing")
	}
}

// The form of the fingerprint is kept with processes that outlive their worker: another one has an upgrade of the agent replace every
// application of a host. Where that must be, it is one application after another, each by a swap; say so in the notes of the release.
func TestFingerprintOfBefore(t *testing.T) {
	https := "443"
	plan := Plan{
		Program: "/usr/bin/dotnet", Args: []string{"./App.dll", "--port", "${PORT}"}, Profile: site.ProfileASPNETCore, Port: 5000, Token: "token", Protocol: site.ProtocolH2C, Unix: true,
		Startup: 2 * time.Minute, Shutdown: 10 * time.Second, Instances: 2, Dir: "/srv/app", root: "/srv/app", path: "/app", written: "/srv/current", dotnetRoot: "/usr/lib/dotnet",
		httpsPort: &https, inherited: []string{"PATH=/usr/bin", "HOME=/home/app"}, env: []site.Variable{{Name: "Color", Value: "blue"}}, iis: map[string]string{"ASPNETCORE_IIS_SITE_NAME": "shop"},
	}
	if got, want := plan.Fingerprint(), "861f46dafa33bd5248bc24084d8c647f"; got != want {
		t.Errorf("%s, was %s", got, want)
	}
	plan.InProcess, plan.Stack, plan.Patient, plan.Shadow = true, 1<<20, true, &Shadow{Top: "/srv", Path: "copies"}
	plan.Warmup, plan.Silent, plan.Stdout = []Warmup{{"/app/a", "shop.example"}}, true, File{"/srv/app", "logs/out"}
	plan.Debug = Debug{Level: debuglog.Trace, Sinks: debuglog.Sinks{File: true}, Place: File{"/srv/app", "debug.log"}}
	if got, want := plan.Fingerprint(), "e3a5a26876fa30bd799056603bed2ba5"; got != want {
		t.Errorf("with all there is: %s, was %s", got, want)
	}
}

// Limits are the site's, else the defaults; zeros that are set are no defaults.
func TestLimits(t *testing.T) {
	root := folder(t, map[string]string{"A": "elf"})
	in := input(t, root, nil)
	plan, err := Resolve(in)
	if err != nil || plan.BodyLimit != 30_000_000 || plan.Concurrency != 1000 || plan.Queue != 1000 || plan.QueueTimeout != 30*time.Second {
		t.Errorf("%+v, %v", plan, err)
	}
	a, two, zero, body, none := *in.Application, uint32(2), uint32(0), int64(0), time.Duration(0)
	a.BodyLimit, a.Concurrency, a.Queue, a.QueueTimeout = &body, &two, &zero, &none
	in.Application = &a
	if plan, err = Resolve(in); err != nil || plan.BodyLimit != 0 || plan.Concurrency != 2 || plan.Queue != 0 || plan.QueueTimeout != 0 {
		t.Errorf("%+v, %v", plan, err)
	}
}

// .NET is found by the policy, then DOTNET_ROOT, then PATH.
func TestDotnet(t *testing.T) {
	one, two, three := folder(t, map[string]string{"dotnet": "elf"}), folder(t, map[string]string{"dotnet": "elf"}), folder(t, map[string]string{"dotnet": "elf"})
	for _, c := range []struct {
		policy  string
		environ []string
		want    string
	}{
		{one, []string{"DOTNET_ROOT=" + two, "PATH=" + three}, one + "/dotnet"},
		{one + "/dotnet", nil, one + "/dotnet"},
		{"", []string{"DOTNET_ROOT=" + two, "PATH=" + three}, two + "/dotnet"},
		{"", []string{"DOTNET_ROOT=/missing", "PATH=/missing:" + three}, three + "/dotnet"},
		{"/missing", []string{"PATH=" + three}, ""},
	} {
		if got := dotnetAt(c.policy, c.environ); got != c.want {
			t.Errorf("%v: %q", c, got)
		}
	}
}

// The agent's own variables have a say where the module's do: what is preferred (ENV-23), and what tools start instead.
func TestAgentsVariables(t *testing.T) {
	root := folder(t, map[string]string{"App.dll": "dll", "App.runtimeconfig.json": "runtimeconfig", "Other.dll": "dll"})
	config := &webconfig.Config{Section: "aspNetCore", ProcessPath: "dotnet", Arguments: `.\App.dll`, Env: []site.Variable{{Name: "Color", Value: "red"}, {Name: "Shape", Value: "round"}}}
	in := input(t, root, config)
	in.Environ = append(in.Environ, "COLOR=100%HOME%", "SHAPE=", "ANCM_LAUNCHER_ARGS=./Other.dll")
	for prefer, color := range map[string]string{"": "red", "ANCM_PREFER_ENVIRONMENT_VARIABLES=0": "red", "ANCM_PREFER_ENVIRONMENT_VARIABLES=True": "100%HOME%"} {
		with := in
		with.Environ = append(slices.Clone(in.Environ), prefer)
		plan, err := Resolve(with)
		if err != nil {
			t.Fatal(err)
		}
		if env := plan.Environ(1, "", ""); !slices.Contains(env, "Color="+color) || !slices.Contains(env, "Shape=round") {
			t.Errorf("%q: %v, want %s", prefer, env, color)
		}
		if !slices.Equal(plan.Args, []string{"./Other.dll"}) {
			t.Errorf("arguments %v", plan.Args)
		}
	}
}
