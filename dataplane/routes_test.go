package dataplane

import (
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

func TestDisagreement(t *testing.T) {
	of := func(cert string, mode site.ClientCertMode) *site.TLS {
		w := &site.TLS{Certificates: []site.Certificate{{Cert: cert, Key: cert}}}
		if mode != "" {
			w.ClientCert = &site.ClientCert{Mode: mode, CA: "/ca"}
		}
		return w
	}
	older := []*runningSite{{name: "old", site: &site.Site{Bindings: []site.Binding{
		{Listener: "http"},
		{Listener: "https", Hostnames: []string{"a.test", "*.b.test"}, TLS: of("/a", "")},
	}}}}
	for what, tt := range map[string]struct {
		binding site.Binding
		want    string // empty: they agree
	}{
		"same":           {site.Binding{Listener: "https", Hostnames: []string{"A.test"}, TLS: of("/a", "")}, ""},
		"another name":   {site.Binding{Listener: "https", Hostnames: []string{"x.b.test"}, TLS: of("/b", "require")}, ""},
		"every name":     {site.Binding{Listener: "https", TLS: of("/b", "")}, ""},
		"other listener": {site.Binding{Listener: "other", Hostnames: []string{"a.test"}, TLS: of("/b", "")}, ""},
		"certificate":    {site.Binding{Listener: "https", Hostnames: []string{"A.test"}, TLS: of("/b", "")}, "hostname a.test on listener https has other certificates"},
		"clients":        {site.Binding{Listener: "https", Hostnames: []string{"*.B.test"}, TLS: of("/a", "request")}, "in site old"},
		"without":        {site.Binding{Listener: "https", Hostnames: []string{"c.test"}}, "listener https is used with TLS by site old"},
		"with":           {site.Binding{Listener: "http", Hostnames: []string{"c.test"}, TLS: of("/a", "")}, "listener http is used without TLS by site old"},
	} {
		got := disagreement(older, &site.Site{Bindings: []site.Binding{tt.binding}})
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q", what, got)
		}
	}
}
