package rows

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// F: how an instance lives and ends. What takes tens of seconds is scaled by ten, with its limit.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	row(t, "F01 the process is killed, three times", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		for i := range 3 {
			kill(pid, syscall.SIGKILL)
			pid = s.newPid(pid)
			if n := s.count(1001); n != i+2 {
				r.Errorf("%d starts after %d kills", n, i+1)
			}
		}
		s.event(1018, "signal 9")
	})
	row(t, "F02 the agent's worker is killed", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid, worker := s.pid(), s.worker()
		kill(worker, syscall.SIGKILL)
		s.gone(worker)
		want(r, "process", s.pid(), pid)
		if now := s.worker(); now == worker {
			r.Errorf("worker %d", now)
		}
	})
	row(t, "F03 web.config away and back, three times", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		for range 3 {
			s.rename("web.config", "_web.config")
			pid = s.newPid(pid)
			s.rename("_web.config", "web.config")
			pid = s.newPid(pid)
		}
	})
	row(t, "F04 web.config is touched in which there are rewrite rules", func(r *recorder) {
		s := serve(r, publish(r, "probe", rewriting))
		pid := s.pid()
		s.touch("web.config")
		s.newPid(pid)
	})
	row(t, "F06 web.config is touched", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		s.touch("web.config")
		s.newPid(pid)
		s.event(1021)
		s.event(1006, "202")
		s.gone(pid)
	})
	row(t, "F07 web.config is touched in-process", func(r *recorder) {
		s := serve(r, probe(r, inProcess, ""))
		pid := s.pid()
		s.touch("web.config")
		next := s.newPid(pid)
		s.event(1021)
		s.gone(pid)
		s.edit("web.config", "<aspNetCore ", `<aspNetCore shutdownTimeLimit="9" `)
		last := s.newPid(next)
		s.recycled(2)
		s.edit("web.config", "</aspNetCore>", "<environmentVariables><environmentVariable name=\"Color\" value=\"red\" /></environmentVariables></aspNetCore>")
		s.newPid(last)
		s.recycled(3)
	})
	row(t, "F08 a change that is to be ignored", func(r *recorder) {
		for _, model := range []string{outOfProcess, inProcess} {
			s := serve(r, probe(r, model, settings("disallowRotationOnConfigChange", "true")))
			pid := s.pid()
			s.touch("web.config")
			lab.Wait(r.Context(), 3*time.Second)
			want(r, "process", s.pid(), pid)
			want(r, "recycles", s.count(1021), 0)
			s.Stop(r)
		}
	})
	row(t, "F10 web.config is touched again and again under load", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		l := s.load(4)
		for range 5 {
			s.touch("web.config")
			lab.Wait(r.Context(), 400*time.Millisecond)
		}
		s.newPid(pid)
		l.end(1)
	})
	row(t, "F11 two thousand requests across a restart", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		l := s.load(8)
		l.until(200)
		s.touch("web.config")
		s.newPid(pid)
		l.until(2000)
		l.end(2000)
	})
	row(t, "F14 an application that does not stop in-process", func(r *recorder) {
		s := serve(r, probe(r, inProcess+`shutdownTimeLimit="1"`, variables("PROBE_STOP_DELAY_MS", "30000")))
		pid := s.pid()
		s.write("app_offline.htm", "closed")
		if took := s.gone(pid); took > 6*time.Second {
			r.Errorf("it took %v", took)
		}
		s.event(1005, "1s")
	})
	row(t, "F15 a graceful stop takes its time", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`shutdownTimeLimit="8"`, variables("PROBE_STOP_DELAY_MS", "3000")))
		pid := s.pid()
		s.touch("web.config")
		s.event(1006, "202")
		if took := s.gone(pid); took < 2*time.Second {
			r.Errorf("it ended after %v already", took)
		}
		s.event(1030)
		want(r, "failed stops", s.count(1005), 0)
	})
	row(t, "F16 an application that does not take the shutdown request", func(r *recorder) {
		const source = `var app = WebApplication.CreateSlimBuilder(args).Build();
app.MapGet("/", () => "pid " + Environment.ProcessId);
app.MapFallback(() => "anything");
app.Run();`
		s := serve(r, compile(r, source, appConfig(outOfProcess+`shutdownTimeLimit="20"`, "")))
		pid := s.pid()
		s.touch("web.config")
		s.event(1006, "200")
		s.gone(pid)
		s.event(1030)
		want(r, "failed stops", s.count(1005), 0)
	})
	row(t, "F18 no time for a stop", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`shutdownTimeLimit="0"`, variables("PROBE_STOP_DELAY_MS", "20000")))
		pid := s.pid()
		s.write("app_offline.htm", "closed")
		if took := s.gone(pid); took > 6*time.Second {
			r.Errorf("it took %v", took)
		}
		s.event(1005)
	})
	row(t, "F19 app_offline.htm gives the time that is set", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`shutdownTimeLimit="10"`, variables("PROBE_STOP_DELAY_MS", "2000")))
		pid := s.pid()
		s.write("app_offline.htm", "closed")
		s.offline("closed")
		if took := s.gone(pid); took < time.Second || took > 8*time.Second {
			r.Errorf("it took %v", took)
		}
		s.event(1006, "202")
		s.event(1012)
	})
	row(t, "F20 the application stops itself in a request", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		want(r, "body", s.get("/stop").body, "stopping\n")
		s.gone(pid)
		s.newPid(pid)
	})
	row(t, "F21 several slow requests at a stop in-process", func(r *recorder) {
		s := serve(r, probe(r, inProcess+`shutdownTimeLimit="20"`, ""))
		pid := s.pid()
		slow := make(chan answer, 5)
		for range 5 {
			go func() {
				a, _ := s.try("GET", "/slow?ms=4000", "")
				slow <- a
			}()
		}
		lab.Eventually(r, func() string {
			if n := strings.Count(s.Out(), "/slow?ms=4000 - - -"); n < 5 {
				return fmt.Sprintf("%d of 5 have begun", n)
			}
			return ""
		})
		s.Signal(syscall.SIGTERM)
		for range 5 {
			want(r, "a slow answer", (<-slow).body, "slept\n")
		}
		s.gone(pid)
	})
	row(t, "F23 recycled under load", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		l := s.load(4)
		l.until(50)
		s.touch("web.config")
		s.newPid(pid)
		s.gone(pid)
		l.end(50)
	})
	row(t, "F24 a mixed load", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				for range 30 {
					body := strings.Repeat("x", 3000*i)
					if a, err := s.try("POST", "/upload", body); err != nil || !strings.Contains(a.body, fmt.Sprintf(`"bytes":%d,`, len(body))) {
						r.Errorf("upload: %v %v", a, err)
					}
					if a, err := s.try("GET", fmt.Sprintf("/download?bytes=%d", 10_000*i), ""); err != nil || len(a.body) != 10_000*i {
						r.Errorf("download: %d bytes, %v", len(a.body), err)
					}
					if ws, err := s.tryUpgrade("/ws"); err != nil || ws.answer.status != 101 {
						r.Errorf("upgrade: %v %v", ws.answer, err)
					} else {
						ws.conn.Close()
					}
				}
			})
		}
		all.Wait()
		want(r, "process", s.pid(), pid)
	})
	row(t, "F25 the agent stops", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		s.Stop(r)
		s.gone(pid)
		if left := s.instances(); len(left) > 0 {
			r.Errorf("processes %v are left", left)
		}
	})
	row(t, "F27 the shutdown request", func(r *recorder) {
		const source = `var builder = WebApplication.CreateSlimBuilder(args);
var app = builder.Build();
app.MapPost("/base/iisintegration", async (HttpContext c) => {
	var body = await new StreamReader(c.Request.Body).ReadToEndAsync();
	Console.WriteLine($"shutdown: {c.Request.Method} [{c.Request.Headers["MS-ASPNETCORE-EVENT"]}] token={c.Request.Headers["MS-ASPNETCORE-TOKEN"] == Environment.GetEnvironmentVariable("ASPNETCORE_TOKEN")} body={body.Length}");
	app.Lifetime.StopApplication();
	return Results.StatusCode(202);
});
app.MapFallback(() => "pid " + Environment.ProcessId);
app.Run();`
		s := serve(r, siteFile(r, "shop", "path: /base, root: "+compile(r, source, appConfig(outOfProcess, ""))))
		want(r, "status", s.get("/base/").status, 200)
		s.root = filepath.Dir(s.rootOf("/base"))
		s.touch("www/web.config")
		s.printed("shutdown: POST [shutdown] token=True body=0")
		s.event(1006, "202")
	})
	row(t, "F28 descendants end with the application", func(r *recorder) {
		s := serve(r, child(r, "-fork double -ignore-term", outOfProcess+`shutdownTimeLimit="1"`, ""))
		pid := s.pid()
		lab.Eventually(r, func() string {
			if n := len(s.instances()); n < 2 {
				return "nothing was forked"
			}
			return ""
		})
		all := s.instances()
		s.write("app_offline.htm", "closed")
		s.gone(append(all, pid)...)
		s.event(1005)
	})
	row(t, "F29 recycled while a request is under way", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		slow := make(chan answer, 1)
		go func() {
			a, _ := s.try("GET", "/slow?ms=12000", "")
			slow <- a
		}()
		s.printed("/slow")
		s.touch("web.config")
		s.newPid(pid)
		select {
		case a := <-slow:
			r.Errorf("the slow request is answered before another process answers: %v", a)
		default:
		}
		want(r, "the slow answer", (<-slow).body, "slept\n")
		s.gone(pid)
	})
	row(t, "F30 no restart without a request", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		kill(pid, syscall.SIGKILL)
		s.event(1018)
		lab.Wait(r.Context(), 2*time.Second)
		if now := s.instances(); len(now) > 0 {
			r.Errorf("processes %v run", now)
		}
		want(r, "starts", s.count(1001), 1)
		s.newPid(pid)
	})
}

