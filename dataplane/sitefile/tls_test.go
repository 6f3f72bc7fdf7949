package sitefile

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

const secured = `apiVersion: ancora/v1
kind: Site
name: shop
placement: {hosts: all}
bindings:
  - {listener: http, hostnames: [shop.example.com, a.shop.example.com], redirect: https}
  - {listener: https, hostnames: [shop.example.com], tls: {cert: /etc/a.crt, key: /etc/a.key}}
  - listener: https
    hostnames: ["*.shop.example.com"]
    tls:
      certificates:
        - {cert: /etc/b.crt, key: /etc/b.key}
        - {cert: /etc/c.crt, key: /etc/c.key}
      clientCert: {mode: require, ca: /etc/ca.crt}
applications: [{root: /srv/shop}]
`

func TestTLS(t *testing.T) {
	got, err := Parse("f", []byte(secured))
	if err != nil {
		t.Fatal(err)
	}
	want := []site.Binding{
		{Listener: "http", Hostnames: []string{"shop.example.com", "a.shop.example.com"}, Redirect: site.RedirectHTTPS},
		{Listener: "https", Hostnames: []string{"shop.example.com"}, TLS: &site.TLS{Certificates: []site.Certificate{{Cert: "/etc/a.crt", Key: "/etc/a.key"}}}},
		{Listener: "https", Hostnames: []string{"*.shop.example.com"}, TLS: &site.TLS{
			Certificates: []site.Certificate{{Cert: "/etc/b.crt", Key: "/etc/b.key"}, {Cert: "/etc/c.crt", Key: "/etc/c.key"}},
			ClientCert:   &site.ClientCert{Mode: site.ClientCertRequire, CA: "/etc/ca.crt"},
		}},
	}
	if diff := cmp.Diff(want, got[0].Bindings); diff != "" {
		t.Error(diff)
	}
	again, err := Parse("f", Format(got[0]))
	if err != nil {
		t.Fatalf("%v\n%s", err, Format(got[0]))
	}
	if diff := cmp.Diff(got, again); diff != "" {
		t.Error(diff)
	}
}

func TestTLSProblems(t *testing.T) {
	for name, tt := range map[string]struct{ from, to, want string }{
		"two forms":      {"cert: /etc/a.crt", "certificates: [{cert: /x, key: /y}], cert: /etc/a.crt", "f:7:59: bindings[1].tls: has cert and key beside certificates"},
		"mode":           {"mode: require", "mode: demand", `bindings[2].tls.clientCert.mode: "demand" is not known: request or require`},
		"unknown":        {"key: /etc/a.key", "key: /etc/a.key, pem: x", "bindings[1].tls.pem: is not known"},
		"second key":     {", key: /etc/c.key", "", "bindings[2].tls.certificates[1].key: is missing"},
		"redirect":       {"redirect: https", "redirect: http", `bindings[0].redirect: "http" is not known: https`},
		"nowhere":        {"a.shop.example.com]", "b.example.com]", `bindings[0].redirect: no binding of the site has tls and the hostname "b.example.com"`},
		"both kinds":     {"{listener: https, hostnames", "{listener: http, hostnames", "bindings[1].tls: a listener has TLS or has not"},
		"redirect of it": {"listener: https\n", "listener: https\n    redirect: https\n", "bindings[2].redirect: is for bindings without tls"},
	} {
		text := strings.Replace(secured, tt.from, tt.to, 1)
		if _, err := Parse("f", []byte(text)); err == nil || !strings.Contains(err.Error(), tt.want) || text == secured {
			t.Errorf("%s: %v", name, err)
		}
	}
}
