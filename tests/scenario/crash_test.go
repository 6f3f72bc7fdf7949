package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/secure/securetest"
	"github.com/ancora-fleet/ancora/tests/lab"
)

// crashCase is a feature of an application, or of its site, that a worker's loss must not touch.
type crashCase struct {
	site    func(dir, text string) string // changes the site file
	more    string                        // of the application in the site file
	config  string                        // what its web.config holds
	folder  map[string]string             // more files
	command []string                      // flags of the program; nil: none
	args    []string                      // of the agent
	paths   []string                      // that are asked; nil: /pid
	prepare func(t *testing.T, dir string)
	n       int    // instances; 0 is one
	has     string // a line of the application's environment
}

// crashMatrix has a case for each thing that decides how an application is started or served.
func crashMatrix() map[string]crashCase {
	return map[string]crashCase{
		"plain":               {},
		"always":              {more: "start: always\n"},
		"generic":             {more: "profile: generic\n"},
		"instances":           {more: "instances: 3\nstart: always\nbalance: leastOutstanding\naffinity: cookie\n", n: 3},
		"unix socket":         {more: "socket: unix\nprofile: generic\n"},
		"http1":               {more: "protocol: http/1.1\n"},
		"no overlap":          {more: "overlap: false\n"},
		"limits":              {more: "limits: {concurrency: 3, queue: 5, queueTimeout: 3s, body: 1MB}\nrequestTimeout: 9s\nready: {timeout: 20s}\nstop: {timeout: 3s}\ndrain: 4s\nrapidFailsPerMinute: 3\n"},
		"recycling":           {more: "recycle: {memory: 900MB, requests: 4000, age: 86400s, schedule: [\"03:00\"]}\nidle: 600s\n"},
		"warm-up":             {more: "warmup: {requests: [/, /pid]}\n"},
		"variables":           {more: "env: {Color: blue, Empty: \"\", Port: \"${PORT}\", ASPNETCORE_TOKEN: mine}\n", has: "Color=blue"},
		"iis":                 {more: "iisEnvironment: true\n", has: "ASPNETCORE_IIS_SITE_NAME=shop"},
		"content root":        {site: func(dir, text string) string { return strings.Replace(text, dir+"/root", dir+"/current", 1) }, prepare: linkRoot, has: "ASPNETCORE_CONTENTROOT="},
		"launcher":            {command: []string{"-listener", "orphan"}},
		"launcher that waits": {command: []string{"-listener", "grandchild"}},
		"fork":                {command: []string{"-fork", "double"}},
		"https":               {site: withHTTPS, args: []string{"--listen", "https=127.0.0.1:0"}, has: "ASPNETCORE_ANCM_HTTPS_PORT="},
		"several https":       {site: withTwoHTTPS, args: []string{"--listen", "https=127.0.0.1:0", "--listen", "other=127.0.0.1:0"}, has: "ASPNETCORE_ANCM_HTTPS_PORT="},
		"access log":          {site: func(_, text string) string { return "accessLog: json\n" + text }},
		"sub-applications": {site: func(dir, text string) string {
			return text + strings.ReplaceAll(text[strings.Index(text, "  - path: /"):], "path: /\n", "path: /stock\n")
		}, paths: []string{"/pid", "/stock/pid"}, n: 2},
		"web.config":         {config: aspNetCore(`processPath="%PROGRAM%" startupTimeLimit="30" shutdownTimeLimit="3" requestTimeout="00:10:00" rapidFailsPerMinute="7"`, envOf("Color", "%PATH%")), has: "Color="},
		"processes":          {config: aspNetCore(`processPath="%PROGRAM%" processesPerApplication="2"`, ""), more: "start: always\n", n: 2},
		"in-process":         {config: aspNetCore(`processPath="%PROGRAM%" hostingModel="inprocess"`, setting("stackSize", "16777216")+setting("suppressRecycleOnStartupTimeout", "true"))},
		"other directory":    {config: aspNetCore(`processPath="%PROGRAM%" hostingModel="inprocess"`, setting("setCurrentDirectory", "false")), has: "ASPNETCORE_CONTENTROOT="},
		"stdout log":         {config: aspNetCore(`processPath="%PROGRAM%" stdoutLogEnabled="true" stdoutLogFile=".\logs\out"`, "")},
		"silent":             {config: aspNetCore(`processPath="%PROGRAM%"`, setting("enableOutOfProcessConsoleRedirection", "false"))},
		"debug log":          {config: aspNetCore(`processPath="%PROGRAM%"`, setting("debugLevel", "file,trace")+setting("debugFile", "debug.log"))},
		"pinned":             {config: aspNetCore(`processPath="%PROGRAM%"`, setting("disallowRotationOnConfigChange", "true"))},
		"forwarded":          {config: aspNetCore(`processPath="%PROGRAM%" forwardWindowsAuthToken="false"`, ""), args: []string{"--trusted-proxy", "127.0.0.0/8"}},
		"rules":              {config: "<security><requestFiltering><requestLimits maxAllowedContentLength=\"1000\"/></requestFiltering></security><httpProtocol><customHeaders><add name=\"X-A\" value=\"b\"/></customHeaders></httpProtocol>" + aspNetCore(`processPath="%PROGRAM%"`, "")},
		"initialization":     {config: "<applicationInitialization><add initializationPage=\"/pid\"/></applicationInitialization>" + aspNetCore(`processPath="%PROGRAM%"`, "")},
		"no web sockets":     {config: "<webSocket enabled=\"false\"/>" + aspNetCore(`processPath="%PROGRAM%"`, ""), has: "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED=false"},
		"development":        {more: "env: {ASPNETCORE_ENVIRONMENT: Development}\n", has: "ASPNETCORE_ENVIRONMENT=Development"},
		"httpPlatform":       {config: `<httpPlatform processPath="%PROGRAM%" startupRetryCount="3"><environmentVariables><environmentVariable name="PORT" value="%HTTP_PLATFORM_PORT%"/></environmentVariables></httpPlatform>`},
		"shadow copy":        {config: aspNetCore(`processPath=".\childapp"`, setting("enableShadowCopy", "true")), prepare: ownProgram},
		"client certificate": {site: withClientCertificate, args: []string{"--listen", "https=127.0.0.1:0"}, has: "ASPNETCORE_ANCM_HTTPS_PORT="},
	}
}

