package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// checked runs `ancora-agent check` and looks at code and lines.
func checked(t *testing.T, code int, lines []string, args ...string) string {
	t.Helper()
	r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), append([]string{"check"}, args...)...)
	out := "\n" + r.Out
	if r.Code != code || r.Errors != "" {
		t.Errorf("check %v: exit code %d, want %d\n%s%s", args, r.Code, code, r.Out, r.Errors)
	}
	for _, line := range lines {
		if !strings.Contains(out, "\n"+line) {
			t.Errorf("check %v: no %q in\n%s", args, line, r.Out)
		}
	}
	return r.Out
}

// Every published form passes without an error, with what it would be started by; that whose framework is missing does not.
func TestCheckDotnet(t *testing.T) {
	top := lab.Dotnet(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	for _, form := range forms() {
		out := checked(t, 0, []string{"note starts "}, filepath.Join(top, "apps", form))
		if !strings.Contains(out, "uses Microsoft.AspNetCore.App 10.0.") || !strings.Contains(out, "ASP.NET Core 10 is proven; 2.1 and later") {
			t.Errorf("%s:\n%s", form, out)
		}
	}
	checked(t, 0, []string{"note starts "}, filepath.Join(top, "apps/slim-aot"))
	missing := filepath.Join(top, "apps/probe-net8")
	checked(t, 1, []string{"error Probe.runtimeconfig.json needs Microsoft.AspNetCore.App 8.0.0, which is not installed in " + top + "/runtime (there: 10.0."}, missing)
	s := serve(t, lab.Dir(t), missing)
	if a := lab.Get(t, s.address, "/"); a.Status != 500 && a.Status != 502 {
		t.Errorf("it answers %d, which check says it does not", a.Status)
	}
	// Without any .NET.
	t.Setenv("DOTNET_ROOT", "/nowhere")
	t.Setenv("PATH", "/nowhere")
	if _, err := os.Stat("/usr/share/dotnet"); err != nil {
		checked(t, 1, []string{"error web.config:8:19 .NET is not found: "}, filepath.Join(top, "apps/probe"))
	}
}

// What is wrong is told all at once with its place, and serve answers with the codes that check names.
func TestCheckFaults(t *testing.T) {
	section := func(inside string) string {
		return "<configuration><system.webServer>\n" + inside + "\n</system.webServer></configuration>"
	}
	own := `<aspNetCore processPath=".\childapp" />`
	for name, c := range map[string]struct {
		files map[string]string
		code  string // of the answer
		lines []string
	}{
		"faults": {map[string]string{"web.config": section(`<aspNetCore procesPath="x" startupTimeLimit="9999" />`)}, "500.19",
			[]string{`error web.config:2:13 procesPath="x": is no attribute of aspNetCore: processPath is meant?`, `error web.config:2:28 startupTimeLimit="9999": is not in 0 to 3600 seconds (visitors get 500.19)`, "error web.config:2:1 processPath: is missing"}},
		"closed": {map[string]string{"web.config": section(own + "\n<security><authorization><add accessType=\"Deny\" users=\"?\" /></authorization></security>")}, "500.19",
			[]string{"error web.config:3:26 authorization: "}},
		"iisnode": {map[string]string{"web.config": section(`<handlers><add name="iisnode" path="server.js" verb="*" modules="iisnode" /></handlers>`), "server.js": ""}, "500.0",
			[]string{`error web.config:2:11 handlers="iisnode": this application was written for iisnode: `}},
		"FastCGI": {map[string]string{"web.config": section(`<handlers><add name="php" path="*.php" verb="*" modules="FastCgiModule" /></handlers>`)}, "500.0",
			[]string{`error web.config:2:11 handlers="FastCgiModule": this application was written for FastCGI: `}},
		".NET Framework": {map[string]string{"web.config": "<configuration><system.web>\n<compilation targetFramework=\"4.8\" />\n</system.web></configuration>"}, "500.0",
			[]string{"error web.config:2:1 compilation: this is an application for the .NET Framework 4.8, which runs on Windows only: keep it there, or publish it for .NET 8 or later"}},
		"win-x64": {map[string]string{
			"web.config": section(`<aspNetCore processPath=".\App.exe" />`), "App.exe": "MZ", "App.dll": "MZ",
			"App.runtimeconfig.json": `{"runtimeOptions":{"includedFrameworks":[{"name":"Microsoft.NETCore.App","version":"10.0.0"}]}}`,
			"App.deps.json":          `{"runtimeTarget":{"name":".NETCoreApp,Version=v10.0/win-x64"}}`,
		}, "500.0", []string{"error web.config:2:13 App.dll was published with its own .NET for win-x64 (self-contained): publish it without --self-contained, or with -r linux-x64"}},
		"Windows only": {map[string]string{"web.config": section(`<aspNetCore processPath=".\App.exe" />`), "App.exe": "MZ"}, "500.0",
			[]string{`error web.config:2:13 processPath=".\App.exe" is a program for Windows, and there is no App.dll with its runtimeconfig.json beside it: publish it without --self-contained, or with -r linux-x64`}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := lab.Dir(t)
			root := lab.Folder(t, dir, "www", c.files)
			out := checked(t, 1, c.lines, root)
			if !strings.Contains(out, "(visitors get "+c.code+")") {
				t.Errorf("no code %s in\n%s", c.code, out)
			}
			s := serve(t, dir, root)
			if a := lab.Get(t, s.address, "/"); a.Header.Get("X-Ancora-Error") != c.code {
				t.Errorf("serve answers with %q, check says %s", a.Header.Get("X-Ancora-Error"), c.code)
			}
		})
	}
}

