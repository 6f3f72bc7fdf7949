package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// One stream over three hosts, 1,000 lines each, half of them after a worker was killed: every line once, in order.
func TestLogsFollow(t *testing.T) {
	f := lab.NewFleet(t)
	names := []string{"web1", "web2", "web3"}
	for _, name := range names {
		f.Join(name, "role=web")
	}
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	for _, name := range names {
		f.Get(name, "shop", "/")
	}
	logs := f.Background("logs", "shop", "-f", "--tail", "0")
	// Following has begun when a line that is written now is printed.
	for _, name := range names {
		lab.Eventually(t, func() string {
			f.Get(name, "shop", "/log?n=1&prefix=begin")
			if strings.Contains(logs.Out(), name+" shop/1 | begin ") {
				return ""
			}
			return "nothing is followed on " + name
		})
	}
	for _, name := range names {
		f.Get(name, "shop", "/log?n=500&prefix=line")
	}
	app := siteProcess(t, f.Hosts["web1"].Address, "shop")
	for _, w := range lab.Children(f.Hosts["web1"].Pid()) {
		if fmt.Sprint(w) != app {
			_ = syscall.Kill(w, syscall.SIGKILL)
		}
	}
	for _, name := range names {
		f.Get(name, "shop", "/log?n=500&from=501&prefix=line")
	}
	lab.Eventually(t, func() string {
		if n := strings.Count(logs.Out(), "| line "); n < 3000 {
			return fmt.Sprintf("%d lines of 3000; %s", n, logs.Log())
		}
		return ""
	})
	logs.Signal(syscall.SIGINT)
	if code := logs.Wait(t); code != 0 {
		t.Errorf("Ctrl-C gives code %d", code)
	}
	for _, name := range names {
		checkLines(t, logs.Out(), name+" shop/1 | line ", 1000)
	}
}

// checkLines checks that the numbers behind a prefix are 1 to n, each once and in order.
func checkLines(t *testing.T, out, prefix string, n int) {
	t.Helper()
	next := 1
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, prefix); ok {
			if rest != fmt.Sprintf("%d\n", next) {
				t.Fatalf("%s: got %q, want %d", prefix, rest, next)
			}
			next++
		}
	}
	if next != n+1 {
		t.Errorf("%s: %d lines, want %d", prefix, next-1, n)
	}
}

// The index deleted: every cursor gives the same line again.
func TestLogsIndexDeleted(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	for range 5 {
		f.Get("web1", "shop", "/log?n=2000&prefix=line")
		f.Get("web1", "shop", "/log?n=300&prefix=other&stream=stderr")
	}
	before := f.Must("logs", "shop", "-o", "json")
	if n := strings.Count(before, "\n"); n < 11_500 {
		t.Fatalf("%d lines only", n)
	}
	web1.Stop(t)
	deleted := 0
	err := filepath.WalkDir(web1.Data+"/captures", func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), "index") {
			deleted++
			return os.Remove(path)
		}
		return err
	})
	if err != nil || deleted == 0 {
		t.Fatalf("%d index files deleted, %v", deleted, err)
	}
	f.Run(web1)
	f.Connected("web1")
	after := f.Must("logs", "shop", "-o", "json")
	if !strings.HasPrefix(after, before[:strings.LastIndex(strings.TrimSuffix(before, "\n"), "\n")]) {
		t.Error("the lines, their numbers or times are others")
	}
}

