package scenario

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// posts sends bodies until it is told to stop, half of them on connections of their own, none of them twice.
type posts struct {
	address string
	ctx     context.Context
	stop    context.CancelFunc
	clients sync.WaitGroup

	mu   sync.Mutex
	good map[string]int // by process
	bad  []string
}

func startPosts(t *testing.T, address string) *posts {
	p := &posts{address: address, good: map[string]int{}}
	p.ctx, p.stop = context.WithCancel(t.Context())
	t.Cleanup(p.stop)
	for n := range 8 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: n%2 == 0}}
		p.clients.Go(func() {
			defer client.CloseIdleConnections()
			for p.ctx.Err() == nil {
				p.post(client)
			}
		})
	}
	return p
}

func (p *posts) post(client *http.Client) {
	body := bytes.Repeat([]byte("x"), 10_000)
	// The client is not told how to send it again, and is not stopped in the middle of one.
	r, err := http.NewRequestWithContext(context.Background(), "POST", "http://"+p.address+"/work?d=5ms", io.NopCloser(bytes.NewReader(body)))
	if err != nil {
		p.note("", err.Error())
		return
	}
	r.ContentLength = int64(len(body))
	answer, err := client.Do(r)
	if err != nil {
		p.note("", err.Error())
		return
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	pid, rest, _ := strings.Cut(string(text), " ")
	if err != nil || answer.StatusCode != 200 || rest != "10000\n" {
		p.note("", fmt.Sprintf("%d %q %v", answer.StatusCode, text, err))
		return
	}
	p.note(pid, "")
}

func (p *posts) note(pid, problem string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if problem != "" {
		p.bad = append(p.bad, problem)
		return
	}
	p.good[pid]++
}

// across waits until there are enough requests, and enough of each of two processes at least; all must have been answered well. A
// machine may be slow, as long as it goes on.
func (p *posts) across(t *testing.T, all, each int) {
	t.Helper()
	for step := range 10 {
		lab.Eventually(t, func() string {
			if sum, enough := p.count(each * (step + 1) / 10); sum < all*(step+1)/10 || enough < 2 {
				return fmt.Sprintf("answered %d, want %d in all, and %d by each of two", sum, all, each)
			}
			return ""
		})
	}
	p.stop()
	p.clients.Wait()
	if len(p.bad) > 0 {
		t.Errorf("%d of them were lost: %.5q; answered %v", len(p.bad), p.bad, p.good)
	}
}

// count says how many were answered, and how many processes answered so many of them; what is lost ends the wait.
func (p *posts) count(each int) (sum, enough int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.bad) > 0 {
		return math.MaxInt, math.MaxInt
	}
	for _, n := range p.good {
		sum += n
		if n >= each {
			enough++
		}
	}
	return sum, enough
}

// Two thousand requests of two thousand are answered while an instance is replaced, for whatever reason.
func TestRecycleDropsNothing(t *testing.T) {
	for name, more := range map[string]string{
		"requests":   "recycle: {requests: 700}\n",
		"age":        "recycle: {age: 3s}\n",
		"of two":     "recycle: {requests: 500}\ninstances: 2\n",
		"no overlap": "recycle: {requests: 700}\noverlap: false\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := serveSite(t, more)
			startPosts(t, s.address).across(t, 2000, 200)
			reason := "requests"
			if name == "age" {
				reason = name
			}
			s.says(t, "instance recycled", "reason="+reason)
			s.event(t, "[507", "recycled: "+reason)
			if _, counts := adminGet(t, s.dir+"/data", "/metrics"); strings.Contains(counts, `ancora_recycles_total{application="/",reason="`+reason+`",site="shop"} 0`) {
				t.Errorf("not counted:\n%s", counts)
			}
		})
	}
}

