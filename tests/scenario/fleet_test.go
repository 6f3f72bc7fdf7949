package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// A site goes to the hosts its placement means, a label moves it to another one, and taking most sites off a host asks.
func TestFleetPlacement(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	f.Join("web2", "role=web")
	f.Join("db1", "role=db")
	if out := f.Must("apply", "-f", lab.Root()+"/deploy/sites", "--dry-run"); strings.Count(out, "would change") != 3 {
		t.Errorf("the example files: %s", out)
	}
	out := f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	if !strings.Contains(out, "web1  IDLE") || !strings.Contains(out, "web2  IDLE") || strings.Contains(out, "db1") || !strings.Contains(out, "2 of 2 hosts good") {
		t.Errorf("apply says:\n%s", out)
	}
	for host, want := range map[string]int{"web1": 200, "web2": 200, "db1": 404} {
		if a := f.Get(host, "shop", "/"); a.Status != want {
			t.Errorf("%s: %d, want %d", host, a.Status, want)
		}
	}
	lab.Eventually(t, func() string {
		if out := f.Must("get", "sites", "shop"); !strings.Contains(out, "2/2    serving") {
			return out
		}
		return ""
	})
	f.Must("label", "host", "db1", "role=web")
	lab.Eventually(t, func() string {
		if a := f.Get("db1", "shop", "/"); a.Status != 200 {
			return a.Body
		}
		return ""
	})
	f.Must("apply", "-f", f.Site("a", "role=web"), "-f", f.Site("b", "role=web"), "--wait")
	if r := f.CLI("label", "host", "db1", "role=none"); r.Code != 2 || !strings.Contains(r.Errors, "db1 would lose 3 of its 3 sites") || !strings.Contains(r.Errors, "--yes") {
		t.Errorf("the guard: %d %s", r.Code, r.Errors)
	}
	if a := f.Get("db1", "shop", "/"); a.Status != 200 {
		t.Errorf("a refused change took effect: %d", a.Status)
	}
	f.Must("label", "host", "db1", "role=none", "--yes")
	lab.Eventually(t, func() string {
		if a := f.Get("db1", "shop", "/"); a.Status != 404 {
			return a.Body
		}
		return ""
	})
}

