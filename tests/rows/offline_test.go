package rows

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// G: app_offline.htm.
func TestOffline(t *testing.T) {
	t.Parallel()
	row(t, "G01 there before the first request", func(r *recorder) {
		folder := probe(r, outOfProcess, "")
		lab.Write(r, folder, "app_offline.htm", "The app is offline.")
		s := serve(r, folder)
		a := s.get("/")
		want(r, "status", a.status, 503)
		want(r, "body", a.body, "The app is offline.")
		if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			r.Errorf("type %q", a.header.Get("Content-Type"))
		}
		if pids := s.instances(); len(pids) > 0 {
			r.Errorf("processes %v", pids)
		}
	})
	row(t, "G02 a file that somebody holds", func(r *recorder) {
		folder := child(r, "", outOfProcess, "")
		held(r, lab.Write(r, folder, "app_offline.htm", "closed"))
		s := serve(r, folder)
		a := s.offline("")
		want(r, "length", a.header.Get("Content-Length"), "0")
		want(r, "processes", len(s.instances()), 0)
	})
	row(t, "G03 an application that does not start, then app_offline.htm", func(r *recorder) {
		for _, c := range []struct{ model, code string }{{inProcess, "500.0"}, {outOfProcess, "502.5"}} {
			s := serve(r, lab.Folder(r, lab.Dir(r), "www", map[string]string{"web.config": attributes(`processPath="bogus"` + c.model)}))
			want(r, "code", s.get("/").code(), c.code)
			s.write("app_offline.htm", "closed")
			s.offline("closed")
			s.Stop(r)
		}
	})
	row(t, "G04 an application that does not start in-process, then app_offline.htm, then both are mended", func(r *recorder) {
		s := stuck(r)
		want(r, "code", s.get("/").code(), "500.30")
		s.write("app_offline.htm", "closed")
		s.offline("closed")
		s.write("good", "")
		s.remove("app_offline.htm")
		s.online()
	})
	row(t, "G07 added and removed", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		for range 2 {
			s.write("app_offline.htm", "closed")
			s.offline("closed")
			s.gone(pid)
			s.remove("app_offline.htm")
			s.online()
			pid = s.newPid(pid)
		}
		s.event(1012)
	})
	row(t, "G09 renamed in and out, in another spelling, three times", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		s.write("_off", "closed")
		for range 3 {
			s.rename("_off", "App_Offline.Htm")
			s.offline("closed")
			s.gone(pid)
			s.rename("Probe.dll", "_dll")
			s.rename("_dll", "Probe.dll")
			s.rename("App_Offline.Htm", "_off")
			pid = s.newPid(pid)
		}
	})
	row(t, "G10 written and deleted beside rewrite rules, three times", func(r *recorder) {
		s := serve(r, publish(r, "probe", rewriting))
		pid := s.pid()
		for range 3 {
			s.write("app_offline.htm", "closed")
			s.offline("closed")
			s.gone(pid)
			s.remove("app_offline.htm")
			pid = s.newPid(pid)
		}
	})
	row(t, "G11 a WebSocket is open", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`shutdownTimeLimit="5"`, ""))
		pid := s.who("/who").Pid
		ws := s.upgrade("/ws")
		ws.send(1, []byte("hello"))
		ws.receive()
		s.write("app_offline.htm", "closed")
		opcode, payload := ws.receive()
		if opcode != 8 {
			r.Errorf("opcode %d, want a close frame", opcode)
		}
		r.saw(reply, "close frame %x", payload)
		s.offline("closed")
		s.gone(pid)
	})
	row(t, "G12 edited while it holds", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		s.write("app_offline.htm", "one")
		s.offline("one")
		s.write("app_offline.htm", "two")
		s.offline("two")
	})
	row(t, "G13 web.config breaks while it holds", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		s.pid()
		s.write("app_offline.htm", "closed")
		s.offline("closed")
		good, err := os.ReadFile(filepath.Join(s.root, "web.config"))
		if err != nil {
			r.Fatal(err)
		}
		s.write("web.config", "<configuration><broken>")
		lab.Eventually(r, func() string {
			if !strings.Contains(s.Log(), "web.config:") {
				return "the broken file is not seen"
			}
			return ""
		})
		s.offline("closed")
		s.write("web.config", string(good))
		s.remove("app_offline.htm")
		s.online()
	})
	row(t, "G14 whatever is asked", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		s.write("app_offline.htm", "closed")
		s.offline("closed")
		for _, c := range []struct{ method, path, body string }{{"POST", "/upload", "closed"}, {"GET", "/some/where?x", "closed"}, {"DELETE", "/", "closed"}, {"HEAD", "/", ""}} {
			a := s.ask(c.method, c.path, "")
			want(r, c.method+" "+c.path, a.status, 503)
			want(r, "body", a.body, c.body)
			want(r, "length", a.header.Get("Content-Length"), "6")
		}
	})
	row(t, "G15 it holds in its own folder only", func(r *recorder) {
		parent, sub := probe(r, outOfProcess, ""), probe(r, outOfProcess, "")
		s := serve(r, siteFile(r, "shop", "path: /, root: "+parent, "path: /sub, root: "+sub))
		lab.Write(r, parent, "app_offline.htm", "closed")
		s.offline("closed")
		want(r, "the child", s.get("/sub/").status, 200)
	})
	row(t, "G17 a directory of that name", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		if err := os.Mkdir(filepath.Join(s.root, "app_offline.htm"), 0o755); err != nil {
			r.Fatal(err)
		}
		lab.Wait(r.Context(), 1500*time.Millisecond)
		want(r, "process", s.pid(), pid)
	})
	row(t, "G18 a request under way", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`shutdownTimeLimit="20"`, ""))
		pid := s.pid()
		slow := make(chan answer, 1)
		go func() {
			a, _ := s.try("GET", "/slow?ms=4000", "")
			slow <- a
		}()
		s.printed("/slow")
		s.write("app_offline.htm", "closed")
		s.offline("closed")
		want(r, "the slow answer", (<-slow).body, "slept\n")
		s.gone(pid)
	})
	row(t, "G19 an application that hangs", func(r *recorder) {
		s := serve(r, child(r, "-ignore-term", outOfProcess+`shutdownTimeLimit="2"`, ""))
		pid := s.pid()
		s.write("app_offline.htm", "closed")
		if took := s.gone(pid); took > 8*time.Second {
			r.Errorf("it took %v", took)
		}
		s.event(1005)
		s.offline("closed")
	})
	row(t, "G20 only the whole name counts", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		for _, name := range []string{"app_o", "app_offline.ht", "app_offline.html", "_app_offline.htm"} {
			s.write(name, "closed")
		}
		lab.Wait(r.Context(), 1500*time.Millisecond)
		want(r, "process", s.pid(), pid)
		s.write("APP_OFFLINE.HTM", "closed")
		s.offline("closed")
	})
	row(t, "G22 an empty file", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""))
		pid := s.pid()
		s.write("app_offline.htm", "")
		s.gone(pid)
		a := s.offline("")
		want(r, "length", a.header.Get("Content-Length"), fmt.Sprint(0))
	})
}

// held locks a file as Linux does it: with a lease no other opens it until that is given up, or taken away after 45 s.
func held(r *recorder, path string) {
	r.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = file.Close() })
	if _, err := unix.FcntlInt(file.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		r.Fatalf("%s: lease: %v", path, err)
	}
}
