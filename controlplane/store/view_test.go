package store

import (
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/site"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func placedEverywhere(t *testing.T, names ...string) map[string]*Site {
	t.Helper()
	all, err := site.ParseSelector("all")
	if err != nil {
		t.Fatal(err)
	}
	sites := make(map[string]*Site)
	for _, name := range names {
		sites[name] = &Site{Message: &typesv1.Site{Name: name}, Placement: all}
	}
	return sites
}

func TestConfirmed(t *testing.T) {
	agreed := &Confirmation{Revision: 10, Sites: []string{"a", "b"}}
	for _, c := range []struct {
		name         string
		confirmation *Confirmation
		sites        []string
		applied      int64
		want         bool
	}{
		{"nobody was asked", nil, []string{"a"}, 0, false},
		{"exactly what was agreed", agreed, []string{"a", "b"}, 9, true},
		{"more is placed since", agreed, []string{"a", "b", "c"}, 9, true},
		{"more is taken away since", agreed, []string{"a"}, 9, false},
		{"used up by the manifest it was made for", agreed, []string{"a", "b"}, 10, false},
		{"used up by a later manifest", agreed, []string{"a", "b"}, 12, false},
		{"a host that follows another store", agreed, []string{"a", "b"}, 0, true},
		{"nothing is left, as agreed", &Confirmation{Revision: 10}, nil, 9, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &View{
				Hosts:         map[string]*Host{"web1": {Message: &typesv1.Host{Name: "web1"}}},
				Sites:         placedEverywhere(t, c.sites...),
				Confirmations: map[string]*Confirmation{},
			}
			if c.confirmation != nil {
				v.Confirmations["web1"] = c.confirmation
			}
			if got := v.Confirmed("web1", c.applied); got != c.want {
				t.Errorf("Confirmed is %t, want %t", got, c.want)
			}
		})
	}
}

func TestRevoked(t *testing.T) {
	v := &View{
		Revoked:    map[string]string{"k1": "web1", revokedHost("web2"): "web2", revokedHost("web3"): "web3"},
		Identities: map[string]Identity{"web3": {Key: "k3"}},
	}
	for _, c := range []struct {
		host, key string
		want      bool
	}{
		{"web1", "k1", true},
		{"web1", "k9", false},
		{"web2", "k9", true},
		{"web3", "k9", true},
		{"web3", "k3", false},
	} {
		if got := v.IsRevoked(c.host, c.key); got != c.want {
			t.Errorf("IsRevoked(%s, %s) is %t, want %t", c.host, c.key, got, c.want)
		}
	}
}
