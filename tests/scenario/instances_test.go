package scenario

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// several serves childapp with a web.config of a section's attributes.
func several(t *testing.T, section, attributes, more string, childapp ...string) *served {
	t.Helper()
	dir := lab.Dir(t)
	lab.Folder(t, dir, "root", map[string]string{"web.config": sectionText(section, attributes)})
	return serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", more, append([]string{lab.Bin(t, "childapp")}, childapp...)...)))
}

func sectionText(section, attributes string) string {
	return `<configuration><system.webServer><` + section + ` processPath="childapp" ` + attributes + `/></system.webServer></configuration>`
}

// pids asks n times, one after another.
func pids(t *testing.T, address string, n int) []string {
	t.Helper()
	var all []string
	for range n {
		all = append(all, pid(t, address))
	}
	return all
}

func distinct(all []string) []string { return slices.Compact(slices.Sorted(slices.Values(all))) }

// How many instances there are.
func TestInstancesNumber(t *testing.T) {
	t.Run("a site's instances counts in-process too, processesPerApplication does not", func(t *testing.T) {
		s := several(t, "aspNetCore", `processesPerApplication="5"`, "instances: 2\n")
		if n := len(distinct(pids(t, s.address, 10))); n != 2 {
			t.Errorf("%d processes, want 2", n)
		}
		s.says(t, "processesPerApplication has no effect in-process")
	})
	t.Run("a fixed port and two instances", func(t *testing.T) {
		dir := lab.Dir(t)
		lab.Folder(t, dir, "root", nil)
		file := lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "instances: 2\nenv: {ASPNETCORE_PORT: \"12345\"}\n", lab.Bin(t, "childapp")))
		r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), "serve", file, "--listen", "127.0.0.1:0", "--data", dir+"/data")
		if r.Code == 0 || !strings.Contains(r.Errors, "instances is 2, but the port is fixed at 12345") {
			t.Errorf("exit code %d: %s", r.Code, r.Errors)
		}
	})
}

// One that ends is started again when its turn comes; the others go on. What they fail is counted for the application.
func TestInstancesFail(t *testing.T) {
	s := serveSite(t, "instances: 3\nrapidFailsPerMinute: 1\n")
	first := pids(t, s.address, 3)
	kill := func(pid string) {
		t.Helper()
		n, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(n, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		lab.Eventually(t, func() string {
			if strings.Count(s.Log(), "pid="+pid+" ") < 2 {
				return "nobody noticed that " + pid + " ended"
			}
			return ""
		})
	}
	kill(first[1])
	second := pids(t, s.address, 6)
	if second[0] != first[0] || second[2] != first[2] || slices.Contains(first, second[1]) || !slices.Equal(second[:3], second[3:]) {
		t.Errorf("in turn %v, were %v", second, first)
	}
	kill(second[1]) // the second failure: nothing is started any more, and nobody is refused while others answer
	third := pids(t, s.address, 6)
	if got := distinct(third); !slices.Equal(got, distinct([]string{first[0], first[2]})) {
		t.Errorf("%v answer, want %s and %s", got, first[0], first[2])
	}
	kill(first[0])
	kill(first[2])
	if a := lab.Get(t, s.address, "/"); a.Status != 502 || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// In-process an instance that does not start is passed over while another one answers, in its first request too.
func TestInstancesStuck(t *testing.T) {
	dir := lab.Dir(t)
	starts := lab.Folder(t, dir, "starts", nil)
	if err := os.Chmod(starts, 0o777); err != nil {
		t.Fatal(err)
	}
	lab.Folder(t, dir, "root", map[string]string{"web.config": inProcess("", "")})
	// What the shell does itself: an application may not find any program on the agent's PATH.
	script := `echo > ` + starts + `/$$; set -C; echo > ` + starts + `/first && exec ` + lab.Bin(t, "childapp") + `; exit 3`
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "instances: 2\n", "/bin/sh", "-c", script)))
	all := pids(t, s.address, 12)
	if n := len(distinct(all)); n != 1 {
		t.Errorf("%d processes answer: %v", n, all)
	}
	made, err := os.ReadDir(starts)
	if err != nil || len(made) != 3 { // the one that answers, one that did not start, and the mark of the first
		t.Errorf("%v, %v: want two starts", made, err)
	}
}