func linkRoot(t *testing.T, dir string) {
	t.Helper()
	if err := os.Symlink(dir+"/root", dir+"/current"); err != nil {
		t.Fatal(err)
	}
}

func ownProgram(t *testing.T, dir string) {
	t.Helper()
	if err := lab.CopyProgram(lab.Bin(t, "childapp"), dir+"/root/childapp"); err != nil {
		t.Fatal(err)
	}
}

func aspNetCore(attributes, inside string) string {
	if !strings.Contains(attributes, "hostingModel") {
		attributes += ` hostingModel="outofprocess"`
	}
	inside = strings.ReplaceAll(inside, "</handlerSettings><handlerSettings>", "")
	return fmt.Sprintf("<aspNetCore %s>%s</aspNetCore>", attributes, inside)
}

func tlsText(dir string) string {
	return fmt.Sprintf("tls: {cert: %s/shop.crt, key: %[1]s/shop.key}", dir)
}

func withHTTPS(dir, text string) string {
	return strings.Replace(text, "  - listener: http\n", "  - listener: http\n  - {listener: https, hostnames: [shop.example], "+tlsText(dir)+"}\n", 1)
}

func withTwoHTTPS(dir, text string) string {
	return strings.Replace(withHTTPS(dir, text), "applications:", "  - {listener: other, hostnames: [shop.example], "+tlsText(dir)+"}\napplications:", 1)
}

func withClientCertificate(dir, text string) string {
	return strings.Replace(withHTTPS(dir, text), "shop.key}", "shop.key, clientCert: {mode: require, ca: "+dir+"/ca.crt}}", 1)
}

// A worker that is lost touches no application, whatever it is told and however it is started: the same processes answer, with the
// same environment, and none was started beside them. Each start stands in the events once.
func TestCrashMatrix(t *testing.T) {
	at := make(chan struct{}, 3) // so many at once
	for name, c := range crashMatrix() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at <- struct{}{}
			defer func() { <-at }()
			c.run(t)
		})
	}
}

