package scenario

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// inProcess is a web.config of the in-process model; what is started is the site's command where it has one.
func inProcess(attributes, inside string) string {
	return `<configuration><system.webServer><aspNetCore processPath="dotnet" arguments=".\Probe.dll" hostingModel="inprocess" ` +
		attributes + `>` + inside + `</aspNetCore></system.webServer></configuration>`
}

func setting(name, value string) string {
	return fmt.Sprintf(`<handlerSettings><handlerSetting name=%q value=%q/></handlerSettings>`, name, value)
}

func envOf(pairs ...string) string {
	text := "<environmentVariables>"
	for i := 0; i < len(pairs); i += 2 {
		text += fmt.Sprintf(`<environmentVariable name="%s" value="%s"/>`, pairs[i], html.EscapeString(pairs[i+1]))
	}
	return text + "</environmentVariables>"
}

// stuckUntilFile serves a program of the in-process model that writes a line each time it is started, and ends with code 3 until
// there is a file `good` in its folder.
func stuckUntilFile(t *testing.T) (*served, func() int) {
	t.Helper()
	dir := lab.Dir(t)
	starts := lab.Folder(t, dir, "starts", nil)
	if err := os.Chmod(starts, 0o777); err != nil {
		t.Fatal(err)
	}
	lab.Folder(t, dir, "root", map[string]string{"web.config": inProcess("", "")})
	script := `: > ` + starts + `/$$; [ -e good ] || { echo "no database"; exit 3; }; exec ` + lab.Bin(t, "childapp")
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "", "/bin/sh", "-c", script)))
	return s, func() int {
		all, err := os.ReadDir(starts)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
}

func status(t *testing.T, address string, want int) string {
	t.Helper()
	a := lab.Get(t, address, "/")
	if a.Status != want {
		t.Fatalf("%d %s, want %d", a.Status, a.Body, want)
	}
	return a.Body
}