// What the kernel does not execute is in the log with the reason, at each attempt, as what ends by itself is.
func TestServeSaysWhatIsNotExecuted(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "www", map[string]string{"Shop": "\x7fELF of nothing"})
	if err := os.Chmod(filepath.Join(root, "Shop"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir, root)
	if a := lab.Get(t, s.address, "/"); a.Status != 502 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	s.says(t, "instance does not start", "exec format error")
}

// Warnings and notes: settings for developers, logs, ports, and each section by name; none of them is an error.
func TestCheckNotes(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "www", map[string]string{"web.config": `<configuration><system.webServer>
<handlers><add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModule" /></handlers>
<aspNetCore processPath=".\childapp" stdoutLogEnabled="true" processesPerApplication="2">
<environmentVariables><environmentVariable name="ASPNETCORE_ENVIRONMENT" value="Development" /><environmentVariable name="DATA" value="D:\data\shop" /></environmentVariables>
<handlerSettings><handlerSetting name="debugLevel" value="FILE,INFO" /></handlerSettings></aspNetCore>
<httpErrors errorMode="Custom" />
<urlCompression doStaticCompression="true" />
<security><authentication><windowsAuthentication enabled="true" /></authentication></security>
</system.webServer></configuration>`})
	if err := lab.CopyProgram(lab.Bin(t, "childapp"), filepath.Join(root, "childapp")); err != nil {
		t.Fatal(err)
	}
	lines := []string{
		"warning web.config:3:38 stdout logging is on (" + root + "/aspnetcore-stdout)", `warning DATA="D:\data\shop" is a Windows path`, "warning the debug log is on (", "warning 2 instances without affinity: cookie",
		`note web.config modules="AspNetCoreModule" is the first module`, "note web.config:6:1 httpErrors is honoured", "note web.config:7:1 urlCompression is not honoured",
		"note web.config:8:27 forwardWindowsAuthToken has no effect", "note starts " + root + "/childapp, by aspNetCore of web.config, out of process, as user ",
	}
	out := checked(t, 0, lines, root)
	if strings.Contains(out, "what goes wrong in the application") {
		t.Errorf("only this host's users are visitors:\n%s", out)
	}
	checked(t, 0, append(lines, "warning ASPNETCORE_ENVIRONMENT=Development shows visitors of listener http (0.0.0.0:8080) what goes wrong in the application"), root, "--listen", "0.0.0.0:8080")
	policy := lab.Write(t, dir, "agent.yaml", "roots: ["+dir+"]\ndefaultUser: \"65534\"\nlisteners: {http: \":80\"}\n")
	checked(t, 0, []string{"warning ASPNETCORE_ENVIRONMENT=Development shows visitors of listener http (:80)"}, root, "--policy", policy)
	// With profile generic the module's rules do not hold.
	checked(t, 0, []string{"note starts " + root + "/childapp, by aspNetCore of web.config, as any program (profile generic), as user "}, root, "--profile", "generic")

	r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), "check", root, "-o", "json")
	var report struct {
		Folder           string
		Errors, Warnings int
		Findings         []struct{ Level, Application, Place, Text string }
	}
	if err := json.Unmarshal([]byte(r.Out), &report); err != nil || r.Code != 0 || report.Warnings != 4 || report.Folder != root || report.Findings[0].Application != "www/" {
		t.Errorf("%v %d %s", err, r.Code, r.Out)
	}
}

