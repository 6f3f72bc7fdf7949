package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// killWorker ends the worker of an agent as a crash does, and waits until another one has taken over.
func killWorker(t *testing.T, p *lab.Program, data string) {
	t.Helper()
	id := strings.TrimSpace(read(t, data+"/keeper-id"))
	n := strings.Count(p.Log(), "instance adopted")
	for _, w := range lab.Marked(id + "/worker") {
		_ = syscall.Kill(w, syscall.SIGKILL)
	}
	lab.Eventually(t, func() string {
		if strings.Count(p.Log(), "instance adopted") == n {
			return "no instance is adopted: " + p.Log()
		}
		return ""
	})
}

// asker counts the answers of one process while somebody asks without a pause; a connection that its worker took along with it
// is no answer.
type asker struct {
	stop, done chan struct{}
	good       atomic.Int64
	bad        atomic.Pointer[string]
}

func askOn(address, site, process string) *asker {
	a := &asker{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		for {
			select {
			case <-a.stop:
				return
			default:
			}
			answer, err := lab.Try(address, "/pid", site+".example")
			switch {
			case err != nil:
			case answer.Status == 200 && strings.TrimSpace(answer.Body) == process:
				a.good.Add(1)
			default:
				text := fmt.Sprintf("%d %q", answer.Status, answer.Body)
				a.bad.CompareAndSwap(nil, &text)
			}
		}
	}()
	return a
}

// more waits until some more requests have been answered.
func (a *asker) more(t *testing.T) {
	t.Helper()
	n := a.good.Load()
	lab.Eventually(t, func() string {
		if a.good.Load() < n+20 && a.bad.Load() == nil {
			return "no request is answered"
		}
		return ""
	})
}

func (a *asker) end(t *testing.T) {
	t.Helper()
	close(a.stop)
	<-a.done
	if bad := a.bad.Load(); bad != nil {
		t.Errorf("a request was answered %s", *bad)
	}
}

// keptFiles are the records of web.config files that an agent has; one that is being written has another name.
func keptFiles(data, site string) []string {
	files, _ := filepath.Glob(data + "/webconfigs/" + site + "/[^.]*")
	return files
}

// kept waits until there are so many.
func kept(t *testing.T, data, site string, n int) {
	t.Helper()
	lab.Eventually(t, func() string {
		if files := keptFiles(data, site); len(files) != n {
			return fmt.Sprintf("kept are %v, want %d", files, n)
		}
		return ""
	})
}

const brokenConfig = "<configuration>\n<system.webServer>\n  <aspNetCore colour=\"red\"/>\n</system.webServer></configuration>\n"

// A web.config that breaks takes nothing down (D8): not while the application runs, not when the worker is lost, not when the
// agent starts anew. Status names the place all the while, and the mended file is taken.
func TestLastGoodConfig(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	root := lab.Folder(t, f.Dir, "root", map[string]string{"web.config": configText(false, variables("Color=1"))})
	site := func(more string) string {
		text := siteText("shop", root, more, lab.Bin(t, "childapp"))
		return lab.Write(t, f.Dir, "shop.yaml", strings.Replace(text, "listener: http", "listener: http\n    hostnames: [shop.example]", 1))
	}
	f.Must("apply", "-f", site(""), "--wait")
	before := siteProcess(t, web1.Address, "shop")
	kept(t, web1.Data, "shop", 1)
	if info, err := os.Stat(keptFiles(web1.Data, "shop")[0]); err != nil {
		t.Error(err)
	} else if info.Mode().Perm() != 0o600 {
		t.Errorf("what may hold secrets is kept as %v", info.Mode())
	}
	rejected := func() {
		t.Helper()
		lab.Eventually(t, func() string {
			place := `web.config:3:15: colour="red": is no attribute of aspNetCore`
			if out := f.Must("describe", "site", "shop"); !strings.Contains(out, "REJECTED") || !strings.Contains(out, place) {
				return out
			}
			return ""
		})
	}
	color := func(want string) string {
		a, err := lab.Try(web1.Address, "/env", "shop.example")
		if err != nil || !strings.Contains("\n"+a.Body, "\nColor="+want+"\n") {
			return fmt.Sprintf("%v %d, want Color=%s in\n%s", err, a.Status, want, a.Body)
		}
		return ""
	}

	load := askOn(web1.Address, "shop", before)
	load.more(t)
	lab.Write(t, root, "web.config", brokenConfig)
	rejected()
	load.more(t)
	for _, more := range []string{"env: {Size: L}\n", ""} {
		killWorker(t, web1.Program, web1.Data)
		load.more(t)
		f.Connected("web1")
		rejected()
		if more != "" { // a revision that comes meanwhile cannot run either, and changes nothing
			f.Must("apply", "-f", site(more))
			rejected()
		}
	}
	load.end(t)

	web1.Kill(t)
	f.Run(web1)
	f.Connected("web1")
	rejected()
	lab.Eventually(t, func() string { return color("1") })
	if now := siteProcess(t, web1.Address, "shop"); now == before {
		t.Errorf("process %s has outlived its agent", now)
	}

	lab.Write(t, root, "web.config", configText(false, variables("Color=2")))
	lab.Eventually(t, func() string { return color("2") })
	if a, err := lab.Try(web1.Address, "/env", "shop.example"); err != nil || !strings.Contains(a.Body, "Size=L") {
		t.Errorf("the newer revision does not run: %v\n%s", err, a.Body)
	}
	lab.Eventually(t, func() string {
		if out := f.Must("get", "sites", "shop"); !strings.Contains(out, "serving") {
			return out
		}
		return ""
	})

	// What counts then is the newest that was good.
	lab.Write(t, root, "web.config", "")
	lab.Eventually(t, func() string {
		if out := f.Must("describe", "site", "shop"); !strings.Contains(out, "REJECTED") {
			return out
		}
		return ""
	})
	now := siteProcess(t, web1.Address, "shop")
	killWorker(t, web1.Program, web1.Data)
	if again := siteProcess(t, web1.Address, "shop"); again != now {
		t.Errorf("process %s answers, was %s", again, now)
	}
	f.Must("delete", "site", "shop", "--yes")
	kept(t, web1.Data, "shop", 0)
}

