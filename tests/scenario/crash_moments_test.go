package scenario

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// A worker that is lost while the old instance drains, which its own application's settings do not tell from the new one, leaves the
// new one; the old one is stopped, not killed, and its end is no failure.
func TestCrashInDrain(t *testing.T) {
	s := serveSite(t, "")
	before := s.pid(t)
	held := busy(t, s.address)
	defer held.Close()
	s.touch(t)
	after := before
	lab.Eventually(t, func() string {
		if after = s.pid(t); after == before {
			return "not recycled"
		}
		return ""
	})
	killWorker(t, s.Program, s.dir+"/data")
	lab.Eventually(t, func() string {
		if lab.Alive(before) {
			return "the old one lives on"
		}
		return ""
	})
	if now := s.pid(t); now != after {
		t.Errorf("process %d answers, want %d", now, after)
	}
	s.event(t, "childapp ends")
	if strings.Contains(s.Log(), "ended unexpectedly") {
		t.Error("its end counts as a failure")
	}
}

// A worker that is lost while a replacement comes up, or does not, leaves the one that serves: nobody waits for the new one, and none
// gets the page of a failed start.
func TestCrashInSwap(t *testing.T) {
	for name, flag := range map[string][]string{"slow": {"-start-delay", "3s"}, "never": {"-exit", "3"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serveSite(t, "")
			before := s.pid(t)
			load := askOn(s.address, "shop", strconv.Itoa(before))
			load.more(t)
			text := siteText("shop", s.dir+"/root", "", append([]string{lab.Bin(t, "childapp")}, flag...)...)
			lab.Write(t, s.dir, "site.yaml", text) // the next worker reads it
			killWorker(t, s.Program, s.dir+"/data")
			load.more(t)
			killWorker(t, s.Program, s.dir+"/data") // while the other one comes up
			load.more(t)
			if name == "never" {
				s.says(t, "replacement does not start, the old one goes on")
				load.more(t)
				load.end(t)
				return
			}
			close(load.stop)
			<-load.done
			lab.Eventually(t, func() string {
				if s.pid(t) == before {
					return "not replaced"
				}
				return ""
			})
			lab.Eventually(t, func() string {
				if running := instances(t, s.dir+"/data"); len(running) != 1 {
					return fmt.Sprint(running)
				}
				return ""
			})
			if runs, _ := filepath.Glob(s.dir + "/data/captures/shop/*/[1-9]*"); len(runs) != 2 {
				t.Errorf("started were %v, want two", runs)
			}
		})
	}
}

// A worker that is lost while an application starts, takes the start over.
func TestCrashInStart(t *testing.T) {
	s := serveSite(t, "start: always\n", "-start-delay", "2s")
	var starting []int
	lab.Eventually(t, func() string {
		if starting = instances(t, s.dir+"/data"); len(starting) != 1 {
			return "nothing is started"
		}
		return ""
	})
	killWorker(t, s.Program, s.dir+"/data")
	if now := s.pid(t); now != starting[0] {
		t.Errorf("process %d answers, %d was starting", now, starting[0])
	}
}

// What ends together with its worker is told of and counted by the next one, and started again.
func TestCrashOfBoth(t *testing.T) {
	s := serveSite(t, "rapidFailsPerMinute: 0\n")
	app := s.pid(t)
	workers := lab.Marked(strings.TrimSpace(read(t, s.dir+"/data/keeper-id")) + "/worker")
	for _, w := range workers {
		_ = syscall.Kill(w, syscall.SIGSTOP)
	}
	_ = syscall.Kill(app, syscall.SIGKILL)
	lab.Eventually(t, func() string { // the keeper has seen it before the worker is gone
		if lab.Alive(app) {
			return "the application lives"
		}
		return ""
	})
	for _, w := range workers {
		_ = syscall.Kill(w, syscall.SIGKILL)
	}
	s.event(t, "[1018]", "signal 9")
	if a := lab.Get(t, s.address, "/"); a.Status != 502 {
		t.Errorf("%d, want 502: one failure is more than are allowed", a.Status)
	}
}