// What a host refuses shows with its reason, holds up nobody, leaves the last good revision, and heals by itself.
func TestFleetRejections(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Join("web2", "role=web")
	file := f.Site("shop", "role=web")
	f.Must("apply", "-f", file, "--wait")
	f.Get("web1", "shop", "/")
	missing := filepath.Join(f.Dir, "later")
	bad := strings.Replace(read(t, file), "/sites/shop", "/later", 1)
	r := f.CLI("apply", "-f", lab.Write(t, f.Dir, "bad.yaml", bad), "--wait")
	if r.Code != 1 || !strings.Contains(r.Out, "web1  REJECTED") || !strings.Contains(r.Out, missing) || !strings.Contains(r.Out, "revision 1 goes on") {
		t.Errorf("%d\n%s%s", r.Code, r.Out, r.Errors)
	}
	if a := f.Get("web1", "shop", "/"); a.Status != 200 {
		t.Errorf("the last good revision does not go on: %d", a.Status)
	}
	web1.Stop(t)
	f.Run(web1)
	if a := f.Get("web1", "shop", "/"); a.Status != 200 {
		t.Errorf("nor across a restart: %d", a.Status)
	}
	f.Connected("web1")
	if out := f.Must("describe", "site", "shop"); !strings.Contains(out, "REJECTED") || !strings.Contains(out, missing) {
		t.Errorf("describe says:\n%s", out)
	}
	lab.Folder(t, f.Dir, "later", nil)
	lab.Eventually(t, func() string {
		if out := f.Must("get", "sites", "shop"); !strings.Contains(out, "2/2") {
			return out
		}
		return ""
	})
	// A listener that the policy does not declare, a user that it does not allow, a route that is taken.
	for reason, change := range map[string][2]string{
		"listener other is not declared":                    {"listener: http", "listener: other"},
		"user daemon is not allowed by this host's policy":  {"applications:\n  - root", "applications:\n  - user: daemon\n    root"},
		"taken by site shop":                                {"name: shop", "name: second"},
		"is not below a folder that this host's policy all": {f.Dir + "/sites/shop", "/usr"},
	} {
		if reason[:4] == "user" && os.Geteuid() != 0 {
			continue
		}
		text := strings.Replace(read(t, file), change[0], change[1], 1)
		r := f.CLI("apply", "-f", lab.Write(t, f.Dir, "bad.yaml", text), "--wait")
		if r.Code != 1 || strings.Count(r.Out, "REJECTED") != 2 || !strings.Contains(r.Out, reason) {
			t.Errorf("%s: %d\n%s%s", reason, r.Code, r.Out, r.Errors)
		}
		if a := f.Get("web1", "shop", "/"); a.Status != 200 {
			t.Errorf("%s: the last good revision does not go on: %d", reason, a.Status)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A host that is away is pending and catches up; a controller that is away has an exit code and an address.
func TestFleetAway(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	web2 := f.Join("web2", "role=web")
	web2.Stop(t)
	f.State("web2", "unreachable")
	r := f.CLI("apply", "-f", f.Site("shop", "role=web"), "--wait")
	if r.Code != 3 || !strings.Contains(r.Out, "web2  pending") || !strings.Contains(r.Out, "1 of 2 hosts good, 1 pending") {
		t.Errorf("%d\n%s%s", r.Code, r.Out, r.Errors)
	}
	f.Run(web2)
	lab.Eventually(t, func() string {
		if a := f.Get("web2", "shop", "/"); a.Status != 200 {
			return a.Body
		}
		return ""
	})
	if r := f.CLI("apply", "-f", f.Site("shop", "role=web"), "--if-revision", "7"); r.Code != 6 {
		t.Errorf("--if-revision: %d %s", r.Code, r.Errors)
	}
	if r := f.CLI("get", "sites", "nothing"); r.Code != 5 {
		t.Errorf("unknown site: %d %s", r.Code, r.Errors)
	}
	if r := f.CLI("get", "hosts", "-l", "role=none"); r.Code != 5 || !strings.Contains(r.Errors, "matches no host") {
		t.Errorf("selector without a host: %d %s", r.Code, r.Errors)
	}
	f.Controller.Stop(t)
	if r := f.CLI("get", "sites"); r.Code != 8 || !strings.Contains(r.Errors, f.Operators) {
		t.Errorf("controller away: %d %s", r.Code, r.Errors)
	}
}

// Tokens: a wrong one, one that is used, one of another CA are refused on the agent with the reason; of many joins with a
// single-use token one gets a certificate.
func TestFleetTokens(t *testing.T) {
	f := lab.NewFleet(t)
	token := f.Token("--uses", "1")
	const joins = 200
	codes := make([]lab.Result, joins)
	var all sync.WaitGroup
	for i := range joins {
		all.Go(func() {
			codes[i] = f.JoinOnly(f.NewHost("h"+strings.Repeat("x", i/26)+string(rune('a'+i%26))), token)
		})
	}
	all.Wait()
	joined := 0
	for _, r := range codes {
		if r.Code == 0 {
			joined++
		} else if !strings.Contains(r.Errors, "token") && !strings.Contains(r.Errors, "too many") {
			t.Errorf("refused without the reason: %s", r.Errors)
		}
	}
	if joined != 1 {
		t.Errorf("%d hosts joined with a single-use token", joined)
	}
	if out := f.Must("get", "hosts", "-o", "name"); strings.Count(out, "host/") != 1 {
		t.Errorf("hosts:\n%s", out)
	}
	other := token[:len(token)-64] + strings.Repeat("0", 64)
	for what, c := range map[string]struct{ token, says string }{
		"another CA": {other, "is not the controller that made this token"},
		"no token":   {"secret", "no join token"},
	} {
		if r := f.JoinOnly(f.NewHost("late"), c.token); r.Code == 0 || !strings.Contains(r.Errors, c.says) {
			t.Errorf("%s: %d %s", what, r.Code, r.Errors)
		}
	}
}
