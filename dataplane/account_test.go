package dataplane

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// Whom a policy lets applications run as (D12).
func TestAccounts(t *testing.T) {
	if os.Geteuid() != 0 {
		if _, err := (&Policy{}).account("65534"); err == nil || !strings.Contains(err.Error(), "cannot change to another user") {
			t.Errorf("%v", err)
		}
		return
	}
	for name, c := range map[string]struct {
		policy Policy
		wanted string
		uid    uint32
		says   string
	}{
		"default":         {Policy{DefaultUser: "65534"}, "", 65534, ""},
		"default, named":  {Policy{DefaultUser: "65534"}, "65534", 65534, ""},
		"none":            {Policy{}, "", 0, "name user in the site, or defaultUser"},
		"allowed":         {Policy{Users: []string{"daemon"}}, "daemon", 1, ""},
		"not allowed":     {Policy{Users: []string{"daemon"}, DefaultUser: "65534"}, "bin", 0, "is not allowed by this host's policy (users: daemon, 65534)"},
		"root":            {Policy{Users: []string{"root"}}, "root", 0, "do not run as root"},
		"root by number":  {Policy{Users: []string{"0"}}, "0", 0, "do not run as root"},
		"root, for serve": {Policy{DefaultUser: "root", AllowRoot: true}, "", 0, ""},
		"nobody of it":    {Policy{Users: []string{"no-such-user"}}, "no-such-user", 0, "does not exist on this host"},
	} {
		got, err := c.policy.account(c.wanted)
		if c.says != "" {
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v, want %q", name, err, c.says)
			}
			continue
		}
		if err != nil || got.uid != c.uid || got.credential == nil || got.credential.UID != c.uid {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// What a user cannot reach is refused with the first thing in the way.
func TestReaches(t *testing.T) {
	top, err := os.MkdirTemp("", "ancora-reach-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(top)
	deep := filepath.Join(top, "a", "b", "c")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(deep, "program")
	if err := os.WriteFile(program, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	who := account{name: "somebody", uid: 4_000_000, groups: []uint32{4_000_000}}
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := who.reaches(deep); err != nil {
		t.Error(err)
	}
	if err := who.reaches(program); err == nil || !strings.Contains(err.Error(), "may not execute") {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(filepath.Join(top, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := who.reaches(deep); err == nil || !strings.Contains(err.Error(), filepath.Join(top, "a")+" is in the way") {
		t.Errorf("%v", err)
	}
	if err := (account{uid: 0}).reaches(deep); err != nil {
		t.Errorf("root: %v", err)
	}
}

// Two sites have an address in common only when listener, name and path are the same.
func TestCommon(t *testing.T) {
	one := func(listener, name, path string) *site.Site {
		s := &site.Site{Bindings: []site.Binding{{Listener: listener}}, Applications: []site.Application{{Path: path}}}
		if name != "" {
			s.Bindings[0].Hostnames = []string{name}
		}
		return s
	}
	for _, c := range []struct {
		a, b *site.Site
		want string
	}{
		{one("http", "x.example", "/"), one("http", "X.Example", "/"), "x.example/ on listener http"},
		{one("http", "", "/a"), one("http", "", "/A"), "(default)/a on listener http"},
		{one("http", "x.example", "/"), one("other", "x.example", "/"), ""},
		{one("http", "x.example", "/"), one("http", "", "/"), ""},
		{one("http", "x.example", "/"), one("http", "x.example", "/a"), ""},
	} {
		if got := common(c.a, c.b); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
