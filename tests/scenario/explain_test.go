package scenario

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// explained sees that an explanation has all of the words, and gives it.
func explained(t *testing.T, what, out string, words ...string) string {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("%s: no %q in\n%s", what, w, out)
		}
	}
	return out
}

// What hosts would do with a request is what they do, for each reason there is.
func TestExplain(t *testing.T) {
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	web2 := f.Join("web2", "role=web")
	file := f.Site("shop", "role=web")
	lab.Write(t, f.Dir+"/sites/shop", "web.config", section(`
<security><requestFiltering><verbs><add verb="DELETE" allowed="false"/></verbs><hiddenSegments><add segment="bin"/></hiddenSegments></requestFiltering></security>`))
	f.Must("apply", "-f", file, "--wait")
	f.Must("apply", "-f", f.Site("other", "role=web"), "--wait")
	config := f.Dir + "/sites/shop/web.config"

	// Both say the same, each with what is its own; nothing has started for it.
	out := explained(t, "nothing runs", f.Must("explain", "shop", "http://shop.example/x?pin=hush"),
		"web1, web2\n", "host name shop.example is of site shop (its own)", "site shop, revision 1  (IDLE)", "web1: "+f.Hosts["web1"].Address, "web2: "+web2.Address,
		"instance 1 does not run", "  = instance 1 is started and answers, site shop\n")
	if strings.Contains(out, "hush") {
		t.Errorf("the query is told:\n%s", out)
	}
	if out := f.Must("get", "instances", "shop", "-o", "name"); out != "" {
		t.Errorf("asking has started %s", out)
	}
	pid := strings.TrimSpace(f.Get("web1", "shop", "/pid").Body)
	lab.Eventually(t, func() string {
		out := f.Must("explain", "shop", "http://shop.example/", "--host", "web1")
		if strings.Contains(out, "pid "+pid) && strings.Contains(out, "= instance 1 answers, site shop\n") && !strings.Contains(out, "web2") {
			return ""
		}
		return out
	})
	var all struct {
		Hosts []struct {
			Host        string
			Explanation struct {
				Instance  int
				Starts    bool
				Instances []struct {
					Host string
					Pid  int
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(f.Must("explain", "shop", "http://shop.example/", "-o", "json")), &all); err != nil || len(all.Hosts) != 2 {
		t.Fatalf("%+v, %v", all, err)
	}
	if one := all.Hosts[0]; one.Host != "web1" || one.Explanation.Instance != 1 || one.Explanation.Starts || len(one.Explanation.Instances) != 1 || one.Explanation.Instances[0].Host != "web1" {
		t.Errorf("%+v", one)
	}
	if !all.Hosts[1].Explanation.Starts {
		t.Errorf("%+v", all.Hosts[1])
	}

	// What is another site's, and nobody's.
	explained(t, "another's", f.Must("explain", "shop", "http://other.example/"), "! site         site shop does not have host name other.example", "= instance 1 is started and answers, site other\n")
	explained(t, "nobody's", f.Must("explain", "shop", "http://none.example/"), "x hostname     no site answers to host name none.example on listener http  (it knows other.example, shop.example)", "= 404\n")
	if a, err := lab.Try(web2.Address, "/", "none.example"); err != nil || a.Status != 404 {
		t.Errorf("%+v, %v", a, err)
	}

	// What web.config forbids, with the place.
	explained(t, "verb", f.Must("explain", "shop", "http://shop.example/", "--method", "DELETE"), "x rules        method DELETE is not allowed  ["+config+":2:", "= 404.6, site shop\n")
	explained(t, "segment", f.Must("explain", "shop", "http://shop.example/a/../bin"), `segment "bin" of the path is hidden  [`+config+":2:", "= 404.8, site shop\n")
	told(t, "segment", f.Get("web1", "shop", "/bin"), 404, "404.8")

	// Out of service: by an operator, and by a file.
	f.Must("offline", "shop", "--for", "10m", "--yes")
	explained(t, "notice", f.Must("explain", "shop", "http://shop.example/"), "x offline      notice n-1 holds it out of service", "= 503, site shop\n")
	f.Must("online", "shop")
	page := lab.Write(t, f.Dir+"/sites/shop", "app_offline.htm", "away")
	explained(t, "file", f.Must("explain", "shop", "http://shop.example/"), "x offline      an app_offline.htm in its folder", "= 503, site shop\n")
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	explained(t, "file gone", f.Must("explain", "shop", "http://shop.example/"), "answers, site shop\n")

	// A revision that is refused leaves the one before; a web.config that cannot be used is told with its place.
	bad := lab.Write(t, f.Dir, "bad.yaml", strings.Replace(read(t, file), "/sites/shop", "/later", 1))
	f.CLI("apply", "-f", bad, "--wait")
	explained(t, "rejected", f.Must("explain", "shop", "http://shop.example/"), "! site         site shop, revision 2 is REJECTED, revision 1 goes on: application /: root "+filepath.Join(f.Dir, "later"), "answers, site shop\n")
	if a := f.Get("web1", "shop", "/"); a.Status != 200 {
		t.Errorf("the revision before does not go on: %d", a.Status)
	}
	broken := f.Site("broken", "role=web")
	place := lab.Write(t, f.Dir+"/sites/broken", "web.config", section("\n<aspNetCore processPath=\"dotnet\" shutdownTimeLimit=\"soon\"/>"))
	f.CLI("apply", "-f", broken, "--wait")
	explained(t, "broken", f.Must("explain", "broken", "http://broken.example/"), "x config       shutdownTimeLimit=\"soon\": is", "["+place+":2:", "= 500.19, site broken\n")
	told(t, "broken", f.Get("web1", "broken", "/"), 500, "500.19")

	// A host that is away is named, and what is no question is no question.
	web2.Stop(t)
	f.State("web2", "unreachable")
	r := f.CLI("explain", "other", "http://other.example/")
	explained(t, "away", r.Out, "web1\n", "web2\n  ? no answer: the host has no session\n")
	if r.Code != 3 {
		t.Errorf("exit code %d", r.Code)
	}
	for what, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown site": {[]string{"nothing", "http://a/"}, 5, `site "nothing"`},
		"not placed":   {[]string{"shop", "http://a/", "--host", "db1"}, 5, `"db1"`},
		"no URL":       {[]string{"shop", "a?hush"}, 2, "neither http:// nor https://"},
		"no address":   {[]string{"shop", "http://a/", "--from", "me"}, 2, "is no address"},
	} {
		if r := f.CLI(append([]string{"explain"}, c.args...)...); r.Code != c.code || !strings.Contains(r.Errors, c.says) || strings.Contains(r.Errors, "hush") {
			t.Errorf("%s: %d %s", what, r.Code, r.Errors)
		}
	}
	for what, log := range map[string]string{"controller": f.Controller.Log(), "web1": f.Hosts["web1"].Log(), "web2": web2.Log()} {
		if strings.Contains(log, "hush") {
			t.Errorf("the query is in the log of %s", what)
		}
	}
	// The host itself is asked without a controller.
	f.Controller.Stop(t)
	own := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), "explain", "http://shop.example/bin", "--run-dir", f.Hosts["web1"].RunDir())
	explained(t, "the host itself", own.Out, "= 404.8, site shop\n")
	if own.Code != 0 {
		t.Errorf("%d %s", own.Code, own.Errors)
	}
}