// In-process a failed start stands: the same page, nothing is started, until its time is over or something was done.
func TestInProcessFailureSticks(t *testing.T) {
	t.Run("E15 the same page and no start, then the next request tries again", func(t *testing.T) {
		s, starts := stuckUntilFile(t)
		begin := time.Now()
		page := status(t, s.address, 500)
		if !strings.Contains(page, "500.30") {
			t.Errorf("page %s", page)
		}
		for range 20 {
			a := lab.Get(t, s.address, "/")
			after, err := strconv.Atoi(a.Header.Get("Retry-After"))
			if a.Status != 500 || a.Body != page || err != nil || after < 1 || after > 10 {
				t.Fatalf("%d, Retry-After %d %v: %s", a.Status, after, err, a.Body)
			}
		}
		if n := starts(); n != 1 {
			t.Fatalf("%d starts within the back-off, want 1", n)
		}
		lab.Write(t, s.dir+"/root", "good", "")
		lab.Eventually(t, func() string {
			if a := lab.Get(t, s.address, "/"); a.Status != 200 {
				return a.Body
			}
			return ""
		})
		if waited := time.Since(begin); waited < 10*time.Second || starts() != 2 {
			t.Errorf("up after %v with %d starts, want 2 and at least 10 s", waited, starts())
		}
	})
	t.Run("E15 a touched web.config ends it", func(t *testing.T) {
		s, starts := stuckUntilFile(t)
		unstuck(t, s, starts, func() {
			if err := os.Chtimes(s.dir+"/root/web.config", time.Now(), time.Now()); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("E15 app_offline.htm come and gone ends it", func(t *testing.T) {
		s, starts := stuckUntilFile(t)
		unstuck(t, s, starts, func() {
			file := lab.Write(t, s.dir+"/root", "app_offline.htm", "away")
			lab.Eventually(t, func() string {
				if a := lab.Get(t, s.address, "/"); a.Status != 503 {
					return a.Body
				}
				return ""
			})
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// unstuck sees that an application that could start again does so at once after act.
func unstuck(t *testing.T, s *served, starts func() int, act func()) {
	t.Helper()
	begin := time.Now()
	status(t, s.address, 500)
	lab.Write(t, s.dir+"/root", "good", "")
	status(t, s.address, 500)
	act()
	lab.Eventually(t, func() string {
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			return a.Body
		}
		return ""
	})
	if waited := time.Since(begin); waited >= 10*time.Second || starts() != 2 {
		t.Errorf("up after %v with %d starts, want 2 and less than 10 s", waited, starts())
	}
}

// An application that ends soon after it was ready counts as one that did not start; it is not counted as a rapid fail.
func TestInProcessExit(t *testing.T) {
	dir := lab.Dir(t)
	lab.Folder(t, dir, "root", map[string]string{"web.config": inProcess(`rapidFailsPerMinute="0"`, envOf("ASPNETCORE_DETAILEDERRORS", "1"))})
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "", lab.Bin(t, "childapp"))))
	status(t, s.address, 200)
	lab.Get(t, s.address, "/exit")
	lab.Eventually(t, func() string {
		a := lab.Get(t, s.address, "/")
		if a.Status != 500 || !strings.Contains(a.Body, "500.30") || !strings.Contains(a.Body, "ended with exit code 7 within 1m0s of being ready") || a.Header.Get("Retry-After") == "" {
			return fmt.Sprint(a)
		}
		return ""
	})
	s.says(t, "rapidFailsPerMinute has no effect in-process")
	if log := s.Log(); strings.Contains(log, "rapid fails\"") {
		t.Errorf("log\n%s", log)
	}
}

// requestTimeout does not hold in-process, and does when the model is changed under way.
func TestInProcessRequestTimeout(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", map[string]string{"web.config": inProcess(`requestTimeout="00:00:01"`, "")})
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", root, "", lab.Bin(t, "childapp"))))
	if a := lab.Get(t, s.address, "/sleep?d=2500ms"); a.Status != 200 {
		t.Errorf("in-process: %d %s", a.Status, a.Body)
	}
	before := pid(t, s.address)
	lab.Write(t, root, "web.config", strings.Replace(inProcess(`requestTimeout="00:00:01"`, ""), `"inprocess"`, `"outofprocess"`, 1))
	lab.Eventually(t, func() string {
		if now := pid(t, s.address); now == before {
			return "process " + now + " still answers"
		}
		return ""
	})
	if a := lab.Get(t, s.address, "/sleep?d=2500ms"); a.Status != 502 || !strings.Contains(a.Body, "502.3") {
		t.Errorf("out of process: %d %s", a.Status, a.Body)
	}
}

// copied gives a copy of a published application whose web.config says inprocess with these attributes and elements.
func copied(t *testing.T, top, dir, name, form, attributes, inside string) string {
	t.Helper()
	folder := filepath.Join(dir, name)
	for _, args := range [][]string{{"/bin/cp", "-r", filepath.Join(top, "apps", form), folder}, {"/bin/chmod", "-R", "u+w", folder}} {
		if r := lab.Run(t, nil, args[0], args[1:]...); r.Code != 0 {
			t.Fatal(r.Errors)
		}
	}
	lab.Write(t, folder, "web.config", inProcess(attributes, inside))
	return folder
}

// startFailure is one way in which a .NET application does not start, and what is seen of it.
type startFailure struct {
	row, name          string
	form, program      string // program is processPath, else the published application's assembly is started
	attributes, inside string
	spoil              func(t *testing.T, folder string)
	code               string
	events, shown      []string
	hidden             []string
}

func startFailures() []startFailure {
	remove := func(name string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) {
			if err := os.Remove(filepath.Join(folder, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(name, text string) func(t *testing.T, folder string) {
		return func(t *testing.T, folder string) { lab.Write(t, folder, name, text) }
	}
	detailed := []string{"ASPNETCORE_DETAILEDERRORS", "true"}
	throws := []string{"PROBE_START", "throw"}
	thrown := []string{"InvalidOperationException: probe: told to throw at start"}
	return []startFailure{
		{row: "A17", name: "throws", inside: envOf(throws...), code: "500.30", events: []string{"[1018]", "told to throw at start", "signal 6"}, hidden: thrown},
		{row: "A18", name: "exits", inside: envOf("PROBE_START", "exit:12"), code: "500.30", events: []string{"[1011]", "exit code 12", "0xc", "probe: told to exit"}},
		{row: "A19", name: "hangs", attributes: `startupTimeLimit="1"`, inside: envOf("PROBE_START", "hang"), code: "500.37", events: []string{"[1031]", "did not listen"}},
		{row: "A36", name: "missing-dll", spoil: remove("Probe.dll"), code: "500.31", inside: envOf(detailed...), events: []string{"[1011]", "exit code 155"}, shown: []string{"does not exist"}},
		{row: "A41", name: "framework", form: "probe-net8", inside: envOf(detailed...), code: "500.31", events: []string{"[1011]", "exit code 150"}, shown: []string{"You must install or update .NET", "8.0.0"}},
		{row: "A37", name: "apphost-alone", form: "probe-linux", program: `.\Probe`, spoil: remove("Probe.dll"), inside: envOf(detailed...), code: "500.38", events: []string{"[1011]", "exit code 154"}, shown: []string{"The application to execute does not exist"}},
		{row: "A38", name: "other-machine", form: "probe-linux", program: `.\Probe`, spoil: otherMachine, code: "500.32", events: []string{"[1031]", "exec format error"}},
		{row: "A39", name: "no-runtimeconfig", spoil: remove("Probe.runtimeconfig.json"), code: "500.32", events: []string{"[1011]", "exit code 131", "libhostpolicy"}},
		{row: "A40", name: "broken-deps", spoil: write("Probe.deps.json", "{"), code: "500.31", events: []string{"[1011]", "exit code 139"}},
		{row: "A43", name: "development", inside: envOf(append(throws, "ASPNETCORE_ENVIRONMENT", "Development")...), code: "500.30", shown: thrown},
		{row: "A43", name: "dotnet-environment", inside: envOf(append(throws, "DOTNET_ENVIRONMENT", "development")...), code: "500.30", shown: thrown},
		{row: "A43", name: "detailed-one", inside: envOf(append(throws, "ASPNETCORE_DETAILEDERRORS", "1")...), code: "500.30", shown: thrown},
		{row: "A44", name: "detailed-true", inside: envOf(append(throws, "ASPNETCORE_DETAILEDERRORS", "TRUE")...), code: "500.30", events: []string{"[1018]"}, shown: thrown},
		{row: "A44", name: "not-detailed", inside: envOf(append(throws, "ASPNETCORE_DETAILEDERRORS", "yes")...), code: "500.30", hidden: thrown},
		{row: "A45", name: "host-start", inside: envOf(append(detailed, "PROBE_URLS", "http://127.0.0.1:x<y>")...), code: "500.30", events: []string{"[1018]"}, shown: []string{"Hosting failed to start", "&lt;StartAsync&gt;"}, hidden: []string{"<StartAsync>"}},
		{row: "A47", name: "no-hook", inside: envOf(append(throws, detailed...)...) + setting("callStartupHook", "false"), code: "500.30", events: []string{"[1018]", "told to throw"}, hidden: thrown},
		{row: "A53", name: "link", inside: envOf(append(throws, "ANCM_ADDITIONAL_ERROR_PAGE_LINK", "https://help.example/?a=1&b=<2>")...), code: "500.30", shown: []string{`<a href="https://help.example/?a=1&amp;b=&lt;2&gt;">`}, hidden: []string{"<2>"}},
		{row: "A53", name: "no-link", inside: envOf(append(throws, "ANCM_ADDITIONAL_ERROR_PAGE_LINK", "javascript:alert(1)")...), code: "500.30", hidden: []string{"javascript:", "<a "}},
	}
}

// otherMachine makes an apphost one for ARM.
func otherMachine(t *testing.T, folder string) {
	t.Helper()
	file := filepath.Join(folder, "Probe")
	program := []byte(read(t, file))
	program[18] = 0x28
	if err := os.WriteFile(file, program, 0o755); err != nil {
		t.Fatal(err)
	}
}

// What visitors and operators see of a .NET application that does not start in-process, in the module's own numbers.
func TestInProcessStartFailures(t *testing.T) {
	top := dotnet(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	for _, c := range startFailures() {
		t.Run(c.row+" "+c.name, func(t *testing.T) {
			if c.form == "" {
				c.form = "probe"
			}
			folder := copied(t, top, f.Dir, c.name, c.form, c.attributes, c.inside)
			if c.program != "" {
				lab.Write(t, folder, "web.config", strings.Replace(inProcess(c.attributes, c.inside), `processPath="dotnet" arguments=".\Probe.dll"`, `processPath="`+c.program+`"`, 1))
			}
			if c.spoil != nil {
				c.spoil(t, folder)
			}
			text := strings.Replace(siteText(c.name, folder, ""), "  - listener: http\n", "  - {listener: http, hostnames: ["+c.name+".example]}\n", 1)
			f.Must("apply", "-f", lab.Write(t, f.Dir, c.name+".yaml", text))
			var got lab.Answer
			lab.Eventually(t, func() string {
				if got = f.Get("web1", c.name, "/"); got.Status == 404 {
					return "no route yet"
				}
				return ""
			})
			if got.Status != 500 || !strings.Contains(got.Body, "HTTP Error "+c.code+" ") {
				t.Fatalf("%d %s, want %s", got.Status, got.Body, c.code)
			}
			for _, want := range c.shown {
				if !strings.Contains(got.Body, want) {
					t.Errorf("no %q in\n%s", want, got.Body)
				}
			}
			for _, secret := range c.hidden {
				if strings.Contains(got.Body, secret) {
					t.Errorf("%q in\n%s", secret, got.Body)
				}
			}
			for _, want := range c.events {
				lab.Eventually(t, func() string {
					if out := f.Must("logs", c.name, "--stream", "event"); !strings.Contains(out, want) {
						return fmt.Sprintf("no %q in\n%s", want, out)
					}
					return ""
				})
			}
			lab.Eventually(t, func() string {
				if out := f.Must("describe", "site", c.name); !strings.Contains(out, "retries in 10s, at ") {
					return out
				}
				return ""
			})
		})
	}
	t.Run("E15 ancora recycle ends it", func(t *testing.T) {
		folder := filepath.Join(f.Dir, "exits")
		lab.Write(t, folder, "web.config", inProcess("", ""))
		f.Must("recycle", "exits")
		lab.Eventually(t, func() string {
			if a := f.Get("web1", "exits", "/"); a.Status != 200 {
				return a.Body
			}
			return ""
		})
	})
	t.Run("H23 started and stopped", func(t *testing.T) {
		f.Must("recycle", "exits")
		lab.Eventually(t, func() string {
			out := f.Must("logs", "exits", "--stream", "event")
			if !strings.Contains(out, "[1032]") || !strings.Contains(out, "[1033]") {
				return out
			}
			return ""
		})
	})
}

// Settings of handlerSettings, on an application that starts.
func TestInProcessSettings(t *testing.T) {
	top := dotnet(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	start := func(t *testing.T, attributes, inside string) (*served, string) {
		dir := lab.Dir(t)
		folder := copied(t, top, dir, "probe", "probe", attributes, inside)
		return serve(t, dir, folder), folder
	}
	t.Run("A20 one that is late lives on, and is served when it listens", func(t *testing.T) {
		s, _ := start(t, `startupTimeLimit="1"`, envOf("PROBE_START_DELAY_MS", "4000")+setting("suppressRecycleOnStartupTimeout", "true"))
		if page := status(t, s.address, 500); !strings.Contains(page, "500.37") {
			t.Errorf("page %s", page)
		}
		running := instances(t, s.dir+"/data")
		if len(running) != 1 {
			t.Fatalf("processes %v, want one", running)
		}
		lab.Eventually(t, func() string {
			if a := lab.Get(t, s.address, "/"); a.Status != 200 || a.Body != fmt.Sprintf("probe %d\n", running[0]) {
				return a.Body
			}
			return ""
		})
	})
	t.Run("A24 setCurrentDirectory=false: elsewhere, with the files of its folder", func(t *testing.T) {
		s, folder := start(t, "", setting("setCurrentDirectory", "false"))
		lab.Write(t, folder, "wwwroot/of-the-folder.txt", "here")
		status(t, s.address, 200)
		at, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", instances(t, s.dir+"/data")[0]))
		if err != nil || at == folder || !strings.HasPrefix(at, s.dir) {
			t.Errorf("works in %s, %v", at, err)
		}
		if a := lab.Get(t, s.address, "/of-the-folder.txt"); a.Status != 200 || a.Body != "here" {
			t.Errorf("its own file: %d %s", a.Status, a.Body)
		}
	})
	t.Run("A48 a start-up hook of its own runs", func(t *testing.T) {
		dir := lab.Dir(t)
		hook := compile(t, top, dir, "Hook", `internal class StartupHook { public static void Initialize() => System.Console.WriteLine("hook of its own ran"); }`, "LIBRARY=1")
		folder := copied(t, top, dir, "probe", "probe", "", envOf("DOTNET_STARTUP_HOOKS", hook))
		s := serve(t, dir, folder)
		status(t, s.address, 200)
		lab.Eventually(t, func() string {
			if !strings.Contains(s.Out(), "hook of its own ran") {
				return s.Out()
			}
			return ""
		})
	})
}

// compile builds C# and gives the file.
func compile(t *testing.T, top, dir, name, source string, env ...string) string {
	t.Helper()
	out := filepath.Join(dir, name+".dll")
	if r := lab.Run(t, env, filepath.Join(top, "src/compile"), out, lab.Write(t, dir, name+".cs", source)); r.Code != 0 {
		t.Fatalf("%s\n%s", r.Out, r.Errors)
	}
	return out
}

// deep recurses 12 MB deep for each request, on the threads that serve requests.
const deep = `var app = WebApplication.CreateBuilder(args).Build();
app.MapGet("/", () => "here");
app.MapGet("/deep", () => Deep.Down(12 * 1024).ToString());
app.Run();
static class Deep
{
    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    public static unsafe int Down(int n)
    {
        byte* frame = stackalloc byte[1024];
        frame[n % 1024] = 1;
        return n == 0 ? frame[0] : Down(n - 1) + frame[n % 1024];
    }
}`

// stackSize raises the limit of stacks: what recurses 12 MB deep answers with 16 MB and dies of the 8 MB that hosts give.
func TestInProcessStackSize(t *testing.T) {
	top := dotnet(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_STACK, &limit); err != nil || limit.Cur > 8<<20 {
		t.Fatalf("this host gives stacks of %d bytes, %v: nothing can be shown", limit.Cur, err)
	}
	folder := func(t *testing.T, inside string) string {
		dir := lab.Dir(t)
		compile(t, top, dir, "Deep", deep)
		lab.Write(t, dir, "Deep.runtimeconfig.json", read(t, filepath.Join(top, "apps/probe/Probe.runtimeconfig.json")))
		lab.Write(t, dir, "web.config", strings.Replace(inProcess("", inside), "Probe.dll", "Deep.dll", 1))
		return dir
	}
	for _, size := range []string{"16777216", "0x1000000"} {
		t.Run(size, func(t *testing.T) {
			dir := folder(t, setting("stackSize", size))
			s := serve(t, dir, dir)
			for range 3 {
				if a := lab.Get(t, s.address, "/deep"); a.Status != 200 || a.Body != "12289" {
					t.Fatalf("%d %q\n%s", a.Status, a.Body, s.Log())
				}
			}
			limits := read(t, fmt.Sprintf("/proc/%d/limits", instances(t, dir+"/data")[0]))
			if !strings.Contains(strings.Join(strings.Fields(limits), " "), "Max stack size 16777216 ") {
				t.Errorf("limits\n%s", limits)
			}
			if own := read(t, fmt.Sprintf("/proc/%d/limits", s.Pid())); strings.Contains(own, "16777216") {
				t.Errorf("the keeper has kept the limit:\n%s", own)
			}
		})
	}
	t.Run("without", func(t *testing.T) {
		dir := folder(t, "")
		s := serve(t, dir, dir)
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if a := lab.Get(t, s.address, "/deep"); a.Status != 502 {
			t.Errorf("%d %q, want its death", a.Status, a.Body)
		}
	})
	t.Run("below the host's limit it is noted", func(t *testing.T) {
		dir := folder(t, setting("stackSize", "1048576"))
		s := serve(t, dir, dir)
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		s.says(t, "stackSize=", "1048576", "changes nothing")
	})
}