// All of them are kept running, adopted by a worker that follows on one that was lost, and stopped at the same time.
func TestInstancesTogether(t *testing.T) {
	s := serveSite(t, "instances: 4\nstart: always\n", "-stop-delay", "2s")
	lab.Eventually(t, func() string {
		if n := strings.Count(s.Log(), "instance ready"); n != 4 {
			return fmt.Sprintf("%d instances are ready", n)
		}
		return ""
	})
	before := pids(t, s.address, 8)
	if n := len(distinct(before)); n != 4 {
		t.Errorf("%d processes: %v", n, before)
	}
	running := instances(t, s.dir+"/data")
	for _, child := range lab.Children(s.Pid()) {
		if !slices.Contains(running, child) {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
	}
	lab.Eventually(t, func() string {
		if n := strings.Count(s.Log(), "instance adopted"); n != 4 {
			return fmt.Sprintf("%d instances were adopted", n)
		}
		return ""
	})
	if after := pids(t, s.address, 8); !slices.Equal(distinct(before), distinct(after)) {
		t.Errorf("%v after the loss of the worker, %v before", after, before)
	}
	if took := lab.Within(func() { s.Stop(t) }); took > 6*time.Second {
		t.Errorf("four that take 2 s each to stop took %v", took)
	}
	if left := instances(t, s.dir+"/data"); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
}

// A recycle replaces those that run by as many, and no request is lost.
func TestInstancesRecycle(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	root := lab.Folder(t, f.Dir, "root", nil)
	f.Must("apply", "-f", lab.Write(t, f.Dir, "site.yaml", siteText("shop", root, "instances: 3\n", lab.Bin(t, "childapp"))), "--wait")
	address := f.Hosts["web1"].Address
	before := pids(t, address, 6)
	if n := len(distinct(before)); n != 3 {
		t.Fatalf("%d processes: %v", n, before)
	}
	lab.Eventually(t, func() string {
		out, table := f.Must("describe", "site", "shop"), f.Must("get", "instances")
		for n := 1; n <= 3; n++ {
			if !strings.Contains(out, fmt.Sprintf("/ instance %d run ", n)) || !strings.Contains(table, before[n-1]) {
				return out + table
			}
		}
		if !strings.Contains(out, "3 instances without affinity: cookie") {
			return out
		}
		return ""
	})
	var stop atomic.Bool
	var lost, good atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				if a, err := lab.Try(address, "/", ""); err != nil || a.Status != 200 {
					lost.Add(1)
				} else {
					good.Add(1)
				}
			}
		})
	}
	f.Must("recycle", "shop")
	lab.Eventually(t, func() string {
		now := pids(t, address, 6)
		if n := len(distinct(now)); n != 3 || len(distinct(append(now, before...))) != 6 {
			return fmt.Sprint(now)
		}
		return ""
	})
	stop.Store(true)
	clients.Wait()
	if lost.Load() > 0 || good.Load() == 0 {
		t.Errorf("%d requests were lost, %d answered", lost.Load(), good.Load())
	}
	lab.Write(t, root, "app_offline.htm", "away")
	lab.Eventually(t, func() string {
		if left := instances(t, f.Hosts["web1"].Data); len(left) > 0 {
			return fmt.Sprintf("processes %v run on while it is offline", left)
		}
		return ""
	})
}

// guest keeps cookies as browsers do.
type guest struct {
	address string
	cookies map[string]string
	news    []string // the Set-Cookie lines of the newest answer
}

