package rows

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// A: how an application is found and started.
func TestStart(t *testing.T) {
	t.Parallel()
	plain := shared(t, func(r *recorder) *served { return serve(r, probe(r, outOfProcess, "")) })
	whole := shared(t, func(r *recorder) *served { return serve(r, compile(r, catchAll, appConfig(outOfProcess, ""))) })
	row(t, "A01 plain GET", func(r *recorder) {
		s := serve(r, publish(r, "probe", ""))
		a := s.get("/")
		if a.status != 200 || !strings.HasPrefix(a.body, "probe ") {
			r.Errorf("%v", a)
		}
	})
	row(t, "A02 what the application sees of a request and of its place", func(r *recorder) {
		s := plain(r)
		w := s.who("/who?Query=%20&x")
		want(r, "path", w.Path, "/who")
		want(r, "query", w.Query, "?Query=%20&x")
		want(r, "body limit", w.MaxRequestBodySize, 30_000_000)
		p := s.paths()
		want(r, "content root", strings.TrimSuffix(p.ContentRoot, "/"), s.root)
		want(r, "web root", p.WebRoot, s.root+"/wwwroot")
		if a := s.get("/schemes"); strings.Contains(a.body, "Windows") {
			r.Errorf("authentication schemes %q", a.body)
		}
	})
	row(t, "A03 an escaped question mark stays in the path", func(r *recorder) {
		s := whole(r)
		want(r, "path and query", s.get("/%3F%3F?query").body, "/?? ?query")
	})
	row(t, "A04 the query is passed byte for byte", func(r *recorder) {
		s := whole(r)
		for _, query := range []string{"?query?", "??", "?a=%2f%2F&b=+&c=%zz", "?"} {
			want(r, "query", s.get("/p"+query).body, "/p "+query)
		}
	})
	row(t, "A05 processPath and arguments are expanded", func(r *recorder) {
		folder := publish(r, "probe", webConfig(`processPath="%RUNNER%" arguments=".\%APP%.dll"`+outOfProcess, ""))
		s := serve(r, siteFile(r, "shop", "path: /, root: "+folder+", env: {RUNNER: dotnet, APP: Probe}"))
		want(r, "status", s.get("/").status, 200)
	})
	row(t, "A07 dotnet by an absolute path", func(r *recorder) {
		runtime := filepath.Join(lab.Dotnet(r), "runtime")
		s := serve(r, publish(r, "probe", webConfig(`processPath="`+runtime+`/dotnet" arguments=".\Probe.dll"`+outOfProcess, "")))
		pid := s.pid()
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil || exe != runtime+"/dotnet" {
			r.Errorf("process %d is %s, %v", pid, exe, err)
		}
		r.saw(process, "%s", exe)
	})
	row(t, "A09 dotnet of PATH", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""), "DOTNET_ROOT=", "PATH="+filepath.Join(lab.Dotnet(r), "runtime")+":/usr/bin:/bin")
		want(r, "status", s.get("/").status, 200)
	})
	row(t, "A10 dotnet by its place of installation", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""), "PATH=/usr/bin:/bin") // DOTNET_ROOT is set, as an installation has it
		want(r, "status", s.get("/").status, 200)
		want(r, "DOTNET_ROOT", s.environ()["DOTNET_ROOT"], filepath.Join(lab.Dotnet(r), "runtime"))
	})
	row(t, "A13 the ways to write processPath and arguments", func(r *recorder) {
		for _, c := range []struct{ path, arguments string }{
			{"dotnet", `Probe.dll`}, {"dotnet", `.\Probe.dll`}, {"dotnet", `%ROOT%\Probe.dll extra arguments`}, {"dotnet", `"Probe.dll" extra`},
			{"dotnet", `exec ".\Probe.dll" --one two`}, {`Probe.exe`, `extra`}, {`.\Probe`, ``},
		} {
			folder := publish(r, "probe", webConfig(fmt.Sprintf(`processPath="%s" arguments="%s"`, c.path, strings.ReplaceAll(c.arguments, `"`, "&quot;"))+outOfProcess, ""))
			s := serve(r, siteFile(r, "shop", "path: /, root: "+folder+", env: {ROOT: "+folder+"}"))
			if a := s.get("/"); a.status != 200 {
				r.Errorf("%s %s: %v", c.path, c.arguments, a)
			}
			s.Stop(r)
		}
	})
	row(t, "A14 a program that brings its runtime along", func(r *recorder) {
		for _, path := range []string{`.\Slim.exe`, `%ROOT%/Slim`, `Slim`} {
			folder := publish(r, "slim-aot", webConfig(`processPath="`+path+`"`+outOfProcess, ""))
			s := serve(r, siteFile(r, "shop", "path: /, root: "+folder+", env: {ROOT: "+folder+"}"))
			if a := s.get("/"); a.status != 200 || !strings.HasPrefix(a.body, "slim") {
				r.Errorf("%s: %v", path, a)
			}
			s.Stop(r)
		}
	})
	row(t, "A15 dotnet.exe, slashes of both kinds, a drive", func(r *recorder) {
		for _, c := range []struct{ path, arguments string }{
			{"dotnet.exe", "./Probe.dll"}, {"dotnet", `.\Probe.dll`}, {`C:\Program Files\dotnet\dotnet.exe`, `C:\inetpub\wwwroot\Probe.dll`},
			{`%systemdrive%\dotnet\dotnet.exe`, `.\Probe.dll`},
		} {
			s := serve(r, publish(r, "probe", webConfig(fmt.Sprintf(`processPath="%s" arguments="%s"`, c.path, c.arguments)+outOfProcess, "")))
			if a := s.get("/"); a.status != 200 {
				r.Errorf("%s %s: %v", c.path, c.arguments, a)
			}
			s.Stop(r)
		}
	})
	row(t, "A21 a start within its limit", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`startupTimeLimit="10"`, variables("PROBE_START_DELAY_MS", "3000")))
		want(r, "status", s.get("/").status, 200)
		s.event(1001)
	})
	row(t, "A23 a limit of 0 is not infinite", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`startupTimeLimit="0"`, ""))
		want(r, "code", s.get("/").code(), "502.5")
		s.event(1020, "within 0s")
	})
	row(t, "A25 a start that waits for a debugger", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, variables("DOTNET_DefaultDiagnosticPortSuspend", "1")))
		answered := make(chan answer, 1)
		go func() {
			a, _ := s.try("GET", "/", "")
			answered <- a
		}()
		resume := s.suspended()
		lab.Wait(r.Context(), 1500*time.Millisecond) // three times what a start takes
		select {
		case a := <-answered:
			r.Errorf("it did not wait: %v", a)
		default:
		}
		resume()
		want(r, "status", (<-answered).status, 200)
		s.event(1001)
	})
	row(t, "A27 arguments of a launcher's environment", func(r *recorder) {
		folder := publish(r, "probe", webConfig(`processPath="dotnet" arguments=".\Missing.dll"`+outOfProcess, ""))
		s := serve(r, folder, `ANCM_LAUNCHER_ARGS=.\Probe.dll`)
		want(r, "status", s.get("/").status, 200)
		if args := s.paths().CommandLine; !strings.HasSuffix(args[0], "Probe.dll") {
			r.Errorf("it was started as %q", args)
		}
	})
	row(t, "A28 many first requests at once", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		s.together(50, "/")
		if n := s.count(1001); n != 1 {
			r.Errorf("%d starts", n)
		}
		r.saw(process, "one, %v", s.instances())
	})
	row(t, "A29 ten applications, all asked at once", func(r *recorder) {
		var applications []string
		for i := range 10 {
			applications = append(applications, fmt.Sprintf("path: /app%d, root: %s", i, child(r, "", outOfProcess, "")))
		}
		s := serve(r, siteFile(r, "shop", applications...))
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				if a, err := s.try("GET", fmt.Sprintf("/app%d/", i), ""); err != nil || a.status != 200 {
					r.Errorf("/app%d/: %v %v", i, a, err)
				}
			})
		}
		all.Wait()
		if pids := s.instances(); len(pids) != 10 {
			r.Errorf("processes %v", pids)
		} else {
			r.saw(process, "ten: %v", pids)
		}
	})
	row(t, "A30 two applications side by side", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /, root: "+probe(r, outOfProcess, ""), "path: /two, root: "+probe(r, outOfProcess, "")))
		one, two := s.who("/who"), s.who("/two/who")
		if one.Pid == two.Pid {
			r.Errorf("both are process %d", one.Pid)
		}
	})
	row(t, "A48 a start-up hook of the application's own", func(r *recorder) {
		hook := library(r, `internal class StartupHook { public static void Initialize() => System.Console.WriteLine("hook: ran"); }`)
		for _, model := range models() {
			s := serve(r, probe(r, model, variables("DOTNET_STARTUP_HOOKS", hook)))
			want(r, "status", s.get("/").status, 200)
			s.printed("hook: ran")
			s.Stop(r)
		}
	})
	row(t, "A55 an exception behind a completed answer", func(r *recorder) {
		const source = `var app = WebApplication.CreateBuilder(args).Build();
app.MapGet("/", (HttpContext c) => { c.Response.OnCompleted(() => throw new InvalidOperationException("behind")); return "whole"; });
app.Run();`
		s := serve(r, compile(r, source, appConfig(outOfProcess, "")))
		for range 2 {
			want(r, "body", s.get("/").body, "whole")
		}
	})
	row(t, "A57 started without a request", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /, root: "+probe(r, outOfProcess, "")+", start: always"))
		s.event(1001)
		if pids := s.instances(); len(pids) != 1 {
			r.Errorf("processes %v", pids)
		}
	})
	row(t, "A60 a child of the started program listens", func(r *recorder) {
		s := serve(r, child(r, "-listener grandchild", outOfProcess, ""))
		before := s.pid()
		kill(before, syscall.SIGKILL)
		s.newPid(before)
	})
	row(t, "A61 nobody of the application's own listens on its port", func(r *recorder) {
		s := serve(r, child(r, "-elsewhere", outOfProcess+`startupTimeLimit="2" shutdownTimeLimit="1"`, ""))
		took := lab.Within(func() { want(r, "code", s.get("/").code(), "502.5") })
		if took < 2*time.Second {
			r.Errorf("it was given up after %v already", took)
		}
		s.event(1000, "did not listen on port")
		s.event(1020, "it listens on [127.0.0.1:")
	})
	row(t, "A61 it listens on another port first, and later on its own", func(r *recorder) {
		s := serve(r, child(r, "-also 127.0.0.1:"+freePort(r)+" -start-delay 3s", outOfProcess+`startupTimeLimit="60"`, ""))
		want(r, "status", s.get("/").status, 200)
		s.event(1001)
		want(r, "failed attempts", s.count(1000), 0)
		want(r, "failed starts", s.count(1020), 0)
	})
	row(t, "A61 somebody else listens on its port", func(r *recorder) {
		for arguments, why := range map[string]string{"": "address already in use", "-silent": "did not listen on port"} {
			port := freePort(r)
			foreign, err := net.Listen("tcp4", "127.0.0.1:"+port)
			if err != nil {
				r.Fatal(err)
			}
			defer foreign.Close()
			s := serve(r, child(r, arguments, outOfProcess+`startupTimeLimit="2" shutdownTimeLimit="1"`, variables("ASPNETCORE_PORT", port)))
			want(r, "code", s.get("/").code(), "502.5")
			s.event(1000)
			s.event(1020, why)
			s.Stop(r)
		}
	})
	row(t, "A61 somebody else takes its port, and another one is tried", func(r *recorder) {
		folder := writable(r, child(r, "", outOfProcess, ""))
		again := filepath.Join(folder, "again")
		if err := syscall.Mkfifo(again, 0o666); err != nil {
			r.Fatal(err)
		}
		pipe, err := os.OpenFile(again, os.O_RDWR, 0)
		if err != nil {
			r.Fatal(err)
		}
		defer pipe.Close()
		if err := pipe.Chmod(0o666); err != nil {
			r.Fatal(err)
		}
		// The first attempt waits until its port is taken.
		lab.Write(r, folder, "start.sh", "if [ ! -e port.txt ]; then echo $ASPNETCORE_PORT > port.txt; read x < again; exit 3; fi\nexec ./childapp\n")
		lab.Write(r, folder, "web.config", webConfig(`processPath="/bin/sh" arguments="./start.sh"`+outOfProcess, ""))
		s := serve(r, folder)
		first := make(chan answer, 1)
		go func() {
			a, _ := s.try("GET", "/", "")
			first <- a
		}()
		var port string
		lab.Eventually(r, func() string {
			text, err := os.ReadFile(filepath.Join(folder, "port.txt"))
			if port = strings.TrimSpace(string(text)); err != nil || port == "" {
				return fmt.Sprint("no port is told: ", err)
			}
			return ""
		})
		foreign, err := net.Listen("tcp4", "127.0.0.1:"+port)
		if err != nil {
			r.Fatal(err)
		}
		defer foreign.Close()
		if _, err := pipe.WriteString("on\n"); err != nil {
			r.Fatal(err)
		}
		want(r, "status of the first request", (<-first).status, 200)
		s.event(1000, "code 3")
		s.event(1001)
		want(r, "attempts that failed", s.count(1000), 1)
		want(r, "failed starts", s.count(1020), 0)
	})
	row(t, "A62 the program exits at once", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, variables("PROBE_START", "exit:3")))
		want(r, "code", s.get("/").code(), "502.5")
		s.event(1020, "code 3", "probe: told to exit")
		want(r, "attempts", s.count(1000), 1)
		want(r, "failures", s.count(1020), 1)
	})
	row(t, "A63 the program starts the one that listens and ends", func(r *recorder) {
		s := serve(r, child(r, "-listener orphan", outOfProcess, ""))
		pid := s.pid()
		s.launcherEnded(pid)
		want(r, "process", s.pid(), pid)
		kill(s.worker(), syscall.SIGKILL) // the next one takes it over
		lab.Eventually(r, func() string {
			if !strings.Contains(s.Log(), "instance adopted") {
				return "nothing is adopted"
			}
			return ""
		})
		want(r, "process behind the loss of the worker", s.pid(), pid)
		kill(pid, syscall.SIGKILL)
		s.event(1018, "its launcher")
		next := s.newPid(pid)
		s.touch("web.config")
		s.newPid(next)
		s.event(1006, "202")
		s.gone(next)
		want(r, "killed", s.count(1005), 0)
	})
	row(t, "A63 a launcher that waited is killed, later the one that listens", func(r *recorder) {
		s := serve(r, child(r, "-listener grandchild", outOfProcess, ""))
		pid := s.pid()
		kill(s.launcherOf(pid), syscall.SIGKILL)
		s.launcherEnded(pid)
		want(r, "process", s.pid(), pid)
		kill(pid, syscall.SIGTERM)
		s.newPid(pid)
		want(r, "starts", s.count(1001), 2)
	})
	row(t, "A63 the end of a launcher in-process is the application's", func(r *recorder) {
		s := serve(r, child(r, "-listener grandchild", inProcess, ""))
		pid := s.pid()
		kill(s.launcherOf(pid), syscall.SIGKILL)
		s.gone(pid)
		s.event(1018, "signal 9")
	})
	row(t, "A64 an application that listens on every address, of both kinds", func(r *recorder) {
		folder := publish(r, "slim", webConfig(`processPath="dotnet" arguments=".\Slim.dll --urls http://*:%ASPNETCORE_PORT%"`+outOfProcess, ""))
		s := serve(r, folder)
		want(r, "status", s.get("/").status, 200)
	})
}