// What this host does not allow, or has not: roots, listeners, users, folders in the way, programs of other machines. And nothing
// is made.
func TestCheckHost(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "www-of-check", nil)
	if err := lab.CopyProgram(lab.Bin(t, "childapp"), filepath.Join(root, "app")); err != nil {
		t.Fatal(err)
	}
	policy := lab.Write(t, dir, "agent.yaml", "roots: [/srv]\ndefaultUser: \"65534\"\nlisteners: {web: \":80\"}\n")
	checked(t, 1, []string{"error root " + root + " is not below a folder that this host's policy allows (roots: /srv)", "error listener http is not declared in this host's policy (web)"}, root, "--policy", policy)
	state := filepath.Join(dir, "state")
	t.Setenv("XDG_STATE_HOME", state)
	if os.Geteuid() == 0 {
		state = "/var/lib/ancora-agent-serve"
		checked(t, 1, []string{"error user no-such-user does not exist on this host"}, root, "--user", "no-such-user")
		locked := lab.Folder(t, dir, "locked", nil)
		if err := os.Rename(root, filepath.Join(locked, "www-of-check")); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(locked, 0o700); err != nil {
			t.Fatal(err)
		}
		root = filepath.Join(locked, "www-of-check")
		checked(t, 1, []string{fmt.Sprintf("error user nobody cannot reach %s: %s is in the way (mode -rwx------)", root, locked)}, root)
		checked(t, 0, []string{"note starts " + root + "/app, by the one executable, out of process, as user root"}, root, "--user", "root")
		if err := os.Chmod(locked, 0o755); err != nil {
			t.Fatal(err)
		}
		secret := lab.Write(t, root, "appsettings.json", "{}")
		if err := os.Chmod(secret, 0o600); err != nil {
			t.Fatal(err)
		}
		checked(t, 1, []string{"error appsettings.json cannot be read by user nobody: permission denied"}, root)
		checked(t, 0, nil, root, "--user", "root")
		if err := os.Remove(secret); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(filepath.Join(root, "app"))
	if err != nil {
		t.Fatal(err)
	}
	program[18] = 0x16 // EM_S390
	if err := os.WriteFile(filepath.Join(root, "app"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	checked(t, 1, []string{"error app is for s390x, and this host is "}, root)
	if left, _ := filepath.Glob(filepath.Join(state, "www-of-check-*")); len(left) > 0 {
		t.Errorf("check made %v", left)
	}
}

// Mistakes in what is asked for are no findings.
func TestCheckUsage(t *testing.T) {
	dir := lab.Dir(t)
	for says, args := range map[string][]string{
		"no such file or directory":     {dir + "/nothing"},
		"accepts 1 arg(s), received 0":  {},
		`--output "xml" is not known`:   {dir, "-o", "xml"},
		"policy: open":                  {dir, "--policy", dir + "/nothing"},
		"--listen goes with serve":      {dir, "--policy", lab.Write(t, dir, "agent.yaml", "roots: [/srv]\n"), "--listen", ":80"},
		`--listen "x" is not HOST:PORT`: {dir, "--listen", "x"},
	} {
		if r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), append([]string{"check"}, args...)...); r.Code != 2 || !strings.Contains(r.Errors, says) {
			t.Errorf("%v: %d %s, want %q", args, r.Code, r.Errors, says)
		}
	}
	// A site file that is wrong is.
	lab.Folder(t, dir, ".ancora", map[string]string{"site.yaml": "apiVersion: ancora/v1\nkind: Site\nname: Bad Name\nplacement: {hosts: all}\nunknown: 1\n"})
	out := checked(t, 1, []string{"error " + dir + "/.ancora/site.yaml:"}, dir)
	if !strings.Contains(out, "unknown") || !strings.Contains(out, "name") {
		t.Errorf("not all at once:\n%s", out)
	}
}