// What is no last good file: that of another folder, one that was removed, one that was never run with, and one that is older than
// a file that closes the site. A folder or a pipe in the place of the file is a broken one.
func TestLastGoodCounts(t *testing.T) {
	good := configText(false, variables("Color=1"))
	for name, c := range map[string]struct {
		idle bool // nothing is asked before the agent ends
		then func(t *testing.T, dir string)
		want string
	}{
		"broken": {then: func(t *testing.T, dir string) { lab.Write(t, dir, "root/web.config", brokenConfig) }, want: "200 Color=1"},
		"unreadable": {then: func(t *testing.T, dir string) {
			remove(t, dir+"/root/web.config")
			lab.Folder(t, dir, "root/web.config", nil)
		}, want: "200 Color=1"},
		"in a loop": {then: func(t *testing.T, dir string) {
			remove(t, dir+"/root/web.config")
			if err := os.Symlink("web.config", dir+"/root/web.config"); err != nil {
				t.Fatal(err)
			}
		}, want: "200 Color=1"},
		"no program": {then: func(t *testing.T, dir string) {
			lab.Write(t, dir, "root/web.config", configText(false, `<aspNetCore/>`))
		}, want: "200 Color=1"},
		"never run": {idle: true, then: func(t *testing.T, dir string) { lab.Write(t, dir, "root/web.config", brokenConfig) }, want: "500 500.19"},
		"removed":   {then: func(t *testing.T, dir string) { remove(t, dir+"/root/web.config") }, want: "200 "},
		"closed": {then: func(t *testing.T, dir string) {
			lab.Write(t, dir, "root/web.config", configText(false, `<security><authorization><add accessType="Deny" users="?"/></authorization></security>`))
		}, want: "500 500.19"},
		"damaged": {then: func(t *testing.T, dir string) {
			lab.Write(t, dir, "root/web.config", brokenConfig)
			damage(t, keptFiles(dir+"/data", "shop")[0])
		}, want: "500 500.19"},
		"other root": {then: func(t *testing.T, dir string) {
			lab.Folder(t, dir, "next", map[string]string{"web.config": brokenConfig})
			moveRoot(t, dir)
		}, want: "500 500.19"},
		"renamed app": {then: func(t *testing.T, dir string) {
			lab.Write(t, dir, "root/web.config", brokenConfig)
			lab.Write(t, dir, "site.yaml", strings.Replace(read(t, dir+"/site.yaml"), "path: /\n", "path: /x\n", 1))
		}, want: "404 404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := lab.Dir(t)
			root := lab.Folder(t, dir, "root", map[string]string{"web.config": good})
			file := lab.Write(t, dir, "site.yaml", siteText("shop", root, "", lab.Bin(t, "childapp")))
			s := serve(t, dir, file)
			if !c.idle {
				s.has(t, "/", "Color=1", true)
				kept(t, dir+"/data", "shop", 1)
			}
			s.Stop(t)
			s.Wait(t)
			c.then(t, dir)
			s = serve(t, dir, file)
			a := lab.Get(t, s.address, "/env")
			got := fmt.Sprintf("%d %s", a.Status, a.Header.Get("X-Ancora-Error"))
			if strings.Contains(a.Body, "Color=1") {
				got += "Color=1"
			}
			if got != c.want {
				t.Errorf("%s, want %s\n%s", got, c.want, s.Log())
			}
		})
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func damage(t *testing.T, file string) {
	t.Helper()
	if err := os.Truncate(file, 100); err != nil {
		t.Fatal(err)
	}
}

func moveRoot(t *testing.T, dir string) {
	t.Helper()
	lab.Write(t, dir, "site.yaml", strings.Replace(read(t, dir+"/site.yaml"), dir+"/root", dir+"/next", 1))
}

// A file that is broken above an application leaves it running over the loss of a worker too: the file above is part of what it
// runs with.
func TestLastGoodAbove(t *testing.T) {
	s := twoApplications(t, configText(true, variables("Above=1")), configText(false, variables("Own=1")))
	s.has(t, "/stock/", "Above=1", true)
	top, stock := pid(t, s.address), lab.Get(t, s.address, "/stock/pid").Body
	kept(t, s.dir+"/data", "shop", 2)
	lab.Write(t, s.dir, "top/web.config", brokenConfig)
	s.says(t, "application /stock: "+s.dir+"/top/web.config:3:15")
	killWorker(t, s.Program, s.dir+"/data")
	if now := lab.Get(t, s.address, "/stock/pid").Body; now != stock || pid(t, s.address) != top {
		t.Errorf("a broken file and a lost worker touched what runs:\n%s", s.Log())
	}
	lab.Write(t, s.dir, "top/web.config", configText(true, variables("Above=2")))
	s.has(t, "/stock/", "Above=2", true)
	s.has(t, "/", "Above=2", true)

	// A file that was removed does not come back because of that.
	s.Stop(t)
	s.Wait(t)
	lab.Write(t, s.dir, "top/web.config", brokenConfig)
	remove(t, s.dir+"/stock/web.config")
	s = serve(t, s.dir, s.dir+"/site.yaml")
	s.has(t, "/", "Above=2", true)
	if a := lab.Get(t, s.address, "/stock/env"); a.Header.Get("X-Ancora-Error") != "500.19" {
		t.Errorf("%d %v\n%s", a.Status, a.Header, a.Body)
	}
}

// What disallowRotationOnConfigChange pins (CFG-3) stays as it is when another application of the site changes, and when the
// worker is lost.
func TestPinnedBesideOthers(t *testing.T) {
	settings := `<handlerSettings><handlerSetting name="disallowRotationOnConfigChange" value="true"/></handlerSettings>`
	pinned := func(value string) string {
		return configText(false, strings.Replace(variables("Own="+value), "</aspNetCore>", settings+"</aspNetCore>", 1))
	}
	s := twoApplications(t, configText(false, variables("Top=1")), pinned("1"))
	s.has(t, "/stock/", "Own=1", true)
	s.has(t, "/", "Top=1", true)
	stock := lab.Get(t, s.address, "/stock/pid").Body
	kept(t, s.dir+"/data", "shop", 2)
	lab.Write(t, s.dir, "stock/web.config", pinned("2"))
	s.says(t, "which disallowRotationOnConfigChange says to ignore: site=shop application=/stock")
	for _, value := range []string{"Top=2", "Top=3"} { // the second comes after whatever the first has begun
		lab.Write(t, s.dir, "top/web.config", configText(false, variables(value)))
		s.has(t, "/", value, true)
	}
	unchanged := func(after string) {
		t.Helper()
		s.has(t, "/stock/", "Own=1", true)
		if now := lab.Get(t, s.address, "/stock/pid").Body; now != stock {
			t.Errorf("%s: process %s answers, was %s", after, now, stock)
		}
	}
	unchanged("a change of another application")
	killWorker(t, s.Program, s.dir+"/data")
	unchanged("the loss of a worker")
	lab.Write(t, s.dir, "top/web.config", brokenConfig)
	s.says(t, "top/web.config:3:15")
	unchanged("a broken file of another application")
	s.Stop(t)
	s.Wait(t)
	lab.Write(t, s.dir, "top/web.config", configText(false, ""))
	s = serve(t, s.dir, s.dir+"/site.yaml") // a start is a start
	s.has(t, "/stock/", "Own=2", true)
}