// Of several instances one is replaced after another, and all of them are.
func TestRecycleOneAfterAnother(t *testing.T) {
	s := serveSite(t, "instances: 3\nrecycle: {requests: 20}\n", "-start-delay", "300ms")
	before := distinct(pids(t, s.address, 60))
	if len(before) != 3 {
		t.Fatalf("processes %v", before)
	}
	lab.Eventually(t, func() string {
		if now := distinct(pids(t, s.address, 3)); len(now) != 3 || slices.ContainsFunc(now, func(p string) bool { return slices.Contains(before, p) }) {
			return fmt.Sprintf("%v answer, before %v", now, before)
		}
		return ""
	})
	begun, comingUp := 0, 0
	for line := range strings.Lines(s.Log()) {
		switch {
		case strings.Contains(line, "instance recycled"):
			begun++
			comingUp++
		case strings.Contains(line, "instance ready") && comingUp > 0:
			comingUp--
		}
		if comingUp > 1 {
			t.Fatalf("two are replaced at once:\n%s", s.Log())
		}
	}
	if begun < 3 {
		t.Errorf("%d were replaced", begun)
	}
}

// An application with something of which there is one is recycled without an overlap.
func TestRecycleWithoutOverlap(t *testing.T) {
	s := serveSite(t, "recycle: {requests: 10}\noverlap: false\nstop: {timeout: 20s}\n", "-also", free(t), "-stop-delay", "1s")
	before := s.pid(t)
	pids(t, s.address, 10)
	lab.Eventually(t, func() string {
		running := instances(t, s.dir+"/data")
		if len(running) > 1 {
			t.Fatalf("%d processes at once: %v", len(running), running)
		}
		if s.pid(t) == before {
			return "not recycled"
		}
		return ""
	})
}

// What grows is replaced, also where it is a process that the application started; operators see when and why.
func TestRecycleMemory(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	root := lab.Folder(t, f.Dir, "root", nil)
	f.Must("apply", "-f", lab.Write(t, f.Dir, "site.yaml", siteText("shop", root, "recycle: {memory: 200MiB}\n", lab.Bin(t, "childapp"), "-listener", "grandchild")), "--wait")
	before := pid(t, web1.Address)
	lab.Get(t, web1.Address, "/grow?n=104857600")
	lab.Wait(t.Context(), 6*time.Second) // it has been measured
	if now := pid(t, web1.Address); now != before {
		t.Fatal("recycled below its limit")
	}
	lab.Get(t, web1.Address, "/grow?n=157286400")
	lab.Eventually(t, func() string {
		if pid(t, web1.Address) == before {
			return "not recycled"
		}
		return ""
	})
	lab.Eventually(t, func() string {
		if out := f.Must("describe", "site", "shop"); !strings.Contains(out, ", memory: its processes have ") || !strings.Contains(out, `[5117] "recycled: memory"`) {
			return out
		}
		return ""
	})
}

// An instance that has nothing to do is stopped, and started by the next request; the site is idle meanwhile.
func TestIdleStops(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	root := lab.Folder(t, f.Dir, "root", nil)
	f.Must("apply", "-f", lab.Write(t, f.Dir, "site.yaml", siteText("shop", root, "idle: 2s\nrapidFailsPerMinute: 0\n", lab.Bin(t, "childapp"))), "--wait")
	before := ""
	for range 3 {
		now := pid(t, web1.Address)
		if now == before {
			t.Fatalf("process %s answers again", now)
		}
		before = now
		lab.Eventually(t, func() string {
			if left := instances(t, web1.Data); len(left) > 0 {
				return fmt.Sprintf("processes %v run", left)
			}
			return ""
		})
	}
	lab.Eventually(t, func() string {
		out := f.Must("describe", "site", "shop")
		if !strings.Contains(out, ", idle: it has had no request for ") || !strings.Contains(out, `[5186] "stopped: idle"`) {
			return out
		}
		if out = f.Must("get", "sites"); !strings.Contains(out, "idle") {
			return out
		}
		return ""
	})
}