// Filters: streams, tail, previous runs, hosts; a host that is away is named and makes the code 3.
func TestLogsFilters(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	web2 := f.Join("web2", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	for _, name := range []string{"web1", "web2"} {
		f.Get(name, "shop", "/log?n=5&prefix=out")
		f.Get(name, "shop", "/log?n=5&prefix=err&stream=stderr")
	}
	wait := func(want int, args ...string) string {
		var out string
		lab.Eventually(t, func() string {
			if out = f.Must(append([]string{"logs", "shop"}, args...)...); strings.Count(out, "\n") != want {
				return fmt.Sprintf("%q: %d lines, want %d:\n%s", args, strings.Count(out, "\n"), want, out)
			}
			return ""
		})
		return out
	}
	wait(10, "--stream", "stderr")
	wait(5, "--stream", "stderr", "--host", "web2")
	wait(4, "--tail", "2") // which they are is open: the two streams are read by two readers
	if out := wait(4, "--tail", "2", "--stream", "stderr"); strings.Count(out, "err 5") != 2 {
		t.Errorf("--tail:\n%s", out)
	}
	f.Get("web1", "shop", "/log?n=1&prefix=%1b%5d0%3bowned%07bad")
	if out := f.Must("logs", "shop", "--host", "web1", "--tail", "1"); strings.ContainsAny(out, "\x1b\x07") || !strings.Contains(out, `\x1b]0;owned\x07bad`) {
		t.Errorf("control bytes: %q", out)
	}
	_, _ = lab.Try(f.Hosts["web1"].Address, "/crash", "shop.example")
	f.Get("web1", "shop", "/")
	lab.Eventually(t, func() string {
		out := f.Must("logs", "shop", "--host", "web1", "--previous", "1")
		if !strings.Contains(out, "web1 shop/1 | childapp: crash on request") || strings.Contains(out, "shop/2") {
			return out
		}
		return ""
	})
	web2.Stop(t)
	f.State("web2", "unreachable")
	if r := f.CLI("logs", "shop"); r.Code != 3 || !strings.Contains(r.Errors, "web2 is not reached") {
		t.Errorf("%d %s", r.Code, r.Errors)
	}
}

// The agent's own token never shows, although the application prints it.
func TestLogsRedacted(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	env := f.Get("web1", "shop", "/env").Body
	i := strings.Index(env, "ASPNETCORE_TOKEN=")
	token, _, _ := strings.Cut(env[i+len("ASPNETCORE_TOKEN="):], "\n")
	port := env[strings.Index(env, "\nPORT=")+len("\nPORT="):]
	port, _, _ = strings.Cut(port, "\n")
	if a, err := lab.Try("127.0.0.1:"+port, "/", ""); err != nil || a.Status != 400 {
		t.Fatalf("without the token: %d, %v", a.Status, err)
	}
	lab.Eventually(t, func() string {
		out := f.Must("logs", "shop")
		if strings.Contains(out, token) {
			t.Fatalf("the token shows:\n%s", out)
		}
		if !strings.Contains(out, "does not match the expected pairing token") {
			return out
		}
		return ""
	})
}

// A crash shows through the controller: signal, count, last words, and the event.
func TestCrashShows(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	f.Join("web2", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	f.Get("web1", "shop", "/")
	f.Get("web2", "shop", "/")
	if a, err := lab.Try(f.Hosts["web2"].Address, "/crash", "shop.example"); err == nil && a.Status != 502 {
		t.Errorf("the request that crashed it: %d", a.Status)
	}
	lab.Eventually(t, func() string {
		lines := slices.Collect(strings.Lines(f.Must("get", "instances", "shop")))
		for _, line := range lines {
			if strings.HasPrefix(line, "web2") && strings.Contains(line, "exited") && strings.Contains(line, " 1 ") && strings.Contains(line, "signal SIG") {
				return ""
			}
		}
		return strings.Join(lines, "")
	})
	lab.Eventually(t, func() string {
		out := f.Must("describe", "site", "shop", "--host", "web2")
		for _, want := range []string{"1 failure this minute", "ended by signal SIG", "| childapp: crash on request", "[1018]"} {
			if !strings.Contains(out, want) {
				return "no " + want + " in\n" + out
			}
		}
		return ""
	})
	if a := f.Get("web2", "shop", "/"); a.Status != 200 {
		t.Errorf("the next request: %d", a.Status)
	}
}

// Lines have a connection of their own, and only while somebody asks.
func TestLogsConnection(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	connections := func(want int) {
		t.Helper()
		lab.Eventually(t, func() string {
			if n := lab.Connections(f.Agents); n != want {
				return fmt.Sprintf("%d connections of agents, want %d", n, want)
			}
			return ""
		})
	}
	connections(1)
	logs := f.Background("logs", "shop", "-f")
	connections(2)
	logs.Signal(syscall.SIGINT)
	logs.Wait(t)
	connections(1)
}