// What takes a controller.
func TestPushed(t *testing.T) {
	t.Parallel()
	row(t, "F09 what is pushed again, and what concerns no application", func(r *recorder) {
		f, s := pushed(r)
		pid := s.pid()
		file := filepath.Join(f.Dir, "shop.yaml")
		f.Must("apply", "-f", file, "--wait")
		want(r, "process", s.pid(), pid)
		s.root = f.Dir
		s.edit("shop.yaml", "placement:", "labels: {team: web}\nplacement:")
		f.Must("apply", "-f", file, "--wait")
		want(r, "process", s.pid(), pid)
	})
	row(t, "F12 recycled by an operator under load", func(r *recorder) {
		f, s := pushed(r)
		pid := s.pid()
		l := s.load(4)
		l.until(50)
		f.Must("recycle", "shop")
		s.newPid(pid)
		l.until(l.good.Load() + 50)
		l.end(100)
	})
	row(t, "F26 a request outlives its site", func(r *recorder) {
		f, s := pushed(r)
		s.pid()
		slow := make(chan answer, 1)
		go func() {
			a, _ := s.try("GET", "/sleep?d=3s", "")
			slow <- a
		}()
		lab.Wait(r.Context(), 500*time.Millisecond)
		f.Must("delete", "site", "shop", "--yes")
		lab.Eventually(r, func() string {
			if a, err := s.try("GET", "/", ""); err != nil || a.status != 404 {
				return fmt.Sprint(a, err)
			}
			return ""
		})
		want(r, "the slow answer", (<-slow).body, "slept\n")
		r.saw(reply, "whole, behind the end of its site")
	})
}

