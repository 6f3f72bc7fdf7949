package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane"
)

func TestParse(t *testing.T) {
	got, err := Parse("agent.yaml", []byte(`roots: [/srv, /opt/apps]
users: [shop]
defaultUser: www-data
dotnet: /usr/share/dotnet
listeners:
  http: ":80"
  other: {address: "127.0.0.1:0", protocols: [http/1.1, h2c]}
`))
	want := dataplane.Policy{
		Roots: []string{"/srv", "/opt/apps"}, Users: []string{"shop"}, DefaultUser: "www-data", Dotnet: "/usr/share/dotnet",
		Listeners: map[string]string{"http": ":80", "other": "127.0.0.1:0"}, H2C: map[string]bool{"other": true},
	}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
	again, err := Parse("again.yaml", Format(got))
	if err != nil || cmp.Diff(want, again) != "" {
		t.Errorf("%v\n%s\n%s", err, cmp.Diff(want, again), Format(got))
	}
}

// An empty file has the defaults, which never allow everything.
func TestDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", string(Format(dataplane.Policy{}))} {
		got, err := Parse("agent.yaml", []byte(text))
		if err != nil || cmp.Diff(DefaultRoots(), got.Roots) != "" || cmp.Diff(DefaultListeners(), got.Listeners) != "" || got.AllowRoot || got.DefaultUser != "" {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func TestProblems(t *testing.T) {
	for text, wants := range map[string][]string{
		"rots: [/srv]\n": {"agent.yaml:1:1", "rots"},
		"roots: []\n":    {"roots: is empty"},
		"roots: [srv]\nusers: [root]\ndefaultUser: root\ndotnet: x\nlisteners: {HTTP: ':80', a: '80', b: 'host:80', c: ':81', d: ':81', e: {address: ':82', protocols: [h3]}}\n": {
			"agent.yaml:1:9: roots[0]: \"srv\" is not absolute", "users[0]: applications do not run as root", "defaultUser: applications do not run as root",
			"dotnet: \"x\" is not absolute", "listeners.HTTP", "listeners.a: \"80\" is not HOST:PORT", "the host is an IP address", "is the address of c already", "\"h3\" is not known",
		},
	} {
		_, err := Parse("agent.yaml", []byte(text))
		if err == nil {
			t.Errorf("%q is taken", text)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: no %q in\n%v", text, want, err)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("roots: [/srv]\nlisteners: {http: ':80'}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		p, err := Parse("agent.yaml", content)
		if err == nil && len(p.Roots) == 0 {
			t.Error("a policy without roots allows everything")
		}
	})
}
