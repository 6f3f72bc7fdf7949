package scenario

import (
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

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

func status(t *testing.T, address string, want int) string {
	t.Helper()
	a := lab.Get(t, address, "/")
	if a.Status != want {
		t.Fatalf("%d %s, want %d", a.Status, a.Body, want)
	}
	return a.Body
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

// A controller's operators see for how long a failed start stands, why it failed, and how to end that.
func TestInProcessFailurePushed(t *testing.T) {
	top := lab.Dotnet(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	folder := copied(t, top, f.Dir, "exits", "probe", "", envOf("PROBE_START", "exit:12"))
	f.Must("apply", "-f", lab.Write(t, f.Dir, "exits.yaml", siteText("exits", folder, "")))
	says := func(want []string, args ...string) {
		t.Helper()
		lab.Eventually(t, func() string {
			out := f.Must(args...)
			for _, w := range want {
				if !strings.Contains(out, w) {
					return fmt.Sprintf("no %q in\n%s", w, out)
				}
			}
			return ""
		})
	}
	lab.Eventually(t, func() string {
		if a := f.Get("web1", "exits", "/"); a.Status != 500 {
			return fmt.Sprint(a)
		}
		return ""
	})
	says([]string{"[1011]", "exit code 12", "probe: told to exit"}, "logs", "exits", "--stream", "event")
	says([]string{"retries in 10s, at "}, "describe", "site", "exits")
	lab.Write(t, folder, "web.config", inProcess("", ""))
	f.Must("recycle", "exits")
	lab.Eventually(t, func() string {
		if a := f.Get("web1", "exits", "/"); a.Status != 200 {
			return a.Body
		}
		return ""
	})
	f.Must("recycle", "exits")
	says([]string{"[1032]", "[1033]"}, "logs", "exits", "--stream", "event")
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
	top := lab.Dotnet(t)
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