// pushed is childapp as a site that a controller sends to a host.
func pushed(r *recorder) (*lab.Fleet, *served) {
	r.Helper()
	f := lab.NewFleet(r)
	host := f.Join("web1", "role=web")
	file := f.Site("shop", "role=web")
	content, err := os.ReadFile(file)
	if err != nil {
		r.Fatal(err)
	}
	lab.Write(r, f.Dir, "shop.yaml", strings.Replace(string(content), ", hostnames: [shop.example]", "", 1))
	f.Must("apply", "-f", file, "--wait")
	return f, &served{host.Program, r, host.Address, host.Data, f.Dir}
}

// rewriting is a web.config with rules for addresses, which are not followed.
var rewriting = strings.Replace(webConfig(`processPath="dotnet" arguments=".\Probe.dll"`+outOfProcess, ""), "<handlers>",
	`<rewrite><rules><rule name="moved"><match url="^old$" /><action type="Redirect" url="new" /></rule></rules></rewrite><handlers>`, 1)

// recycled waits until so many recycles for web.config are told of.
func (s *served) recycled(n int) {
	s.r.Helper()
	lab.Eventually(s.r, func() string {
		if got := s.count(1021); got != n {
			return fmt.Sprintf("%d recycles are told of, want %d", got, n)
		}
		return ""
	})
	s.r.saw(event, "%d times 1021", n)
}