func (c *crashCase) run(t *testing.T) {
	dir := lab.Dir(t)
	program := lab.Bin(t, "childapp")
	lab.Folder(t, dir, "root", c.folder)
	command := append([]string{program}, c.command...)
	if c.config != "" {
		text := "<configuration><system.webServer>" + strings.ReplaceAll(c.config, "%PROGRAM%", program) + "</system.webServer></configuration>"
		lab.Write(t, dir, "root/web.config", text)
		if strings.Contains(c.config, "processPath") {
			command = nil
		}
	}
	if c.prepare != nil {
		c.prepare(t, dir)
	}
	text := siteText("shop", dir+"/root", c.more, command...)
	if c.site != nil {
		authority := securetest.NewAuthority(t)
		cert, key := securetest.Write(t, dir, "shop", authority.Issue(time.Hour, "shop.example"))
		text = c.site(dir, text)
		text = strings.NewReplacer(dir+"/shop.crt", cert, dir+"/shop.key", key, dir+"/ca.crt", lab.Write(t, dir, "ca.crt", string(authority.PEM()))).Replace(text)
	}
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", text), c.args...)
	s.address, _, _ = strings.Cut(s.address, ",")
	paths, n := c.paths, max(c.n, 1)
	if paths == nil {
		paths = []string{"/pid"}
	}
	for _, path := range paths {
		if a := lab.Get(t, s.address, path); a.Status != 200 {
			t.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
		}
	}
	lab.Eventually(t, func() string {
		if ready := strings.Count(s.Log(), "instance ready"); ready != n {
			return fmt.Sprintf("%d instances are ready, want %d", ready, n)
		}
		return ""
	})
	first := pid(t, s.address)
	before := instances(t, dir+"/data")
	if got := "\n" + lab.Get(t, s.address, "/env").Body; !strings.Contains(got, "\n"+c.has) {
		t.Errorf("no %s in %s", c.has, got)
	}
	for kill := range 3 {
		adopted := n * (kill + 1)
		killWorker(t, s.Program, dir+"/data")
		lab.Eventually(t, func() string {
			if got := strings.Count(s.Log(), "instance adopted"); got != adopted {
				return fmt.Sprintf("%d were adopted, want %d", got, adopted)
			}
			return ""
		})
		for _, path := range paths {
			if a := lab.Get(t, s.address, path); a.Status != 200 {
				t.Fatalf("GET %s: %d %s", path, a.Status, a.Body)
			}
		}
		if now := pid(t, s.address); n == 1 && now != first {
			t.Errorf("process %s answers, was %s", now, first)
		}
		if now := instances(t, dir+"/data"); !slices.Equal(now, before) {
			t.Fatalf("%v run, %v ran before", now, before)
		}
	}
	runs, _ := filepath.Glob(dir + "/data/captures/shop/*/[1-9]*")
	if runs = slices.DeleteFunc(runs, func(run string) bool { return strings.Contains(run, "/access/") }); len(runs) != n {
		t.Errorf("started were %v, want %d", runs, n)
	}
	for _, word := range []string{"not wanted any more", "instance stopped", "ended unexpectedly", "replacement", "panic:"} {
		if strings.Contains(s.Log(), word) {
			t.Errorf("the log says %q", word)
		}
	}
	started := "[1001]"
	if strings.Contains(c.config, "inprocess") {
		started = "[1032]"
	}
	if got := countEvents(t, dir+"/data", started); got != n {
		t.Errorf("%d starts are in the events, want %d", got, n)
	}
}

// countEvents counts the lines of the event streams of all runs that hold a text.
func countEvents(t *testing.T, data, text string) (n int) {
	t.Helper()
	files, _ := filepath.Glob(data + "/captures/*/*/*/*event*")
	for _, f := range files {
		n += strings.Count(read(t, f), text)
	}
	return n
}

// What an application is told of its site may depend on a listener, as the port of HTTPS does. It is started once, knowing all of
// it, and a worker that comes after another takes it over.
func TestServeStartsOnce(t *testing.T) {
	dir := lab.Dir(t)
	lab.Folder(t, dir, "root", nil)
	cert, key := securetest.Write(t, dir, "shop", securetest.NewAuthority(t).Issue(time.Hour, "shop.example"))
	text := siteText("shop", dir+"/root", "start: always", lab.Bin(t, "childapp"))
	secured := fmt.Sprintf("  - listener: http\n  - {listener: https, hostnames: [shop.example], tls: {cert: %s, key: %s}}", cert, key)
	file := lab.Write(t, dir, "site.yaml", strings.Replace(text, "  - listener: http", secured, 1))
	s := serve(t, dir, file, "--listen", "https=127.0.0.1:0")
	s.address, _, _ = strings.Cut(s.address, ",")
	before := pid(t, s.address)
	if got := lab.Get(t, s.address, "/env").Body; !strings.Contains(got, "ASPNETCORE_ANCM_HTTPS_PORT=") {
		t.Errorf("the application is not told the port of HTTPS:\n%s", got)
	}
	for range 4 { // the race of the bug that this is about was lost in most cases, not in all
		killWorker(t, s.Program, dir+"/data")
		if now := pid(t, s.address); now != before {
			t.Fatalf("the application is process %s, was %s", now, before)
		}
	}
	s.Stop(t)
	if strings.Contains(s.Log(), "run=2") {
		t.Error("more than one was started")
	}
}