// What check warns of, apply --wait and describe do too.
func TestWarningsOfAFleet(t *testing.T) {
	f := lab.NewFleet(t)
	h := f.Join("web1", "role=web")
	root := lab.Folder(t, f.Dir, "www", map[string]string{"web.config": `<configuration><system.webServer><aspNetCore processPath=".\childapp">
<handlerSettings><handlerSetting name="debugLevel" value="FILE,INFO" /></handlerSettings></aspNetCore></system.webServer></configuration>`})
	if err := lab.CopyProgram(lab.Bin(t, "childapp"), filepath.Join(root, "childapp")); err != nil {
		t.Fatal(err)
	}
	file := lab.Write(t, f.Dir, "shop.yaml", siteText("shop", root, ""))
	for what, out := range map[string]string{"apply --wait": f.Must("apply", "-f", file, "--wait"), "describe": f.Must("describe", "site", "shop")} {
		if !strings.Contains(out, "WARNING: /: the debug log is on (INFO)") {
			t.Errorf("%s:\n%s", what, out)
		}
	}
	checked(t, 0, []string{"warning the debug log is on (INFO)"}, file, "--policy", h.Policy)
}

// What check tells to write for a folder of another kind is a site file as it stands.
func TestCheckSaysWhatToWrite(t *testing.T) {
	for _, file := range []string{"manage.py", "app.py", "requirements.txt", "config.ru", "index.php", "go.mod", "server.js", "shop-1.0.jar"} {
		root := lab.Folder(t, lab.Dir(t), "2024", map[string]string{file: "x"})
		out := checked(t, 1, []string{"error there is no web.config"}, root)
		line, _, _ := strings.Cut(out, "\n")
		_, text, ok := strings.Cut(line, ".ancora/site.yaml: ")
		if !ok {
			t.Errorf("%s: no file to write in %s", file, line)
			continue
		}
		if err := os.Mkdir(filepath.Join(root, ".ancora"), 0o755); err != nil {
			t.Fatal(err)
		}
		lab.Write(t, filepath.Join(root, ".ancora"), "site.yaml", text+"\n")
		// The programs need not be here.
		r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), "check", root)
		if strings.Contains(r.Out, "site.yaml") || strings.Contains(r.Out, "there is no web.config") || r.Errors != "" {
			t.Errorf("%s: with %s\n%s%s", file, text, r.Out, r.Errors)
		}
	}
}

// A site file that import wrote names listeners of the hosts: check needs no address for them, serve asks for all at once.
func TestCheckListeners(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "www", nil)
	if err := lab.CopyProgram(lab.Bin(t, "childapp"), filepath.Join(root, "childapp")); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(siteText("shop", root, ""), "  - listener: http\n", "  - listener: http\n  - listener: second\n  - listener: first\n", 1)
	file := lab.Write(t, dir, "shop.yaml", text)
	checked(t, 0, []string{"note starts " + root + "/childapp"}, file)
	r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), "serve", file, "--listen", "127.0.0.1:8080", "--data", dir+"/data")
	want := "ancora-agent: listener first has no address: --listen first=127.0.0.1:8081\nlistener second has no address: --listen second=127.0.0.1:8082\n"
	if r.Code != 2 || !strings.HasSuffix(r.Errors, want) {
		t.Errorf("exit code %d\n%s", r.Code, r.Errors)
	}
}