func (v *guest) get(t *testing.T, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+v.address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range v.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body := make([]byte, 1<<16)
	n, _ := answer.Body.Read(body)
	v.news = answer.Header.Values("Set-Cookie")
	for _, c := range answer.Cookies() {
		v.cookies[c.Name] = c.Value
	}
	return answer.StatusCode, strings.TrimSpace(string(body[:n]))
}

// With affinity a visitor comes back to its instance, after a recycle to that in the same place, and to another one when its own is
// gone.
func TestInstancesAffinity(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	root := lab.Folder(t, f.Dir, "root", nil)
	apply := func(n int) {
		t.Helper()
		f.Must("apply", "-f", lab.Write(t, f.Dir, "site.yaml", siteText("shop", root, fmt.Sprintf("instances: %d\naffinity: cookie\n", n), lab.Bin(t, "childapp"))), "--wait")
	}
	apply(3)
	address := f.Hosts["web1"].Address
	visitors, homes := make([]*guest, 3), make([]string, 3)
	for n := range visitors {
		visitors[n] = &guest{address: address, cookies: map[string]string{}}
		var code int
		if code, homes[n] = visitors[n].get(t, "/pid"); code != 200 || len(visitors[n].news) != 1 {
			t.Fatalf("%d, cookies %q", code, visitors[n].news)
		}
		if c := visitors[n].news[0]; !strings.HasPrefix(c, "ancora-affinity-") || !strings.HasSuffix(c, "; Path=/; HttpOnly; SameSite=Lax") {
			t.Errorf("cookie %q", c)
		}
	}
	if n := len(distinct(homes)); n != 3 {
		t.Fatalf("%v: want three", homes)
	}
	stay := func(when string) {
		t.Helper()
		for range 4 {
			for n, v := range visitors {
				if _, got := v.get(t, "/pid"); got != homes[n] || len(v.news) != 0 {
					t.Errorf("%s: visitor %d is with %s, not %s; cookies %q", when, n, got, homes[n], v.news)
				}
			}
		}
	}
	stay("at first")
	before := slices.Clone(homes)
	f.Must("recycle", "shop")
	lab.Eventually(t, func() string {
		for n, v := range visitors {
			if _, homes[n] = v.get(t, "/pid"); slices.Contains(before, homes[n]) {
				return "process " + homes[n] + " still answers"
			}
		}
		return ""
	})
	if n := len(distinct(homes)); n != 3 {
		t.Fatalf("%v after the recycle: want three", homes)
	}
	stay("after the recycle")
	apply(2)
	lab.Eventually(t, func() string {
		for n, v := range visitors {
			if _, got := v.get(t, "/pid"); got == homes[n] {
				return "process " + got + " still answers"
			}
		}
		return ""
	})
	for n, v := range visitors {
		code, home := v.get(t, "/pid")
		if code != 200 || len(v.news) != 0 {
			t.Errorf("%d, cookies %q", code, v.news)
		}
		homes[n] = home
	}
	if n := len(distinct(homes)); n != 2 || homes[0] == homes[1] {
		t.Errorf("%v with two instances: the first two stay apart, the third goes to one of them", homes)
	}
	stay("with two")
}

// leastOutstanding leaves the one that is busy alone.
func TestInstancesLeastOutstanding(t *testing.T) {
	s := serveSite(t, "instances: 2\nstart: always\nbalance: leastOutstanding\n")
	lab.Eventually(t, func() string {
		if n := strings.Count(s.Log(), "instance ready"); n != 2 {
			return fmt.Sprintf("%d instances are ready", n)
		}
		return ""
	})
	if n := len(distinct(pids(t, s.address, 10))); n != 2 {
		t.Errorf("%d processes answer while none is busy, want 2", n)
	}
	ended := make(chan error, 3)
	for range 3 { // two on one of them at least
		go func() {
			_, err := lab.Try(s.address, "/sleep?d=3s", "")
			ended <- err
		}()
	}
	lab.Eventually(t, func() string {
		if all := pids(t, s.address, 10); len(distinct(all)) != 1 {
			return fmt.Sprintf("%v answer", all)
		}
		return ""
	})
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