// catchAll answers with path and query of whatever it is asked.
const catchAll = `var app = WebApplication.CreateBuilder(args).Build();
app.Run(async c => await c.Response.WriteAsync(c.Request.PathBase + c.Request.Path.Value + " " + c.Request.QueryString.Value));
app.Run();`

// suspended waits for the runtime's diagnostic port, and gives what lets it go on: the command ResumeRuntime of .NET's protocol.
func (s *served) suspended() (resume func()) {
	s.r.Helper()
	var ports []string
	lab.Eventually(s.r, func() string {
		for _, pid := range s.instances() {
			ports, _ = filepath.Glob(fmt.Sprintf("/tmp/dotnet-diagnostic-%d-*-socket", pid))
		}
		if len(ports) == 0 {
			return "no diagnostic port"
		}
		return ""
	})
	return func() {
		s.r.Helper()
		conn, err := net.Dial("unix", ports[0])
		if err != nil {
			s.r.Fatal(err)
		}
		defer conn.Close()
		answer := make([]byte, 20)
		if _, err := conn.Write([]byte("DOTNET_IPC_V1\x00\x14\x00\x04\x01\x00\x00")); err != nil {
			s.r.Fatal(err)
		}
		if _, err := io.ReadFull(conn, answer); err != nil {
			s.r.Fatal(err)
		}
	}
}

