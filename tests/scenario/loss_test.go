package scenario

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// load asks hosts without a pause until stopped, and counts.
type load struct {
	done   chan struct{}
	stop   sync.Once
	all    sync.WaitGroup
	served atomic.Int64
	mu     sync.Mutex
	failed []string
}

func startLoad(f *lab.Fleet, site string, hosts ...string) *load {
	l := &load{done: make(chan struct{})}
	for _, host := range hosts {
		address := f.Hosts[host].Address
		for range 2 {
			l.all.Go(func() { l.ask(address, site) })
		}
	}
	return l
}

// ask sends one request after the other on a connection that stays.
func (l *load) ask(address, site string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		l.fail(err.Error())
		return
	}
	defer conn.Close()
	request := []byte("GET / HTTP/1.1\r\nHost: " + site + ".example\r\n\r\n")
	answers := bufio.NewReader(conn)
	for {
		select {
		case <-l.done:
			return
		default:
		}
		_ = conn.SetDeadline(time.Now().Add(lab.Deadline))
		if _, err := conn.Write(request); err != nil {
			l.fail("write: " + err.Error())
			return
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			l.fail("read: " + err.Error())
			return
		}
		if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != 200 {
			l.fail(fmt.Sprintf("%d %v %.80q", answer.StatusCode, err, body))
			return
		}
		l.served.Add(1)
	}
}

func (l *load) fail(problem string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, problem)
}

func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop.Do(func() { close(l.done) })
	l.all.Wait()
	for _, problem := range l.failed {
		t.Error(problem)
	}
}

// The controller killed under load costs no request; a site applied just before is served; an agent restarts from disk
// without it; nothing is restarted when it is back, and no document travels again.
func TestLossOfTheController(t *testing.T) {
	f := lab.NewFleet(t)
	counter := newRelay(t)
	for i, name := range []string{"web1", "web2", "web3"} {
		if i == 0 {
			counter.to(f.Agents)
			f.Agents, counter.back = counter.address, f.Agents
		}
		f.Join(name, "role=web")
		if i == 0 {
			f.Agents = counter.back
		}
	}
	for i := range 20 {
		f.Must("apply", "-f", bigSite(f, fmt.Sprintf("s%d", i)))
	}
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	pids := map[string]string{}
	for name, h := range f.Hosts {
		pids[name] = siteProcess(t, h.Address, "shop")
	}
	l := startLoad(f, "shop", "web1", "web2", "web3")
	defer l.end(t)
	f.Must("apply", "-f", f.Site("late", "role=web"), "--wait")
	f.Controller.Kill(t)
	if conn, err := net.Dial("tcp", f.Operators); err == nil {
		conn.Close()
		t.Error("the controller's port still answers")
	}
	for _, name := range []string{"web1", "web2", "web3"} {
		if a := f.Get(name, "late", "/"); a.Status != 200 {
			t.Errorf("%s: the site applied just before: %d", name, a.Status)
		}
	}
	for begin := time.Now(); time.Since(begin) < 30*time.Second || l.served.Load() < 20_000; {
		if time.Since(begin) > 5*lab.Deadline {
			t.Fatalf("%d requests only", l.served.Load())
		}
		<-time.After(100 * time.Millisecond)
	}
	l.end(t)
	t.Logf("figure: %d requests without a controller", l.served.Load())
	web3 := f.Hosts["web3"]
	web3.Stop(t)
	f.Run(web3)
	if a := f.Get("web3", "shop", "/"); a.Status != 200 {
		t.Errorf("an agent started without a controller: %d", a.Status)
	}
	pids["web3"] = siteProcess(t, web3.Address, "shop")
	counter.reset()
	f.StartController()
	for _, name := range []string{"web1", "web2", "web3"} {
		f.Connected(name)
	}
	lab.Eventually(t, func() string {
		if out := f.Must("get", "sites"); strings.Count(out, "3/3") != 22 {
			return out
		}
		return ""
	})
	if n := counter.bytes(); n < 2<<10 || n > 32<<10 {
		t.Errorf("%d bytes crossed from the reconnect to the last status, want 2 KB to 32 KB", n)
	} else {
		t.Logf("figure: %d bytes crossed from the reconnect to the last status", n)
	}
	for name, h := range f.Hosts {
		if now := siteProcess(t, h.Address, "shop"); now != pids[name] {
			t.Errorf("%s: process %s answers, was %s", name, now, pids[name])
		}
	}
}

// bigSite is a site of 20 KB.
func bigSite(f *lab.Fleet, name string) string {
	text := read(f.T.(*testing.T), f.Site(name, "role=web"))
	var env strings.Builder
	for i := range 20 {
		fmt.Fprintf(&env, "      V%d: %s\n", i, strings.Repeat("v", 1000))
	}
	return lab.Write(f.T, f.Dir, name+".yaml", text+"    env:\n"+env.String())
}

// siteProcess is the process that answers for a site.
func siteProcess(t *testing.T, address, site string) string {
	t.Helper()
	a, err := lab.Try(address, "/pid", site+".example")
	if err != nil || a.Status != 200 {
		t.Fatalf("GET /pid of %s: %d %s, %v", site, a.Status, a.Body, err)
	}
	return strings.TrimSpace(a.Body)
}

