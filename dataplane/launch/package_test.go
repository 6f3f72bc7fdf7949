package launch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// write puts files with these contents into a folder.
func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// What package.json starts: always a program itself, never by a shell or npm.
func TestPackages(t *testing.T) {
	for name, c := range map[string]struct {
		manifest string
		files    map[string]string
		want     []string
		err      string
	}{
		"start":           {`{"scripts":{"start":"node server.js"}}`, nil, []string{"node", "server.js"}, ""},
		"start, quoted":   {`{"scripts":{"start":"node --title='a b'  \"my server.js\" "}}`, nil, []string{"node", "--title=a b", "my server.js"}, ""},
		"start over main": {`{"main":"other.js","scripts":{"start":"node --enable-source-maps dist/main.js"}}`, map[string]string{"other.js": "x"}, []string{"node", "--enable-source-maps", "dist/main.js"}, ""},
		"tool":            {`{"scripts":{"start":"next start -p 1"}}`, map[string]string{"node_modules/.bin/next": "#!/usr/bin/env node\nx"}, []string{"node", "./node_modules/.bin/next", "start", "-p", "1"}, ""},
		"tool of a shell": {`{"scripts":{"start":"next start"}}`, map[string]string{"node_modules/.bin/next": "#!/bin/sh\nx"}, nil, `scripts.start "next start" starts ./node_modules/.bin/next, which is a shell's script`},
		"own program":     {`{"scripts":{"start":"./run.sh 1"}}`, map[string]string{"run.sh": "#!/bin/sh\n"}, []string{"run.sh", "1"}, ""},
		"no program":      {`{"scripts":{"start":"bin/nothing"}}`, nil, nil, "bin/nothing is not below"},
		"unknown":         {`{"scripts":{"start":"unknown-tool"}}`, nil, nil, "unknown-tool is neither in node_modules/.bin nor on PATH"},
		"not installed":   {`{"scripts":{"start":"next start"}}`, map[string]string{"server.js": "x"}, nil, "run npm ci in the folder, or write the program itself as command in .ancora/site.yaml (server.js is there: [node, server.js])"},
		"npm":             {`{"scripts":{"start":"npm run serve"}}`, nil, nil, "by way of npm"},
		"two commands":    {`{"scripts":{"start":"node build.js && node server.js"}}`, nil, nil, "needs a shell, and none is used: write what it does as command in .ancora/site.yaml"},
		"variable":        {`{"scripts":{"start":"NODE_ENV=production node server.js"}}`, nil, nil, "needs a shell"},
		"expansion":       {`{"scripts":{"start":"node server.js --port $PORT"}}`, nil, nil, "needs a shell"},
		"open quote":      {`{"scripts":{"start":"node 'a"}}`, nil, nil, "needs a shell"},
		"main":            {`{"main":"app.js"}`, map[string]string{"app.js": "x"}, []string{"node", "./app.js"}, ""},
		"main, short":     {`{"main":"./lib"}`, map[string]string{"lib/index.js": "x"}, []string{"node", "./lib/index.js"}, ""},
		"server.js":       {`{"name":"a"}`, map[string]string{"server.js": "x", "index.js": "x"}, []string{"node", "./server.js"}, ""},
		"index.js":        {`{}`, map[string]string{"index.js": "x"}, []string{"node", "./index.js"}, ""},
		"main above":      {`{"main":"../other.js"}`, nil, nil, "nothing to start"},
		"names nothing":   {`{"main":"missing.js"}`, nil, nil, "It looks like an application of Node (package.json): write command: [node, FILE]"},
		"broken":          {`{"main":`, nil, nil, "package.json: unexpected end of JSON input"},
		"wrong type":      {`{"scripts":{"start":7}}`, nil, nil, "package.json: scripts.start: json: cannot unmarshal number into Go value of type string"},
		"other type":      {`{"scripts":{"lint":7,"start":"node server.js"},"main":{}}`, nil, []string{"node", "server.js"}, ""},
		"with a mark":     {"\ufeff" + `{"scripts":{"start":"node server.js"}}`, nil, []string{"node", "server.js"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := folder(t, nil)
			write(t, root, map[string]string{"package.json": c.manifest})
			write(t, root, c.files)
			plan, err := Resolve(input(t, root, nil))
			checkPlan(t, root, plan, err, c.want, c.err)
			if err == nil && (plan.Profile != site.ProfileGeneric || !strings.Contains(plan.Chosen, "package.json")) {
				t.Errorf("profile %s, chosen by %q", plan.Profile, plan.Chosen)
			}
		})
	}
}