// launcherEnded waits until the agent knows that the program which it started has ended before the one that listens.
func (s *served) launcherEnded(listener int) {
	s.r.Helper()
	lab.Eventually(s.r, func() string {
		if !strings.Contains(s.Log(), "launcher ended") {
			return "the end of the launcher is not noticed"
		}
		return ""
	})
	if now := s.instances(); len(now) != 1 || now[0] != listener {
		s.r.Errorf("processes %v, want %d alone", now, listener)
	}
	s.r.saw(process, "%d alone", listener)
}

// launcherOf gives the other process of an application that has two.
func (s *served) launcherOf(listener int) int {
	s.r.Helper()
	for _, pid := range s.instances() {
		if pid != listener {
			return pid
		}
	}
	s.r.Fatalf("%d is alone", listener)
	return 0
}

// together sends requests at once, all of which must be answered with 200.
func (s *served) together(n int, path string) {
	s.r.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			if a, err := s.try("GET", path, ""); err != nil || a.status != 200 {
				s.r.Errorf("GET %s: %v, %v", path, a, err)
			}
		})
	}
	all.Wait()
	s.r.saw(reply, "%d times GET %s", n, path)
}

// printed waits for text in what the applications print.
func (s *served) printed(text string) {
	s.r.Helper()
	lab.Eventually(s.r, func() string {
		if !strings.Contains(s.Out(), text) {
			return fmt.Sprintf("nothing printed %q", text)
		}
		return ""
	})
	s.r.saw(process, "printed %q", text)
}
