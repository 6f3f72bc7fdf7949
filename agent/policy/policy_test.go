package policy

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ancora-fleet/ancora/dataplane"
)

// What a policy leaves out has its default; both forms of a listener are understood.
func TestParse(t *testing.T) {
	usual := dataplane.Policy{Roots: []string{"/srv", "/var/www"}, Listeners: map[string]string{"http": ":80", "https": ":443"}, Edges: map[string]dataplane.Edge{}}
	for name, c := range map[string]struct {
		text string
		want dataplane.Policy
	}{
		"empty":         {"", usual},
		"only comments": {"# nothing\n\n# here\n", usual},
		"null":          {"---\n", usual},
		"all": {`
roots: [/opt/apps]
users: [shop, blog]
defaultUser: www-data
dotnet: /opt/dotnet
listeners:
  http: 127.0.0.1:0
  inner-2:
    address: "[::1]:8081"
    protocols: [http/1.1, h2c]
  plain: {address: ":9000", protocols: [http/1.1]}
  behind: {address: ":9001", trustedProxies: [10.0.0.0/8, 192.0.2.7, "2001:db8::/32"], proxyProtocol: true, idleTimeout: 30s, maxConnections: 500, maxConnectionsPerSource: 20}
`, dataplane.Policy{
			Roots: []string{"/opt/apps"}, Users: []string{"shop", "blog"}, DefaultUser: "www-data", Dotnet: "/opt/dotnet",
			Listeners: map[string]string{"http": "127.0.0.1:0", "inner-2": "[::1]:8081", "plain": ":9000", "behind": ":9001"},
			Edges: map[string]dataplane.Edge{"inner-2": {H2C: true}, "behind": {
				TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("2001:db8::/32")},
				ProxyProtocol:  true, IdleTimeout: 30 * time.Second, MaxConnections: 500, MaxConnectionsPerSource: 20,
			}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse("agent.yaml", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Policy, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// All that is wrong is said at once, each with its place.
func TestParseProblems(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"everything at once": {`root: [/srv]
roots: [srv, /var/www]
users: [shop, root]
defaultUser: root
dotnet: opt
listeners:
  http: 127.0.0.1:80000
  web: localhost:80
  "UPPER": ":81"
  long:
    adress: ":82"
  wide: {address: ":83", protocols: [http/1.1, quic]}
  same: ":83"
  behind:
    address: ":84"
    trustedProxies: [10.0.0.0/8, 10.0.0.1/8, example.com, "::ffff:10.0.0.0/104", fe80::1%eth0]
    idleTimeout: 1ms
    maxConns: 3
    maxConnections: 0
    maxConnectionsPerSource: 1000001
  odd: {address: ":85", protocols: h2c, idleTimeout: [1s], trustedProxies: {}}
  zero: {address: ":86", idleTimeout: 30, proxyProtocol: 1}
`, []string{
			`agent.yaml:1:1: field "root" is not known`,
			`agent.yaml:2:9: roots[0]: "srv" is not absolute`,
			`agent.yaml:3:15: users[1]: applications do not run as root`,
			`agent.yaml:4:14: defaultUser: applications do not run as root`,
			`agent.yaml:5:9: dotnet: "opt" is not absolute`,
			`agent.yaml:7:9: listeners.http: "127.0.0.1:80000" is not HOST:PORT`,
			`agent.yaml:8:8: listeners.web: "localhost:80": the host is an IP address`,
			`agent.yaml:9:12: listeners.UPPER: `,
			`agent.yaml:11:5: field "adress" is not known: address, protocols`,
			`agent.yaml:12:48: listeners.wide.protocols[1]: "quic" is not known: http/1.1 and h2c`,
			`listeners.wide: ":83" is the address of same already`,
			`agent.yaml:19:21: listeners.behind.maxConnections: 0 is not from 1 to 1000000`,
			`agent.yaml:20:30: listeners.behind.maxConnectionsPerSource: 1000001 is not from`,
			`agent.yaml:18:5: field "maxConns" is not known`,
			`agent.yaml:21:`, `agent.yaml:21:`, `agent.yaml:21:`,
			`agent.yaml:16:34: listeners.behind.trustedProxies[1]: "10.0.0.1/8" has bits behind its length: the network is 10.0.0.0/8`,
			`agent.yaml:16:46: listeners.behind.trustedProxies[2]: "example.com" is not a network`,
			`listeners.behind.trustedProxies[3]: "::ffff:10.0.0.0/104" is an IPv4 network in an IPv6 one`,
			`listeners.behind.trustedProxies[4]: "fe80::1%eth0" is not a network`,
			`agent.yaml:17:18: listeners.behind.idleTimeout: "1ms" is not a time`,
			`agent.yaml:22:58: `,
			`agent.yaml:22:39: listeners.zero.idleTimeout: "30" is not a time from 1s to 1h0m0s`,
		}},
		"wrong shapes":  {"roots: 3\nusers: {a: b}\nlisteners: [http]\n", []string{"agent.yaml:1:", "agent.yaml:2:", "agent.yaml:3:"}},
		"no roots":      {"roots: []\n", []string{"agent.yaml:1:8: roots: is empty"}},
		"a list":        {"- roots\n", []string{"agent.yaml:1:1: a policy is a mapping"}},
		"two":           {"roots: [/srv]\n---\nroots: [/opt]\n", []string{"holds 2 documents"}},
		"twice":         {"roots: [/srv]\nroots: [/opt]\n", []string{"agent.yaml:2:1: "}},
		"no YAML":       {"roots: [\n", []string{"agent.yaml:"}},
		"tags":          {"roots: [!r /srv]\nusers: !u \n", []string{"agent.yaml:1:9: a tag (!r) means nothing in a policy", "agent.yaml:2:8: "}},
		"empty address": {"listeners:\n  http:\n", []string{"agent.yaml:2:", "is not HOST:PORT"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Parse("agent.yaml", []byte(c.text))
			if err == nil {
				t.Fatalf("taken: %+v", p)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in:\n%v", want, err)
				}
			}
			if name == "everything at once" {
				if n := strings.Count(err.Error(), "\n") + 1; n != len(c.want) {
					t.Errorf("%d problems, not %d:\n%v", n, len(c.want), err)
				}
			}
			if p.Listeners != nil {
				t.Error("a policy that is wrong is given out")
			}
		})
	}
}

// What Format writes is read as what was meant.
func TestFormat(t *testing.T) {
	for name, p := range map[string]dataplane.Policy{
		"safe defaults": {},
		"all": {
			Roots: []string{"/opt/apps", "/srv"}, Users: []string{"shop"}, DefaultUser: "www-data", Dotnet: "/opt/dotnet",
			Listeners: map[string]string{"http": "127.0.0.1:0", "inner": ":8081"}, Edges: map[string]dataplane.Edge{
				"inner": {H2C: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}, ProxyProtocol: true, IdleTimeout: 2 * time.Minute, MaxConnections: 1, MaxConnectionsPerSource: 1_000_000},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(name, "defaults") {
				if got, err := Parse("agent.yaml", Format(p)); err != nil || got.AllowRoot || got.DefaultUser != "" {
					t.Errorf("%+v %v", got, err)
				}
			}
			want := p
			if want.Roots == nil {
				want.Roots, want.Listeners, want.Edges = DefaultRoots(), DefaultListeners(), map[string]dataplane.Edge{}
			}
			text := Format(p)
			got, err := Parse("agent.yaml", text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff(want, got.Policy, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
				t.Errorf("%s\n%s", diff, text)
			}
		})
	}
}

// Nothing but the loopback interface is an address for the admin listener.
func TestAdmin(t *testing.T) {
	for _, address := range []string{"127.0.0.1:9464", "127.1.2.3:1", "[::1]:9464"} {
		if p, err := Parse("agent.yaml", []byte("admin: '"+address+"'\n")); err != nil || p.Admin != address {
			t.Errorf("%s: %q %v", address, p.Admin, err)
		}
	}
	for _, address := range []string{":9464", "0.0.0.0:9464", "10.0.0.1:9464", "localhost:9464", "127.0.0.1", "127.0.0.1:0", "[::]:1", "[::ffff:10.0.0.1]:1", "x"} {
		if _, err := Parse("agent.yaml", []byte("roots: [/srv]\nadmin: '"+address+"'\n")); err == nil || !strings.Contains(err.Error(), "agent.yaml:2:8: admin: ") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// A policy that is not there is an error: the host has not said what may run.
func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(path, []byte("roots: [srv]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":1:9: ") {
		t.Errorf("%v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"roots: [/srv]\nlisteners: {http: ':80'}\n", "", "---\n", "roots:\n", "users: &a [x]\nroots: *a\n", "users: !u ", "listeners:\n  a: {address: ':1', protocols: [h2c]}\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := Parse("agent.yaml", content)
		if err == nil && len(p.Roots) == 0 {
			t.Error("a policy without roots allows everything")
		}
	})
}