// relay passes bytes on and counts them.
type relay struct {
	address, back string
	target        atomic.Pointer[string]
	count         atomic.Int64
}

func newRelay(t *testing.T) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: l.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go r.pass(conn)
		}
	}()
	return r
}

func (r *relay) to(address string) { r.target.Store(&address) }
func (r *relay) reset()            { r.count.Store(0) }
func (r *relay) bytes() int64      { return r.count.Load() }

func (r *relay) pass(conn net.Conn) {
	defer conn.Close()
	out, err := net.Dial("tcp", *r.target.Load())
	if err != nil {
		return
	}
	defer out.Close()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{conn, out}, {out, conn}} {
		go func() {
			_, _ = io.Copy(way[0], io.TeeReader(way[1], r))
			done <- struct{}{}
		}()
	}
	<-done
}

// Write counts.
func (r *relay) Write(p []byte) (int, error) {
	r.count.Add(int64(len(p)))
	return len(p), nil
}

// A controller that is frozen is given up when the lease ends, by both, and found again.
func TestLossByFreeze(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Controller.Signal(syscall.SIGSTOP)
	lab.Eventually(t, func() string {
		if strings.Contains(web1.Log(), "nothing was heard from the controller within the lease") {
			return ""
		}
		return "the agent does not give it up"
	})
	f.Controller.Signal(syscall.SIGCONT)
	f.Connected("web1")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
}

// A keeper killed: its host is unreachable, others are not affected; started again it leaves no orphan and no duplicate.
func TestLossOfAKeeper(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Join("web2", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	other := siteProcess(t, f.Hosts["web2"].Address, "shop")
	before := siteProcess(t, web1.Address, "shop")
	web1.Kill(t)
	f.State("web1", "unreachable")
	if now := siteProcess(t, f.Hosts["web2"].Address, "shop"); now != other {
		t.Errorf("web2: process %s answers, was %s", now, other)
	}
	f.Run(web1)
	f.Connected("web1")
	now := siteProcess(t, web1.Address, "shop")
	if now == before {
		t.Errorf("the same process %s answers", now)
	}
	if running := instances(t, web1.Data); len(running) != 1 || fmt.Sprint(running[0]) != now {
		t.Errorf("processes %v run, want %s alone", running, now)
	}
}

// A worker killed under load on a joined host: no request that had a connection is refused one, no process is touched.
func TestLossOfAWorker(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	before := siteProcess(t, web1.Address, "shop")
	for range 3 {
		for _, w := range lab.Children(web1.Pid()) {
			if fmt.Sprint(w) != before {
				_ = syscall.Kill(w, syscall.SIGKILL)
			}
		}
		if now := siteProcess(t, web1.Address, "shop"); now != before {
			t.Errorf("process %s answers, was %s", now, before)
		}
	}
	f.Connected("web1")
	if out := f.Must("get", "instances", "shop"); !strings.Contains(out, " "+before+" ") {
		t.Errorf("instances:\n%s", out)
	}
}

// Only the store emptied: certified hosts are refused with what to do; a host made known again refuses the manifests of
// the foreign store, says so, and serves on.
func TestLossOfTheStore(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	siteProcess(t, web1.Address, "shop")
	f.Controller.Stop(t)
	if r := lab.Run(t, nil, "/bin/rm", "-rf", f.ControllerData()+"/store"); r.Code != 0 {
		t.Fatal(r.Errors)
	}
	f.StartController()
	lab.Eventually(t, func() string {
		if strings.Contains(web1.Log(), "ancora token create --host web1") {
			return ""
		}
		return "the agent is not told what to do: " + web1.Log()
	})
	web1.Stop(t)
	token := f.Token("--host", "web1", "--label", "role=web")
	if r := f.JoinOnly(web1, token); r.Code != 0 {
		t.Fatalf("join again: %s", r.Errors)
	}
	f.Must("apply", "-f", f.Site("other", "role=web"))
	f.Run(web1)
	lab.Eventually(t, func() string {
		if out := f.Must("describe", "host", "web1"); !strings.Contains(out, "refuses this controller's manifests") {
			return out
		}
		return ""
	})
	if a := f.Get("web1", "shop", "/"); a.Status != 200 {
		t.Errorf("it does not serve on: %d", a.Status)
	}
	if a := f.Get("web1", "other", "/"); a.Status != 404 {
		t.Errorf("the foreign store's site is served: %d", a.Status)
	}
	if r := f.CLI("apply", "-f", f.Site("other", "role=web"), "--wait"); r.Code != 1 || !strings.Contains(r.Out, "web1  REFUSED  it comes from store") {
		t.Errorf("without an operator's word: %d\n%s%s", r.Code, r.Out, r.Errors)
	}
	if r := f.CLI("apply", "-f", f.Site("other", "role=web"), "--yes", "--wait"); r.Code != 0 {
		t.Errorf("taking the host over: %d\n%s%s", r.Code, r.Out, r.Errors)
	}
	if a := f.Get("web1", "other", "/"); a.Status != 200 {
		t.Errorf("after an operator's word: %d", a.Status)
	}
}
