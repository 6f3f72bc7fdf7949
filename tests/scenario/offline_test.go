package scenario

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// open is a connection that was there before.
type open struct {
	conn   net.Conn
	reader *bufio.Reader
	site   string
}

func dial(t *testing.T, address, site string) *open {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &open{conn, bufio.NewReader(conn), site}
}

func (o *open) status(t *testing.T) int {
	t.Helper()
	_ = o.conn.SetDeadline(time.Now().Add(lab.Deadline))
	if _, err := fmt.Fprintf(o.conn, "GET / HTTP/1.1\r\nHost: %s.example\r\n\r\n", o.site); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(o.reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := bufio.NewReader(response.Body).WriteTo(discard{}); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// The whole fleet offline: when the command returns, the next request is 503 on a fresh connection and on one that was
// open; it survives restarts, says what holds what, and online brings it back.
func TestOfflineAll(t *testing.T) {
	f := lab.NewFleet(t)
	names := []string{"web1", "web2", "web3"}
	for _, name := range names {
		f.Join(name, "role=web")
	}
	f.Must("apply", "-f", f.Site("shop", "role=web"), "-f", f.Site("blog", "role=web"), "--wait")
	before := map[string]*open{}
	for _, name := range names {
		before[name] = dial(t, f.Hosts[name].Address, "shop")
		if got := before[name].status(t); got != 200 {
			t.Fatalf("%s: %d", name, got)
		}
	}
	out := f.Must("offline", "--all", "--message", "Back <soon>", "--reason", "INC-7", "--for", "10m", "--yes")
	if !strings.Contains(out, "offline on 3/3 hosts until") || !strings.Contains(out, "Retry-After 600") {
		t.Errorf("offline says: %s", out)
	}
	for _, name := range names {
		if got := before[name].status(t); got != 503 {
			t.Errorf("%s: the open connection gets %d", name, got)
		}
		for _, site := range []string{"shop", "blog"} {
			a := f.Get(name, site, "/")
			retry, _ := strconv.Atoi(a.Header.Get("Retry-After"))
			if a.Status != 503 || !strings.Contains(a.Body, "Back &lt;soon&gt;") || a.Header.Get("X-Ancora-Offline") != "n-1" || retry < 500 || retry > 600 || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d %v %s", name, site, a.Status, a.Header, a.Body)
			}
		}
	}
	if out := f.Must("get", "sites"); strings.Count(out, "offline") < 2 {
		t.Errorf("get sites:\n%s", out)
	}
	f.Controller.Kill(t)
	web1 := f.Hosts["web1"]
	web1.Stop(t)
	f.Run(web1)
	if a := f.Get("web1", "shop", "/"); a.Status != 503 {
		t.Errorf("after a restart without a controller: %d", a.Status)
	}
	f.StartController()
	for _, name := range names {
		f.Connected(name)
	}
	if out := f.Must("online", "shop"); !strings.Contains(out, "no notice was made for shop") || !strings.Contains(out, "still held by notice n-1") || !strings.Contains(out, "INC-7") {
		t.Errorf("online shop says: %s", out)
	}
	if a := f.Get("web2", "shop", "/"); a.Status != 503 {
		t.Errorf("the notice for all does not hold: %d", a.Status)
	}
	f.Must("online", "--all")
	for _, name := range names {
		lab.Eventually(t, func() string {
			if a := f.Get(name, "shop", "/"); a.Status != 200 {
				return fmt.Sprintf("%s: %d", name, a.Status)
			}
			return ""
		})
	}
}

// It ends by itself at the end of --for, without a controller.
func TestOfflineEndsByItself(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	f.Must("offline", "shop", "--for", "4s")
	if a := f.Get("web1", "shop", "/"); a.Status != 503 {
		t.Fatalf("%d", a.Status)
	}
	f.Controller.Kill(t)
	lab.Eventually(t, func() string {
		if a := f.Get("web1", "shop", "/"); a.Status != 200 {
			return fmt.Sprint(a.Status)
		}
		return ""
	})
}

// Notices for one site, for some hosts, with a page of one's own; a host without an affected site is not asked; one that is
// away gets it when it is back; a local file goes on holding.
func TestOfflineSome(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	web2 := f.Join("web2", "role=web")
	f.Join("db1", "role=db")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "-f", f.Site("base", "role=db"), "--wait")
	page := lab.Write(t, f.Dir, "closed.html", "<h1>closed</h1>")
	out := f.Must("offline", "shop", "--page", page, "--retry-after", "77s")
	if !strings.Contains(out, "offline on 2/2 hosts") {
		t.Errorf("offline says: %s", out)
	}
	if a := f.Get("web1", "shop", "/"); a.Status != 503 || a.Body != "<h1>closed</h1>" || a.Header.Get("Retry-After") != "77" {
		t.Errorf("%d %v %s", a.Status, a.Header, a.Body)
	}
	if a := f.Get("db1", "base", "/"); a.Status != 200 {
		t.Errorf("another site: %d", a.Status)
	}
	f.Must("online", "shop")
	if r := f.CLI("offline", "shop", "--hosts", "role=nothing"); r.Code == 0 || !strings.Contains(r.Errors, "matches no host") {
		t.Errorf("%d %s", r.Code, r.Errors)
	}
	if r := f.CLI("offline", "shoop"); r.Code != 5 {
		t.Errorf("a misspelt site: %d %s", r.Code, r.Errors)
	}
	web2.Stop(t)
	f.State("web2", "unreachable")
	if r := f.CLI("offline", "shop"); r.Code != 3 || !strings.Contains(r.Out, "web2  pending") || !strings.Contains(r.Out, "offline on 1/2 hosts") {
		t.Errorf("%d\n%s%s", r.Code, r.Out, r.Errors)
	}
	f.Run(web2)
	lab.Eventually(t, func() string {
		if a := f.Get("web2", "shop", "/"); a.Status != 503 {
			return fmt.Sprint(a.Status)
		}
		return ""
	})
	lab.Folder(t, f.Dir, "sites/shop", map[string]string{"app_offline.htm": "local"})
	lab.Eventually(t, func() string {
		if a := f.Get("web1", "shop", "/"); !strings.Contains(a.Header.Get("X-Ancora-Offline"), "local") {
			return a.Header.Get("X-Ancora-Offline")
		}
		return ""
	})
	lab.Eventually(t, func() string {
		if out := f.Must("online", "shop"); !strings.Contains(out, "host web1: site shop has an app_offline.htm") {
			return out
		}
		return ""
	})
	if err := os.Remove(f.Dir + "/sites/shop/app_offline.htm"); err != nil {
		t.Fatal(err)
	}
	lab.Eventually(t, func() string {
		if a := f.Get("web1", "shop", "/"); a.Status != 200 {
			return fmt.Sprint(a.Status)
		}
		return ""
	})
}