// The agent of one folder is asked by the folder.
func TestExplainServed(t *testing.T) {
	dir := lab.Dir(t)
	lab.Folder(t, dir, "root", map[string]string{"web.config": section(`
<security><ipSecurity allowUnlisted="false"><add ipAddress="10.0.0.0" subnetMask="255.0.0.0" allowed="true"/></ipSecurity></security>`)})
	file := lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "", lab.Bin(t, "childapp")))
	env := []string{"HOME=" + dir, "XDG_STATE_HOME=" + dir + "/state"}
	if os.Geteuid() == 0 {
		env = nil // root's state is in one place, whatever the environment says
	}
	args := []string{"serve", file, "--listen", "127.0.0.1:0"}
	if env == nil {
		args = append(args, "--data", dir+"/data")
	}
	p := lab.Start(t, env, lab.Bin(t, "ancora-agent"), args...)
	address := p.Ready(t)["address"]
	ask := func(args ...string) lab.Result {
		if env == nil {
			args = append(args, "--run-dir", dir+"/data")
		} else {
			args = append(args, "--served", file)
		}
		return lab.Run(t, env, lab.Bin(t, "ancora-agent"), append([]string{"explain", "http://" + address + "/x"}, args...)...)
	}
	lab.Eventually(t, func() string { // the socket opens by itself
		if r := ask(); r.Code != 0 {
			return r.Errors
		}
		return ""
	})
	explained(t, "unknown client", ask().Out, "  listener     listener http  ("+address+")", "! rules        ipSecurity is not asked", "  site         site shop", "= instance 1 is started and answers, site shop\n")
	explained(t, "client", ask("--from", "192.0.2.1").Out, "x rules        client 192.0.2.1 is not allowed  ["+dir+"/root/web.config:2:", "= 403.6, site shop\n")
	told(t, "client", lab.Get(t, address, "/x"), 403, "403.6")
	if r := ask("--from", "10.0.0.1", "--json"); !bytes.Contains([]byte(r.Out), []byte(`"starts": true`)) {
		t.Errorf("%s%s", r.Out, r.Errors)
	}
	if r := ask("--from", "me"); r.Code != 2 || !strings.Contains(r.Errors, `--from "me" is no address`) {
		t.Errorf("%d %s", r.Code, r.Errors)
	}
	r := lab.Run(t, env, lab.Bin(t, "ancora-agent"), "explain", "http://a/?hush", "--run-dir", dir+"/none")
	if r.Code != 1 || !strings.Contains(r.Errors, "no agent answers at "+dir+"/none/admin.sock") || strings.Contains(r.Errors, "hush") {
		t.Errorf("%d %s", r.Code, r.Errors)
	}
}

