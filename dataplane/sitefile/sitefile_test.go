package sitefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

const whole = `# everything that is supported
apiVersion: ancora/v1
kind: Site
name: shop
labels: {team: web, ring: 1}
placement: {hosts: "role=web,ring in (1,2)"}
bindings:
  - listener: http
    hostnames: [shop.example.com, www.shop.example.com]
  - {listener: other}
applications:
  - root: /srv/shop
    user: shop
    iisEnvironment: true
    env:
      ASPNETCORE_ENVIRONMENT: Production
      Number: 007
      Flag: true
      Empty: ""
      Text: |
        two
        lines
    ready: {timeout: 60s}
    stop: {timeout: 20s}
    drain: 30s
    overlap: false
    instances: 3
    balance: leastOutstanding
    affinity: cookie
    requestTimeout: 2m
    rapidFailsPerMinute: 0
    disableStartUpErrorPage: true
    idle: 20m
    recycle: {memory: 2GiB, requests: 500000, age: 29h, schedule: ["03:00", "15:30"]}
    warmup: {requests: [/, "/lists?all=1"]}
    limits: {body: 64MiB, concurrency: 200, queue: 0, queueTimeout: 10s}
    webConfig: {open: [authorization, rewrite]}
  - path: /api
    root: /srv/api
    profile: generic
    command: [./api, --listen, "127.0.0.1:${PORT}"]
    start: always
    warmup: {requests: []}
    socket: unix
    protocol: h2c
`

func pointer[T any](v T) *T { return &v }

func wholeSite() *site.Site {
	return &site.Site{
		Name: "shop", Labels: map[string]string{"team": "web", "ring": "1"}, Placement: site.Placement{Hosts: "role=web,ring in (1,2)"},
		Bindings: []site.Binding{{Listener: "http", Hostnames: []string{"shop.example.com", "www.shop.example.com"}}, {Listener: "other"}},
		Applications: []site.Application{{
			Path: "/", Root: "/srv/shop", User: "shop", IISEnvironment: true,
			Env: []site.Variable{
				{Name: "ASPNETCORE_ENVIRONMENT", Value: "Production"}, {Name: "Number", Value: "007"}, {Name: "Flag", Value: "true"},
				{Name: "Empty"}, {Name: "Text", Value: "two\nlines\n"},
			},
			StartupTimeLimit: pointer(time.Minute), ShutdownTimeLimit: pointer(20 * time.Second), Drain: pointer(30 * time.Second), Overlap: pointer(false), Instances: pointer(uint32(3)), Balance: site.BalanceLeastOutstanding, Affinity: site.AffinityCookie, RequestTimeout: pointer(2 * time.Minute),
			RapidFailsPerMinute: pointer(uint32(0)), DisableStartUpErrorPage: pointer(true),
			BodyLimit: pointer(int64(64 << 20)), Concurrency: pointer(uint32(200)), Queue: pointer(uint32(0)), QueueTimeout: pointer(10 * time.Second),
			Idle: pointer(20 * time.Minute), Warmup: []string{"/", "/lists?all=1"},
			Recycle: site.Recycle{Memory: pointer(int64(2 << 30)), Requests: pointer(uint32(500000)), Age: pointer(29 * time.Hour), Schedule: []string{"03:00", "15:30"}},
			Open:    []string{"authorization", "rewrite"},
		}, {
			Path: "/api", Root: "/srv/api", Profile: site.ProfileGeneric, Start: site.StartAlways, Socket: site.SocketUnix, Protocol: site.ProtocolH2C, Warmup: []string{},
			Command: []string{"./api", "--listen", "127.0.0.1:${PORT}"},
		}},
	}
}