// A changed site swaps without a dropped request; recycle replaces the process; other sites are not touched.
func TestSwapAndRecycle(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web", "-say", "one"), "-f", f.Site("blog", "role=web"), "--wait")
	f.Get("web1", "shop", "/")
	other := siteProcess(t, f.Hosts["web1"].Address, "blog")
	first := siteProcess(t, f.Hosts["web1"].Address, "shop")
	l := startLoad(f, "shop", "web1")
	if out := f.Must("apply", "-f", f.Site("shop", "role=web", "-say", "two"), "--wait"); !strings.Contains(out, "web1  SERVING") {
		t.Errorf("apply says:\n%s", out)
	}
	if a := f.Get("web1", "shop", "/"); !strings.HasPrefix(a.Body, "two ") {
		t.Errorf("after the wait: %s", a.Body)
	}
	second := siteProcess(t, f.Hosts["web1"].Address, "shop")
	f.Must("recycle", "shop")
	lab.Eventually(t, func() string {
		if now := siteProcess(t, f.Hosts["web1"].Address, "shop"); now == second || now == first {
			return "process " + now + " still answers"
		}
		return ""
	})
	if r := f.CLI("apply", "-f", f.Site("shop", "role=web", "-exit", "3"), "--wait"); r.Code != 1 || !strings.Contains(r.Out, "FAILED") || !strings.Contains(r.Out, "exit code 3") {
		t.Errorf("a revision that does not start: %d\n%s", r.Code, r.Out)
	}
	if a := f.Get("web1", "shop", "/"); !strings.HasPrefix(a.Body, "two ") {
		t.Errorf("the old one does not go on: %s", a.Body)
	}
	l.end(t)
	if now := siteProcess(t, f.Hosts["web1"].Address, "blog"); now != other {
		t.Errorf("the other site was touched: process %s, was %s", now, other)
	}
	f.Must("delete", "site", "blog")
	lab.Eventually(t, func() string {
		if a := f.Get("web1", "blog", "/"); a.Status != 404 {
			return fmt.Sprint(a.Status)
		}
		return ""
	})
}

// app_offline.htm reaches what was replaced before and drains still, of a pool before and of the same: it ends within the shutdown
// limit too, not at the end of its drain, and gets no more than that limit with its request hanging.
func TestOfflineEndsWhatDrains(t *testing.T) {
	const limit = 4 * time.Second
	for name, c := range map[string]struct {
		more    string
		replace func(s *served, t *testing.T)
	}{
		"swapped":  {"", (*served).touch},
		"recycled": {"recycle: {requests: 3}\n", func(s *served, t *testing.T) { s.says(t, "instance recycled", "reason=requests") }},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveSite(t, c.more+"drain: 90s\nstop: {timeout: 4s}\n")
			old := s.pid(t)
			for _, path := range []string{"/sleep?d=60s", "/sleep?d=61s"} {
				go func() { _, _ = lab.Try(s.address, path, "") }()
			}
			s.counts(t, `ancora_requests_in_flight{site="shop"} 2`)
			c.replace(s, t)
			lab.Eventually(t, func() string {
				if s.pid(t) == old {
					return "the old process answers"
				}
				return ""
			})
			if !lab.Alive(old) {
				t.Fatal("the old process has ended before the application is offline")
			}
			lab.Folder(t, s.dir, "root", map[string]string{"app_offline.htm": "closed"})
			took := lab.Within(func() {
				lab.Eventually(t, func() string {
					if left := instances(t, s.dir+"/data"); len(left) > 0 {
						return fmt.Sprintf("processes %v run", left)
					}
					return ""
				})
			})
			if took > limit+3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}