// What is open keeps an instance, however quiet it is: a request, a stream, a WebSocket. When it ends the time begins.
func TestIdleIsNotSilence(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, address string) *visitor{
		"a WebSocket": func(t *testing.T, address string) *visitor {
			v := visit(t, address, handshake, "")
			v.until(t, "101")
			return v
		},
		"an event stream": func(t *testing.T, address string) *visitor {
			v := visit(t, address, "GET /stream?n=2&gap=1h&type=text/event-stream HTTP/1.1", "")
			v.until(t, "chunk 0")
			return v
		},
		"a request": func(t *testing.T, address string) *visitor {
			return visit(t, address, "GET /sleep?d=1h HTTP/1.1", "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveSite(t, "idle: 1s\n")
			before := s.pid(t)
			v := begin(t, s.address)
			lab.Wait(t.Context(), 4*time.Second)
			if !lab.Alive(before) || strings.Contains(s.Log(), "for want of requests") {
				t.Fatalf("stopped although something is open\n%s", s.Log())
			}
			v.Close()
			lab.Eventually(t, func() string {
				if lab.Alive(before) {
					return "not stopped"
				}
				return ""
			})
			if s.pid(t) == before {
				t.Error("the same process answers")
			}
		})
	}
}

// Where there must be one at a time, the request that comes while an idle one ends waits for that.
func TestIdleWithoutOverlap(t *testing.T) {
	s := serveSite(t, "idle: 1s\noverlap: false\nstop: {timeout: 20s}\n", "-also", free(t), "-stop-delay", "2s")
	before := s.pid(t)
	s.says(t, "instance stopped for want of requests")
	took := lab.Within(func() {
		if now := s.pid(t); now == before {
			t.Errorf("process %d answers still", now)
		}
	})
	if took < 500*time.Millisecond {
		t.Errorf("answered after %v, before the old one had ended", took)
	}
	if running := instances(t, s.dir+"/data"); len(running) != 1 || strings.Contains(s.Log(), "does not start") {
		t.Errorf("processes %v\n%s", running, s.Log())
	}
}

// A worker that is lost while the old instance drains leaves the new one in its place.
func TestRecycleAndLoss(t *testing.T) {
	s := serveSite(t, "recycle: {requests: 10}\n")
	before := s.pid(t)
	first := busy(t, s.address) // holds the old one
	defer first.Close()
	pids(t, s.address, 10)
	after := before
	lab.Eventually(t, func() string {
		if after = s.pid(t); after == before {
			return "not recycled"
		}
		return ""
	})
	running := instances(t, s.dir+"/data")
	for _, child := range lab.Children(s.Pid()) {
		if !slices.Contains(running, child) {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
	}
	s.says(t, "instance adopted")
	if now := s.pid(t); now != after {
		t.Errorf("process %d answers, want %d", now, after)
	}
	lab.Eventually(t, func() string {
		if lab.Alive(before) {
			return "the old one lives on"
		}
		return ""
	})
}

// A replacement that does not start leaves the old instance, is told, does not count as a failure and is not tried at once again.
func TestRecycleFails(t *testing.T) {
	dir := lab.Dir(t)
	starts := lab.Folder(t, dir, "starts", nil)
	if err := os.Chmod(starts, 0o777); err != nil {
		t.Fatal(err)
	}
	lab.Folder(t, dir, "root", nil)
	script := `echo > ` + starts + `/$$; set -C; echo > ` + starts + `/first && exec ` + lab.Bin(t, "childapp") + `; echo no licence; exit 3`
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "recycle: {requests: 5}\nrapidFailsPerMinute: 0\n", "/bin/sh", "-c", script)))
	before := pids(t, s.address, 6)
	s.event(t, `[2011] "the replacement does not start, the old instance goes on"`, "exit code 3", "again in 30s")
	lab.Wait(t.Context(), 3*time.Second) // three looks
	if after := pids(t, s.address, 6); len(distinct(append(after, before...))) != 1 {
		t.Errorf("%v answer, before %v", after, before)
	}
	if made, err := os.ReadDir(starts); err != nil || len(made) != 3 { // the first, its mark, and one more
		t.Errorf("%v, %v: want two starts", made, err)
	}
	if strings.Contains(s.Log(), "starts refused") {
		t.Errorf("counted as a failure\n%s", s.Log())
	}
}

// asked gives what the process that answers was asked for first.
func asked(t *testing.T, address string) []string {
	t.Helper()
	return strings.Split(strings.TrimSpace(lab.Get(t, address, "/first").Body), "\n")
}