func TestParse(t *testing.T) {
	got, err := Parse("shop.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*site.Site{wholeSite()}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFormatIsReadAgain(t *testing.T) {
	text := Format(wholeSite())
	got, err := Parse("again.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if diff := cmp.Diff([]*site.Site{wholeSite()}, got); diff != "" {
		t.Errorf("%s\n%s", diff, text)
	}
}

// Every text comes back as it was, whatever YAML would make of it unquoted.
func TestFormatKeepsTexts(t *testing.T) {
	for _, text := range []string{
		"", " ", " a ", "~", "null", "Null", "y", "NO", "true", "0x1f", "007", "1e3", ".5", ".inf", "-", "---", "...", "a: b", "a #b", "#", "a:",
		"[", "}", "*a", "&a", "!a", "|", ">", "%", "@", "'", `"`, `\`, `a\nb`, "a\nb", "a\r\nb", "\r", "\t", "\x01", "\x1b[31m", "\x7f", "\u0085",
		"\u00a0", "\u2028", "\ufeff", "\ufffd", "😀", "é", "<<", "?", "? a", "=", "2026-01-01", "12:30", "<a>&", strings.Repeat("é ", 3000),
	} {
		s := wholeSite()
		s.Applications[0].Env = []site.Variable{{Name: "V", Value: text}}
		s.Applications[1].Command = []string{"x", text}
		if text != "" && !strings.Contains(text, "=") {
			s.Applications[0].Env = append(s.Applications[0].Env, site.Variable{Name: "V" + text, Value: text}, site.Variable{Name: text, Value: "v"})
		}
		got, err := Parse("f", Format(s))
		if err != nil {
			t.Errorf("%.40q: %v", text, err)
			continue
		}
		if diff := cmp.Diff([]*site.Site{s}, got); diff != "" {
			t.Errorf("%.40q: %s", text, diff)
		}
	}
}

// Editors on Windows write a byte order mark and their own line ends.
func TestWindows(t *testing.T) {
	got, err := Parse("f", []byte("\ufeff"+strings.ReplaceAll(whole, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]*site.Site{wholeSite()}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSeveralDocuments(t *testing.T) {
	one := string(Format(wholeSite()))
	other := wholeSite()
	other.Name = "other"
	if got, err := Parse("two.yaml", []byte(one+"---\n"+string(Format(other))+"---\n# nothing\n")); err != nil || len(got) != 2 || got[1].Name != "other" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := Parse("two.yaml", []byte(one+"---\n"+one)); err == nil || !strings.Contains(err.Error(), `"shop" stands in this file already`) {
		t.Errorf("the same name twice: %v", err)
	}
}

// Everything that is wrong is told at once, each with its place.
func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"not yaml":  {"a: [", []string{"f:1:4: is not YAML"}},
		"encoding":  {"# é\n  \xff: 1\n", []string{"f:2:3: is not UTF-8"}},
		"marked":    {"\ufeff- a\n", []string{"f:1:1: a list is no mapping of fields"}},
		"size":      {strings.Repeat("#", sizeLimit+1), []string{"f: has 1048577 bytes, at most 1048576 are read"}},
		"empty":     {"# nothing\n", []string{"f: holds no site"}},
		"no fields": {"- a\n", []string{"f:1:1: a list is no mapping of fields"}},
		"many": {`apiVersion: ancora/v2
kind: Host
name: Shop
name: shop
placement: {hosts: "role in ("}
bindings:
  - listener: http
    tls: {cert: a}
applications:
  - path: api
    root: srv
    colour: red
    env: {A: , B: {fromFile: /x}, "A=B": x}
    ready: {http: /h, timeout: 25h}
    stop: {timeout: 20, signal: INT}
    rapidFailsPerMinute: 101
    limits: {memory: 1GiB, body: 30 MB, concurrency: 0, queue: -1, queueTimeout: 2h, rate: 1}
    recycle: {every: 24h, memory: 2 GB, requests: -1, age: 8761h, schedule: ["3:00", 15:30]}
    instances: 0
    requestTimeout: soon
    disableStartUpErrorPage: maybe
    command: node
rollout: {canary: 1}
`, []string{
			`f:1:1: apiVersion: "ancora/v2" is not known: ancora/v1`,
			`f:2:1: kind: "Host" is not known: Site`,
			`f:4:1: name: stands twice`,
			`f:5:13: placement.hosts: `,
			`f:8:5: bindings[0].tls.key: is missing: a file of the host`,
			`f:8:11: bindings[0].tls.cert: "a" is no clean absolute path`,
			`f:10:5: applications[0].path: "api" does not begin with /`,
			`f:11:5: applications[0].root: "srv" is not absolute`,
			`f:12:5: applications[0].colour: is not known; known here: affinity, balance, command, `,
			`f:13:11: applications[0].env.A: has no value; an empty one is ""`,
			`f:13:20: applications[0].env.B.fromFile: fromFile is not supported yet`,
			`f:13:35: applications[0].env.A=B: `,
			`f:14:13: applications[0].ready.http: http is not supported yet`,
			`f:14:23: applications[0].ready.timeout: 25h0m0s is not in 0s to 86400s in whole seconds`,
			`f:15:21: applications[0].stop.timeout: "20" is no length of time`,
			`f:15:25: applications[0].stop.signal: signal is not supported yet`,
			`f:16:5: applications[0].rapidFailsPerMinute: 101 is not in 0 to 100`,
			`f:17:14: applications[0].limits.memory: memory is not supported yet`,
			`f:17:34: applications[0].limits.body: "30 MB" is no size: write it as 30MB, 64KiB, a number of bytes, or none`,
			`f:17:41: applications[0].limits.concurrency: 0 is not in 1 to 100000`,
			`f:17:64: applications[0].limits.queue: "-1" is no whole number from 0 up`,
			`f:17:68: applications[0].limits.queueTimeout: 2h0m0s is not in 0s to 3600s in whole seconds`,
			`f:17:86: applications[0].limits.rate: is not known; known here: body, concurrency, queue, queueTimeout`,
			`f:18:15: applications[0].recycle.every: is not known; known here: age, memory, requests, schedule`,
			`f:18:35: applications[0].recycle.memory: "2 GB" is no size: `,
			`f:18:51: applications[0].recycle.requests: "-1" is no whole number from 0 up`,
			`f:18:55: applications[0].recycle.age: 8761h0m0s is not in 0s to 31536000s in whole seconds`,
			`f:18:78: applications[0].recycle.schedule[0]: "3:00" is no time of day: write it as 03:00, 00:00 to 23:59`,
			`f:18:86: applications[0].recycle.schedule[1]: a mapping is no time of day: write it in quotes, as "03:00"`,
			`f:19:5: applications[0].instances: 0 is not in 1 to 100`,
			`f:20:21: applications[0].requestTimeout: "soon" is no length of time`,
			`f:21:30: applications[0].disableStartUpErrorPage: "maybe" is neither true nor false`,
			`f:22:14: applications[0].command: "node" is no list`,
			`f:23:11: rollout: rollout.canary is not supported yet`,
		}},
		"name":      {strings.Replace(whole, "name: shop", "name: Shop", 1), []string{`f:4:1: name: "Shop" is not a name`}},
		"missing":   {"apiVersion: ancora/v1\nkind: Site\n", []string{"f:1:1: name: is missing", "f:1:1: placement.hosts: is missing", "f:1:1: bindings: is missing", "f:1:1: applications: is missing"}},
		"reference": {"apiVersion: &a ancora/v1\nkind: Site\nname: x\nplacement: {hosts: all}\nbindings: [{listener: http}]\napplications: [{root: /x}]\n", []string{"f:1:13: apiVersion: a reference, which is not supported, is no text"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f", []byte(c.text))
			var got Errors
			if !errors.As(err, &got) {
				t.Fatalf("%v", err)
			}
			for i, e := range got {
				if i >= len(c.want) {
					t.Errorf("unexpected: %s", e)
				} else if text := e.Error(); len(text) < len(c.want[i]) || text[:len(c.want[i])] != c.want[i] {
					t.Errorf("got  %s\nwant %s", text, c.want[i])
				}
			}
			if len(got) < len(c.want) {
				t.Errorf("not told: %q", c.want[len(got):])
			}
		})
	}
}

// The example files are good.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../deploy/sites/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(file, content); err != nil {
			t.Error(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("a: [b, {c: d}]\n---\n- e"))
	f.Fuzz(func(t *testing.T, content []byte) {
		sites, err := Parse("f", content)
		if err != nil {
			return
		}
		for _, s := range sites {
			text := Format(s)
			again, err := Parse("again", text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			// An empty map or list and none mean the same.
			if diff := cmp.Diff([]*site.Site{s}, again, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// The access log is a word of the site; the one that YAML 1.1 takes for a boolean is one too.
func TestAccessLog(t *testing.T) {
	const file = "apiVersion: ancora/v1\nkind: Site\nname: a\nplacement: {hosts: all}\nbindings: [{listener: http}]\napplications: [{root: /srv/a}]\n"
	for text, want := range map[string]site.AccessLog{
		"": "", "accessLog: json\n": site.AccessLogJSON, "accessLog: combined\n": site.AccessLogCombined,
		"accessLog: w3c\n": site.AccessLogW3C, "accessLog: off\n": site.AccessLogOff, "accessLog: \"off\"\n": site.AccessLogOff,
	} {
		sites, err := Parse("f", []byte(file+text))
		if err != nil || sites[0].AccessLog != want {
			t.Errorf("%q: %v %v", text, sites, err)
			continue
		}
		again, err := Parse("f", Format(sites[0]))
		if err != nil || again[0].AccessLog != want {
			t.Errorf("%q: formatted %v %v", text, again, err)
		}
	}
	if _, err := Parse("f", []byte(file+"accessLog: xml\n")); err == nil || !strings.Contains(err.Error(), `f:7:1: accessLog: "xml" is not known: json, combined, w3c or off`) {
		t.Errorf("%v", err)
	}
}