// What keeps an application from starting is told with the time until it is tried again.
func TestExplainWhyNothingStarts(t *testing.T) {
	ask := func(s *served) string {
		r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), "explain", "http://"+s.address+"/", "--run-dir", s.dir+"/data")
		return r.Out + r.Errors
	}
	s := serveSite(t, "rapidFailsPerMinute: 1\n", "-exit", "3")
	lab.Eventually(t, func() string { // the socket opens by itself
		if out := ask(s); !strings.Contains(out, "= instance 1 is started and answers, site shop") {
			return out
		}
		return ""
	})
	told(t, "first start", lab.Get(t, s.address, "/"), 502, "502.5")
	explained(t, "after one", ask(s), "! instance     instance 1 is started for it, although the newest start or run failed  (", "= instance 1 is started and answers, site shop")
	told(t, "second start", lab.Get(t, s.address, "/"), 502, "502.5")
	explained(t, "refused", ask(s), "x instance     starts are refused after rapid fails: more than 1 within a minute  (2 failures, tries again in ", "= 502.5, site shop")
	told(t, "refused", lab.Get(t, s.address, "/"), 502, "502.5")

	stuck, starts := stuckUntilFile(t)
	told(t, "in-process", lab.Get(t, stuck.address, "/"), 500, "500.30")
	lab.Eventually(t, func() string {
		if out := ask(stuck); !strings.Contains(out, "= 500.30, site shop") {
			return out
		}
		return ""
	})
	explained(t, "stands", ask(stuck), "x instance     a failed start stands  (", "tries again in ")
	if n := starts(); n != 1 {
		t.Errorf("started %d times", n)
	}
}
