package dataplane

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/recycle"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

// Every rule of the site is one of the host; what is not set, and none, are no rules.
func TestRecycleRules(t *testing.T) {
	memory, unlimited, requests, age, idle := int64(5), int64(site.Unlimited), uint32(4_000_000_000), 2*time.Hour, time.Minute
	s := &Server{config: Config{Host: "web1"}}
	w := &site.Site{Name: "shop"}
	part := recycle.Spread("web1", "shop", "/")
	for _, c := range []struct {
		a    site.Application
		want recycle.Rules
	}{
		{site.Application{}, recycle.Rules{}},
		{site.Application{Recycle: site.Recycle{Memory: &unlimited}}, recycle.Rules{}},
		{
			site.Application{Idle: &idle, Recycle: site.Recycle{Memory: &memory, Requests: &requests, Age: &age, Schedule: []string{"03:00", "23:59"}}},
			recycle.Rules{Idle: time.Minute, Memory: 5, Requests: 4_000_000_000, Age: 2 * time.Hour, Schedule: []site.Clock{{Hour: 3}, {Hour: 23, Minute: 59}}},
		},
	} {
		c.a.Path, c.want.Spread = "/", part
		got := s.recycleRules(w, &c.a)
		if diff := cmp.Diff(c.want, got); diff != "" || got.Any() != (c.want.Age > 0) {
			t.Errorf("%v\n%s", got.Any(), diff)
		}
	}
}

// The host that is asked for is web.config's, else the first name of the site that is no pattern, else localhost.
func TestWarmupHost(t *testing.T) {
	plan := &launch.Plan{Warmup: []launch.Warmup{{Target: "/a"}, {Target: "/b", Host: "b.example"}}}
	for _, c := range []struct {
		bindings     []site.Binding
		host, scheme string
	}{
		{nil, "localhost", "http"},
		{[]site.Binding{{Hostnames: []string{"*.shop.example"}}}, "localhost", "http"},
		{[]site.Binding{{Hostnames: []string{"*.shop.example", "shop.example", "www.shop.example"}}}, "shop.example", "http"},
		{[]site.Binding{{TLS: &site.TLS{}}, {Hostnames: []string{"shop.example"}}}, "shop.example", "https"},
	} {
		got := warmup(&site.Site{Bindings: c.bindings}, plan)
		want := supervise.Warmup{Scheme: c.scheme, Requests: []supervise.WarmupRequest{{Target: "/a", Host: c.host}, {Target: "/b", Host: "b.example"}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}