// rootOf is the folder of an application of a site file.
func (s *served) rootOf(path string) string {
	s.r.Helper()
	files, _ := filepath.Glob(s.root + "/*.yaml")
	for _, f := range files {
		content, _ := os.ReadFile(f)
		for line := range strings.Lines(string(content)) {
			if _, rest, ok := strings.Cut(line, "path: "+path+", root: "); ok {
				return strings.TrimRight(strings.SplitN(rest, ",", 2)[0], "}\n")
			}
		}
	}
	s.r.Fatalf("no application %s in %v", path, files)
	return ""
}

// offline waits until the application is out of service with this page.
func (s *served) offline(page string) answer {
	s.r.Helper()
	var a answer
	lab.Eventually(s.r, func() string {
		var err error
		if a, err = s.try("GET", "/", ""); err != nil || a.status != 503 || a.body != page {
			return fmt.Sprintf("%v %v, want 503 %q", a, err, page)
		}
		return ""
	})
	s.r.saw(reply, "503 %.50q", page)
	return a
}

// online waits until it is back.
func (s *served) online() {
	s.r.Helper()
	lab.Eventually(s.r, func() string {
		if a, err := s.try("GET", "/", ""); err != nil || a.status != 200 {
			return fmt.Sprintf("%v %v, want 200", a, err)
		}
		return ""
	})
	s.r.saw(reply, "200 again")
}

// load is clients that ask again and again, half of them on new connections; everything must be answered with 200.
type load struct {
	s    *served
	text string
	stop chan struct{}
	all  sync.WaitGroup
	good atomic.Int64
}

func (s *served) load(clients int) *load {
	return s.loadOf(clients, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
}

// loadOf is load of one request in full.
func (s *served) loadOf(clients int, text string) *load {
	s.r.Helper()
	l := &load{s: s, text: text, stop: make(chan struct{})}
	for i := range clients {
		l.all.Go(func() { l.client(i%2 == 0) })
	}
	return l
}

func (l *load) client(fresh bool) {
	var c *opened
	for {
		select {
		case <-l.stop:
			return
		default:
		}
		if c == nil || fresh {
			conn, err := net.Dial("tcp", l.s.address)
			if err != nil {
				l.s.r.Error(err)
				return
			}
			c = newOpened(l.s, conn)
		}
		a, err := c.send(l.text)
		if err != nil || a.status != 200 {
			l.s.r.Errorf("under load: %v, %v", a, err)
			return
		}
		if a.header.Get("Connection") == "close" || fresh {
			c.conn.Close()
			c = nil
		}
		l.good.Add(1)
	}
}

// until waits until so many were answered.
func (l *load) until(n int64) {
	l.s.r.Helper()
	lab.Eventually(l.s.r, func() string {
		if got := l.good.Load(); got < n && !l.s.r.Failed() {
			return fmt.Sprintf("%d requests are answered", got)
		}
		return ""
	})
}

func (l *load) end(least int64) {
	l.s.r.Helper()
	close(l.stop)
	l.all.Wait()
	if n := l.good.Load(); n < least {
		l.s.r.Errorf("%d requests were answered, want %d", n, least)
	}
	l.s.r.saw(reply, "%d times 200", l.good.Load())
}