// What goes before package.json, and what leaves the profile to others.
func TestPackageBesideOthers(t *testing.T) {
	manifest := map[string]string{"package.json": `{"scripts":{"start":"node server.js"}}`}
	for name, c := range map[string]struct {
		files   map[string]string
		config  *webconfig.Config
		change  func(a *site.Application)
		program string
		profile site.Profile
		chosen  string
	}{
		"an assembly":      {map[string]string{"A.dll": "dll", "A.runtimeconfig.json": "runtimeconfig"}, nil, nil, "dotnet", site.ProfileASPNETCore, "A.runtimeconfig.json"},
		"a program":        {map[string]string{"A": "elf"}, nil, nil, "node", site.ProfileGeneric, "scripts.start of package.json"},
		"a command":        {nil, nil, func(a *site.Application) { a.Command = []string{"node", "x.js"} }, "node", site.ProfileASPNETCore, "command of the site"},
		"a profile":        {nil, nil, func(a *site.Application) { a.Profile = site.ProfileASPNETCore }, "node", site.ProfileASPNETCore, "scripts.start of package.json"},
		"a section":        {map[string]string{"run": "elf"}, &webconfig.Config{File: "web.config", Section: "aspNetCore", ProcessPath: "./run"}, nil, "run", site.ProfileASPNETCore, "aspNetCore of web.config"},
		"a silent section": {nil, &webconfig.Config{File: "web.config"}, nil, "node", site.ProfileGeneric, "scripts.start of package.json"},
	} {
		t.Run(name, func(t *testing.T) {
			root := folder(t, c.files)
			write(t, root, manifest)
			in := input(t, root, c.config)
			if c.change != nil {
				c.change(in.Application)
			}
			plan, err := Resolve(in)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{filepath.Base(plan.Program), string(plan.Profile), plan.Chosen}
			if diff := cmp.Diff([]string{c.program, string(c.profile), c.chosen}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Without node it says where it was looked for.
func TestPackageWithoutNode(t *testing.T) {
	root := folder(t, nil)
	write(t, root, map[string]string{"package.json": `{"main":"a.js"}`, "a.js": "x"})
	in := input(t, root, nil)
	in.Inherited = Inherit([]string{"PATH=/nowhere"}, User{Name: "www", Home: "/"})
	if _, err := Resolve(in); err == nil || !strings.Contains(err.Error(), "node is not on PATH (/nowhere)") {
		t.Errorf("%v", err)
	}
}

// A folder for something else is told what to do instead, by name.
func TestOtherFolders(t *testing.T) {
	for file, want := range map[string]string{
		"app.py":      "Python (app.py): write command: [python3, app.py] in its site file; for serve that is .ancora/site.yaml: {apiVersion: ",
		"server.js":   "Node (server.js): write command: [node, server.js]",
		"index.html":  "files alone, and none are served",
		"manage.py":   "gunicorn",
		"config.ru":   "Ruby",
		"index.php":   "PHP",
		"go.mod":      "after go build",
		"shop.jar":    "command: [java, -jar, shop.jar]",
		"Shop.csproj": "dotnet publish makes one of it",
	} {
		root := folder(t, map[string]string{file: "text"})
		if _, err := Resolve(input(t, root, nil)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "nothing to start") {
			t.Errorf("%s: %v", file, err)
		}
	}
	root := folder(t, nil)
	if _, err := Resolve(input(t, root, nil)); err == nil || !strings.HasSuffix(err.Error(), "one executable. It is empty") {
		t.Errorf("%v", err)
	}
	write(t, root, map[string]string{"Shop": "\x7fELF", "libshop.so": "\x7fELF"})
	for _, name := range []string{"Shop", "libshop.so"} {
		if err := os.Chmod(filepath.Join(root, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Resolve(input(t, root, nil)); err == nil || !strings.HasSuffix(err.Error(), "Shop is a program that is not executable, as after a copy from Windows: chmod +x "+root+"/Shop") {
		t.Errorf("%v", err)
	}
	root = folder(t, map[string]string{"Shop.exe": "pe"})
	if _, err := Resolve(input(t, root, nil)); err == nil || !strings.Contains(err.Error(), "Shop.exe is a program for Windows") || !strings.Contains(err.Error(), ".NET Framework") {
		t.Errorf("%v", err)
	}
}

// A folder published for Windows with its own runtime is refused by name however it is to be started: dotnet does not take it.
func TestSelfContainedForWindows(t *testing.T) {
	files := map[string]string{"App.exe": "pe", "App.dll": "dll", "App.runtimeconfig.json": "runtimeconfig-selfcontained", "hostpolicy.dll": "pe"}
	for name, config := range map[string]*webconfig.Config{
		"no web.config": nil,
		"exe":           {File: "web.config", Section: "aspNetCore", ProcessPath: `.\App.exe`},
		"no ending":     {File: "web.config", Section: "aspNetCore", ProcessPath: `.\App`},
		"dotnet":        {File: "web.config", Section: "aspNetCore", ProcessPath: `dotnet`, Arguments: `.\App.dll`},
		"exec":          {File: "web.config", Section: "aspNetCore", ProcessPath: `dotnet`, Arguments: `exec App.dll`},
	} {
		root := folder(t, files)
		write(t, root, map[string]string{"App.deps.json": `{"runtimeTarget":{"name":".NETCoreApp,Version=v10.0/win-x64"}}`})
		_, err := Resolve(input(t, root, config))
		if err == nil || !strings.Contains(err.Error(), "App.dll was published with its own .NET for win-x64 (self-contained): publish it without --self-contained, or with -r linux-x64") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// With the runtime of Linux beside it dotnet does take it.
	root := folder(t, files)
	write(t, root, map[string]string{"libhostpolicy.so": "x"})
	if _, err := Resolve(input(t, root, nil)); err != nil {
		t.Error(err)
	}
}

// All that is wrong is told at once: settings and program.
func TestAllAtOnce(t *testing.T) {
	root := folder(t, nil)
	config := &webconfig.Config{
		File: "web.config", Section: "aspNetCore", ProcessPath: "dotnet", Env: []site.Variable{{Name: "ASPNETCORE_PORT", Value: "99999"}},
		Places: map[string]webconfig.Place{"aspnetcore_port=": {File: "web.config", Line: 4, Column: 5}, "processPath": {File: "web.config", Line: 2, Column: 3}},
	}
	_, err := Resolve(input(t, root, config))
	for _, want := range []string{"web.config:4:5: ", "is no port for an application", "web.config:2:3: ", "arguments is empty"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// However a script is written, its words, each in quotes, are divided the same.
func FuzzWords(f *testing.F) {
	for _, text := range []string{"node a.js", `node "a b" 'c d'`, "A=1 node x", "node a && b", "a\\ b", "node 'x", "~/a", "#a", `""`, "é ü"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, ok := words(text)
		if !ok {
			return
		}
		if len(all) == 0 || all[0] == "" {
			t.Fatalf("%q: %q", text, all)
		}
		quoted := make([]string, len(all))
		for i, w := range all {
			quoted[i] = "'" + w + "'"
			if strings.Contains(w, "'") {
				quoted[i] = `"` + w + `"`
				if strings.ContainsAny(w, "\"$`\\\n") {
					return
				}
			}
		}
		if again, ok := words(strings.Join(quoted, " ")); !ok || !slices.Equal(all, again) {
			t.Fatalf("%q: %q, again %q", text, all, again)
		}
	})
}

// A pipe in place of any file that is looked at holds nobody up: the agent reads folders that others may write to.
func TestPipes(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		pipes []string
		err   string
	}{
		"a file":           {nil, []string{"pipe"}, "nothing to start"},
		"package.json":     {nil, []string{"package.json"}, "package.json: is no regular file"},
		"settings":         {map[string]string{"A.dll": "dll", "A": "elf"}, []string{"A.runtimeconfig.json"}, ""},
		"what it is for":   {map[string]string{"A.dll": "dll", "A.runtimeconfig.json": "runtimeconfig-selfcontained"}, []string{"A.deps.json"}, "self-contained"},
		"a tool":           {map[string]string{"package.json": "next"}, []string{"node_modules/.bin/next"}, "a shell's script"},
		"a script's words": {map[string]string{"package.json": "./run"}, []string{"run"}, "run is not below"},
	} {
		t.Run(name, func(t *testing.T) {
			root := folder(t, c.files)
			write(t, root, map[string]string{"node_modules/.bin/none": ""})
			if script := c.files["package.json"]; script != "" {
				write(t, root, map[string]string{"package.json": `{"scripts":{"start":"` + script + `"}}`})
			}
			for _, pipe := range c.pipes {
				if err := unix.Mkfifo(filepath.Join(root, pipe), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			in, done := input(t, root, nil), make(chan error, 1)
			go func() {
				_, err := Resolve(in)
				done <- err
			}()
			select {
			case err := <-done:
				if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want %q", err, c.err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("whoever reads the folder waits for the other end of a pipe")
			}
		})
	}
}
