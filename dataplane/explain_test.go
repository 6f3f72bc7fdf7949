package dataplane

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/explain"
	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/offline"
	"github.com/ancora-fleet/ancora/dataplane/secure"
	"github.com/ancora-fleet/ancora/dataplane/secure/securetest"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
	"github.com/ancora-fleet/ancora/dataplane/turnstile"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// explained is a host whose sites were put in place by hand; no process is ever started.
type explained struct {
	*Server
	t *testing.T
}

func explainable(t *testing.T) *explained {
	t.Helper()
	s := &Server{
		log: hclog.NewNullLogger(), sites: map[string]*runningSite{}, nowhere: newObserver(), changed: map[chan struct{}]struct{}{},
		policy: Policy{Listeners: map[string]string{}, Edges: map[string]Edge{}},
	}
	s.listeners = newListeners(s)
	s.listeners.ctx = context.Background()
	for name, address := range map[string]string{"http": "127.0.0.1:80", "https": "127.0.0.1:8443", "proxied": "127.0.0.1:8080"} {
		s.listeners.open[name] = &openListener{address: address}
	}
	s.policy.Edges["proxied"] = Edge{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	var err error
	if s.probeCertificate, err = secure.NewProbe(); err != nil {
		t.Fatal(err)
	}
	return &explained{s, t}
}

// site puts a site in place; created orders those that claim the same.
func (s *explained) site(created int, w *site.Site) *runningSite {
	w.CreateTime = time.Unix(int64(created), 0)
	r := &runningSite{name: w.Name, site: w, revision: 3, apps: map[string]*runningApp{}, observer: newObserver()}
	certificates, err := s.readCertificates(r, w)
	if err != nil {
		s.t.Fatal(err)
	}
	r.certificates = certificates
	s.sites[w.Name] = r
	s.desired.Sites = append(s.desired.Sites, DesiredSite{Site: w, Revision: 3})
	return r
}

// app puts an application in place as its web.config says; change may change the rest of what it is.
func (s *explained) app(r *runningSite, path, config string, change func(*app.Spec)) *app.App {
	root := s.t.TempDir()
	a := app.New(r.name, path, root, nil, nil)
	r.apps[path] = &runningApp{path: path, root: root, app: a}
	c, err := webconfig.Parse("/srv/web.config", []byte(config))
	if err != nil {
		a.Fail(&app.Refusal{Code: err.(webconfig.Errors).Code(), Err: err})
		return a
	}
	spec := &app.Spec{
		Root: root, Pool: supervise.Config{Site: r.name, Application: path, Revision: 3, Instances: 1}, Limits: turnstile.Limits{Places: 1, Line: 0},
		Answers: app.Answers{
			Filter: filter.Compile(webconfig.Rules(c.Edits)), Handlers: handlers(c.Mapping()),
			Mapped: mapped(&launch.Plan{Handlers: c.Mapping(), Everything: c.Everything()}),
		},
	}
	if change != nil {
		change(spec)
	}
	a.Update(spec)
	return a
}

func (s *explained) ask(method, url string, change func(*explain.Question)) string {
	scheme, rest, _ := strings.Cut(url, "://")
	authority, target, _ := strings.Cut(rest, "/")
	q := explain.Question{Scheme: scheme, Authority: authority, Target: "/" + target, Method: method}
	if change != nil {
		change(&q)
	}
	return strings.Join(explain.Lines([]explain.Hosted{{Trail: s.Explain(q)}}), "\n")
}

const ruled = `<configuration>
<location path="intern"><system.webServer><security><ipSecurity allowUnlisted="false"><add ipAddress="10.0.0.0" subnetMask="255.0.0.0" allowed="true"/></ipSecurity></security></system.webServer></location>
<location path="secret"><system.webServer><security><access sslFlags="Ssl"/></security></system.webServer></location>
<location path="card"><system.webServer><security><access sslFlags="Ssl, SslRequireCert"/></security></system.webServer></location>
<system.webServer>
<handlers><add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2"/></handlers>
<security><requestFiltering>
<verbs><add verb="DELETE" allowed="false"/></verbs>
<hiddenSegments><add segment="bin"/></hiddenSegments>
</requestFiltering></security>
<httpErrors><remove statusCode="404" subStatusCode="8"/><error statusCode="404" subStatusCode="8" path="https://shop.test/gone" responseMode="Redirect"/></httpErrors>
<aspNetCore processPath="dotnet" arguments="a.dll"/></system.webServer></configuration>`

func TestExplain(t *testing.T) {
	s := explainable(t)
	shop := s.site(1, &site.Site{Name: "shop", Bindings: []site.Binding{{Listener: "http", Hostnames: []string{"shop.test", "*.shop.test"}}, {Listener: "proxied"}}, Applications: []site.Application{{Path: "/"}}})
	root := s.app(shop, "/", ruled, nil)
	s.app(shop, "/api", `<configuration><system.webServer><handlers><add name="some" path="*.svc" verb="POST" modules="AspNetCoreModuleV2"/></handlers><aspNetCore processPath="dotnet"/></system.webServer></configuration>`,
		func(spec *app.Spec) { spec.Pool.Instances, spec.Least = 3, true })
	s.app(shop, "/broken", "<configuration>\n <system.webServer>\n  <aspNetCore processPath=\"dotnet\" hostingModel=\"inprocess\" shutdownTimeLimit=\"soon\"/></system.webServer></configuration>", nil)
	missing := s.app(shop, "/missing", `<configuration><broken/`, nil)
	rules, err := webconfig.Parse("/srv/web.config", []byte(ruled))
	if err != nil {
		t.Fatal(err)
	}
	dressed := webconfig.Rules(rules.Edits)
	dressed[0].Pages = append(dressed[0].Pages, filter.Page{Status: 502, Substatus: 3, File: "three.html"})
	missing.Fail(&app.Refusal{Code: "502.5", Err: rules.Unusable("processPath", "is not found"), Answers: app.Answers{PlainErrors: true, Filter: filter.Compile(dressed)}})
	away := s.app(shop, "/away", ruled, nil)
	if err := os.WriteFile(filepath.Join(shop.apps["/away"].root, "App_Offline.htm"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	noticed := s.app(shop, "/noticed", ruled, nil)
	noticed.SetNotices([]offline.Notice{{Name: "n-7", RetryAfter: time.Minute}})

	ca := securetest.NewAuthority(t)
	dir := t.TempDir()
	cert, key := securetest.Write(t, dir, "card", ca.Issue(time.Hour, "card.test"))
	if err := os.WriteFile(filepath.Join(dir, "ca"), ca.PEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	card := s.site(2, &site.Site{Name: "card", Applications: []site.Application{{Path: "/"}}, Bindings: []site.Binding{
		{Listener: "https", Hostnames: []string{"card.test"}, TLS: &site.TLS{Certificates: []site.Certificate{{Cert: cert, Key: key}}, ClientCert: &site.ClientCert{Mode: site.ClientCertRequire, CA: filepath.Join(dir, "ca")}}},
		{Listener: "http", Hostnames: []string{"card.test"}, Redirect: site.RedirectHTTPS},
	}})
	s.app(card, "/", ruled, nil)
	late := s.site(3, &site.Site{Name: "late", Bindings: []site.Binding{{Listener: "http", Hostnames: []string{"Shop.test"}}, {Listener: "ftp"}}, Applications: []site.Application{{Path: "/"}}})
	s.app(late, "/", ruled, nil)
	s.sites["gone"] = &runningSite{name: "gone", rejected: "root /none: no such file or directory", observer: newObserver()}
	s.desired.Sites = append(s.desired.Sites, DesiredSite{Site: &site.Site{Name: "gone", Bindings: []site.Binding{{Listener: "http", Hostnames: []string{"gone.test"}}}}, Revision: 9})
	older := s.site(4, &site.Site{Name: "older", Bindings: []site.Binding{{Listener: "http", Hostnames: []string{"older.test"}}}, Applications: []site.Application{{Path: "/"}}})
	s.app(older, "/", `<configuration/>`, nil)
	older.rejected, s.desired.Sites[len(s.desired.Sites)-1].Revision = "user daemon is not allowed", 5
	s.publish()

	from := func(client string) func(*explain.Question) {
		return func(q *explain.Question) { q.Client = netip.MustParseAddr(client) }
	}
	about := func(name string) func(*explain.Question) { return func(q *explain.Question) { q.Site = name } }
	by := func(listener string) func(*explain.Question) {
		return func(q *explain.Question) { q.Listener = listener }
	}
	for name, c := range map[string]struct {
		method, url string
		change      func(*explain.Question)
		answer      string
		says        []string
	}{
		"starts": {"GET", "http://shop.test/x?token=hush", about("shop"), "instance 1 is started and answers, site shop", []string{"  listener     listener http  (127.0.0.1:80)", "  hostname     host name shop.test is of site shop (its own)",
			"  site         site shop, revision 3  (IDLE)", "  application  application /, the longest that fits of /missing, /noticed, /broken, /away, /api, /", "rules of web.config let it pass",
			`handler aspNetCore (path="*") sends it to the application  [/srv/web.config:6:11]`, "does not run: it is started", "site late claims it too: route Shop.test/ on listener http is taken by site shop"}},
		"by a pattern":       {"GET", "http://www.shop.test/", nil, "instance 1 is started and answers, site shop", []string{"(by *.shop.test)"}},
		"the default":        {"GET", "http://whoever:8080/", nil, "instance 1 is started and answers, site shop", []string{"(the default of the listener)"}},
		"path base":          {"POST", "http://shop.test/API/a.svc", nil, "instance 2 is started and answers, site shop application /api", []string{"path base /API", `handler some (path="*.svc" verb="POST")`, "of 3 the one with the fewest requests"}},
		"no handler":         {"GET", "http://shop.test/api/a.svc", nil, "404, site shop application /api", []string{"x handler      no handler of web.config sends GET of this path to the application  [/srv/web.config:1:"}},
		"verb":               {"DELETE", "http://shop.test/", nil, "404.6, site shop", []string{"x rules        method DELETE is not allowed  [/srv/web.config:8:1]"}},
		"segment, elsewhere": {"GET", "http://shop.test/a/../bin/", nil, "302 to https://shop.test/gone, site shop", []string{"(404.8), and httpErrors sends visitors elsewhere  [/srv/web.config:9:1]", "the path is read as /bin/"}},
		"client":             {"GET", "http://shop.test/intern", from("192.0.2.1"), "403.6, site shop", []string{"client 192.0.2.1 is not allowed  [/srv/web.config:2:"}},
		"client let through": {"GET", "http://shop.test/intern", from("10.1.1.1"), "instance 1 is started and answers, site shop", nil},
		"client not known":   {"GET", "http://shop.test/intern", nil, "instance 1 is started and answers, site shop", []string{"! rules        ipSecurity is not asked"}},
		"without TLS":        {"GET", "http://shop.test/secret", nil, "403.4, site shop", []string{"sslFlags asks for TLS  [/srv/web.config:3:"}},
		"TLS in front":       {"GET", "https://shop.test/secret", nil, "403.4, site shop", []string{"no listener has port 443", "where nobody is believed"}},
		"TLS in front, believed": {"GET", "https://shop.test/secret", by("proxied"), "instance 1 is started and answers, site shop",
			[]string{"listener     listener proxied  (127.0.0.1:8080)", "at a proxy that is believed"}},
		"certificate in front": {"GET", "https://shop.test/card", by("proxied"), "403.7, site shop", []string{"sslFlags asks for a client certificate"}},
		"refused, let through": {"GET", "http://shop.test/missing/x", nil, "502.5, site shop application /missing", []string{"rules of web.config let it pass", "x config       is not found, with the page three.html of httpErrors", "[/srv/web.config:12:"}},
		"refused, kept out":    {"DELETE", "http://shop.test/missing/x", nil, "404.6, site shop application /missing", nil},
		"broken web.config":    {"GET", "http://shop.test/broken/x", nil, "500.19, site shop application /broken", []string{"x config       shutdownTimeLimit=\"soon\": is", "[/srv/web.config:3:"}},
		"local":                {"DELETE", "http://shop.test/away", nil, "503, site shop application /away", []string{"x offline      an app_offline.htm in its folder"}},
		"notice":               {"GET", "http://shop.test/noticed", nil, "503, site shop application /noticed", []string{"x offline      notice n-7 holds it out of service  (Retry-After 60)"}},
		"no such host name":    {"GET", "http://none.test/", about("shop"), "404", []string{"x hostname     no site answers to host name none.test on listener http  (it knows *.shop.test, card.test, older.test, shop.test)", "! site         site shop does not have host name none.test on listener http, but shop.test, *.shop.test"}},
		"another's host name":  {"GET", "http://older.test/", about("shop"), "instance 1 is started and answers, site older", []string{"site shop does not have host name older.test", "site older, revision 5 is REJECTED, revision 3 goes on: user daemon is not allowed"}},
		"loses its host name":  {"GET", "http://shop.test/", about("late"), "instance 1 is started and answers, site shop", []string{"site late, revision 3 is REJECTED and nothing of the site answers", "! listener     listener ftp is not declared in this host's policy", "site late does not get it, although it has the host name"}},
		"rejected":             {"GET", "http://gone.test/", about("gone"), "404", []string{"site gone, revision 9 is REJECTED and nothing of the site answers: root /none: no such file"}},
		"not given":            {"GET", "http://shop.test/", about("unknown"), "instance 1 is started and answers, site shop", []string{"site unknown is not among those that this host was given"}},
		"redirect":             {"POST", "http://card.test/pay?pin=hush", nil, "308 to https://card.test:8443/pay, site card", []string{"x redirect     the binding sends visitors to TLS"}},
		"challenge":            {"GET", "http://card.test/.well-known/acme-challenge/x", nil, "instance 1 is started and answers, site card", []string{"is not redirected"}},
		"TLS":                  {"GET", "https://card.test:8443/card", nil, "instance 1 is started and answers, site card", []string{"! tls          TLS, and a client certificate is demanded"}},
		"no certificate":       {"GET", "https://shop.test:8443/", nil, "no answer, the connection is closed", []string{"x tls          the handshake ends with unrecognized_name"}},
		"no TLS there":         {"GET", "https://shop.test:80/", nil, "no answer, the connection is closed", []string{"x tls          listener http has no TLS"}},
		"TLS only":             {"GET", "http://card.test:8443/", nil, "no answer, the connection is closed", []string{"x tls          listener https takes connections with TLS only"}},
		"no such listener":     {"GET", "http://shop.test/", by("ftp"), "no answer, the connection is closed", []string{"x listener     listener ftp is not declared in this host's policy"}},
		"bad path":             {"GET", "http://shop.test/a%00b", nil, "400", []string{"x request      refused before any site is asked: route: NUL in the path"}},
		"bad method":           {"G T", "http://shop.test/", nil, "400", []string{"x request "}},
		"no such method":       {"CONNECT", "http://shop.test/", nil, "501", []string{"x request "}},
		"no smuggling":         {"GET", "http://shop.test/ HTTP/1.1\r\nX: y", nil, "400", nil},
	} {
		t.Run(name, func(t *testing.T) {
			text := s.ask(c.method, c.url, c.change)
			if !strings.HasSuffix(text, "\n= "+c.answer) {
				t.Errorf("want %q\n%s", c.answer, text)
			}
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			if strings.Contains(text, "hush") {
				t.Errorf("the query is told:\n%s", text)
			}
		})
	}
	for _, a := range []*app.App{root, away, noticed} {
		if status, load := a.Status(), a.Load(); len(status.Instances) > 0 || status.Starting || load != (app.Load{}) {
			t.Errorf("asking has an effect: %+v %+v", status, load)
		}
	}
	if held := away.Offline(); len(held) != 0 {
		t.Errorf("asking looks for a request: %v", held)
	}
	if counts := fmt.Sprint(shop.observer.meter.Counts(), s.nowhere.meter.Counts()); counts != fmt.Sprint(newObserver().meter.Counts(), newObserver().meter.Counts()) {
		t.Errorf("asking is counted: %s", counts)
	}
}