const warmPages = `<configuration><system.webServer><applicationInitialization doAppInitAfterRestart="true">
<add initializationPage="warm/up" /><add initializationPage="/lists?all=1" hostName="shop.example" /></applicationInitialization></system.webServer></configuration>`

// A new instance is asked for pages before it gets the first request of a visitor, at the first start and at each swap.
func TestWarmup(t *testing.T) {
	const agent = " proto=http agent=IIS Application Initialization Warmup"
	want := []string{"GET /warm/up host=localhost" + agent, "GET /lists?all=1 host=shop.example" + agent}
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", map[string]string{"web.config": warmPages})
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", root, "recycle: {requests: 30}\n", lab.Bin(t, "childapp"))))
	if got := asked(t, s.address); len(got) != 3 || !slices.Equal(got[:2], want) {
		t.Errorf("asked first %q, want %q", got, want)
	}
	s.event(t, "[2010]", "warmed up", "GET /warm/up 404 in ", "GET /lists?all=1 404 in ")
	s.says(t, "applicationInitialization is honoured")
	before := s.pid(t)
	lab.Eventually(t, func() string {
		if s.pid(t) == before {
			return "not recycled"
		}
		return ""
	})
	if got := asked(t, s.address); !slices.Equal(got[:2], want) {
		t.Errorf("asked first after a recycle %q, want %q", got, want)
	}
}

// Where web.config names no page, as the documentation's example, the root is asked for.
func TestWarmupOfTheRoot(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", map[string]string{"web.config": read(t, lab.Root()+"/dataplane/webconfig/testdata/documented/advanced-application-initialization.config")})
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", root, "", lab.Bin(t, "childapp"))))
	if got := asked(t, s.address); len(got) != 2 || !strings.HasPrefix(got[0], "GET / host=localhost ") || !strings.HasSuffix(got[0], "Warmup") {
		t.Errorf("asked first %q", got)
	}
}

// The site's list goes before that of web.config, below the application's path, and a list of nothing is one too.
func TestWarmupOfTheSite(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", map[string]string{"web.config": warmPages})
	text := strings.Replace(siteText("shop", root, "warmup: {requests: [/, \"/a%20b?c\"]}\n", lab.Bin(t, "childapp")), "path: /", "path: /shop", 1)
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", text))
	lab.Eventually(t, func() string {
		body := lab.Get(t, s.address, "/shop/first").Body
		if !strings.HasPrefix(body, "GET /shop/ host=localhost ") || !strings.Contains(body, "\nGET /shop/a%20b?c host=localhost ") || strings.Contains(body, "lists") {
			return body
		}
		return ""
	})
	lab.Write(t, dir, "site.yaml", siteText("shop", root, "warmup: {requests: []}\n", lab.Bin(t, "childapp")))
	other := serve(t, lab.Dir(t), dir+"/site.yaml")
	if got := asked(t, other.address); len(got) != 1 {
		t.Errorf("asked for %q", got)
	}
}

// While a new instance is warmed up the old one answers. What does not answer in time is not waited for longer than a start may take.
func TestWarmupTakesItsTime(t *testing.T) {
	s := serveSite(t, "warmup: {requests: [\"/sleep?d=1h\"]}\nready: {timeout: 3s}\nrecycle: {requests: 10}\n")
	took := lab.Within(func() { s.pid(t) })
	if took < 2*time.Second {
		t.Errorf("the first answer came after %v", took)
	}
	s.event(t, "[2010]", "not warmed up in time, after 1 of 1 requests")
	before := strconv.Itoa(s.pid(t))
	pids(t, s.address, 10)
	s.says(t, "instance recycled")
	slowest, answered := time.Duration(0), 0
	lab.Eventually(t, func() string {
		now := ""
		slowest = max(slowest, lab.Within(func() { now = pid(t, s.address) }))
		if answered++; now == before {
			return "not recycled"
		}
		return ""
	})
	if slowest > 2*time.Second || answered < 5 {
		t.Errorf("the slowest of %d answers took %v", answered, slowest)
	}
}