// A site that cannot run as the host is when its worker comes is rejected, and runs on by the same process once it can.
func TestCrashOfRejected(t *testing.T) {
	s := serveSite(t, "")
	before := s.pid(t)
	root := s.dir + "/root"
	if err := os.Rename(root, root+".moved"); err != nil {
		t.Fatal(err)
	}
	loseWorker(t, s)
	s.says(t, "site rejected")
	if err := os.Rename(root+".moved", root); err != nil {
		t.Fatal(err)
	}
	s.says(t, "instance adopted")
	lab.Eventually(t, func() string {
		if a, err := lab.Try(s.address, "/pid", ""); err != nil || a.Status != 200 {
			return fmt.Sprint(a.Status, err)
		}
		return ""
	})
	if now := s.pid(t); now != before {
		t.Errorf("process %d answers, was %d", now, before)
	}
	// One that never can is asked to end with the agent.
	if err := os.Rename(root, root+".moved"); err != nil {
		t.Fatal(err)
	}
	n := strings.Count(s.Log(), "site rejected")
	loseWorker(t, s)
	lab.Eventually(t, func() string {
		if strings.Count(s.Log(), "site rejected") == n {
			return "the site is not rejected"
		}
		return ""
	})
	s.Stop(t)
	if lab.Alive(before) {
		t.Error("it is left behind")
	}
	s.event(t, "childapp got terminated")
}

// A worker that is lost while an application drains for app_offline.htm has the next one stop it, in its own way.
func TestCrashOffline(t *testing.T) {
	s := serveSite(t, "stop: {timeout: 25s}\n")
	before := s.pid(t)
	held := busy(t, s.address)
	defer held.Close()
	lab.Write(t, s.dir, "root/app_offline.htm", "away")
	lab.Eventually(t, func() string {
		if a := lab.Get(t, s.address, "/"); a.Status != 503 {
			return fmt.Sprint(a.Status)
		}
		return ""
	})
	if !lab.Alive(before) {
		t.Fatal("it does not drain")
	}
	loseWorker(t, s)
	lab.Eventually(t, func() string {
		if lab.Alive(before) {
			return "it lives on"
		}
		return ""
	})
	s.event(t, "childapp takes the shutdown request")
	if a := lab.Get(t, s.address, "/"); a.Status != 503 || a.Body != "away" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	remove(t, s.dir+"/root/app_offline.htm")
	lab.Eventually(t, func() string {
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			return fmt.Sprint(a.Status)
		}
		return ""
	})
	if n := countEvents(t, s.dir+"/data", "[1018]"); n != 0 {
		t.Errorf("%d ends count as failures", n)
	}
}

// A site file that is broken when a worker is lost ends nothing: the application goes on, and is served again once the file is mended.
// A listener that is not in it any more is closed.
func TestCrashWithBrokenFile(t *testing.T) {
	s := serveSite(t, "")
	before := s.pid(t)
	good := read(t, s.dir+"/site.yaml")
	lab.Write(t, s.dir, "site.yaml", "kind: Sit\n")
	loseWorker(t, s)
	s.says(t, "worker ended, starting another: code=1")
	lab.Write(t, s.dir, "site.yaml", good)
	s.says(t, "instance adopted")
	if now := s.pid(t); now != before {
		t.Errorf("process %d answers, was %d", now, before)
	}
	lab.Write(t, s.dir, "site.yaml", strings.Replace(good, "listener: http", "listener: web", 1))
	loseWorker(t, s)
	lab.Eventually(t, func() string {
		conn, err := net.Dial("tcp", s.address)
		if err != nil {
			return ""
		}
		_ = conn.Close()
		return "the old listener is still open"
	})
}

// loseWorker kills the worker, and waits for nothing.
func loseWorker(t *testing.T, s *served) {
	t.Helper()
	for _, w := range lab.Marked(strings.TrimSpace(read(t, s.dir+"/data/keeper-id")) + "/worker") {
		_ = syscall.Kill(w, syscall.SIGKILL)
	}
}
