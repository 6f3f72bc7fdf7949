package store

import (
	"slices"
	"testing"

	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func observedOn(t *testing.T, sites ...string) *Observed {
	v := &View{
		Hosts: map[string]*Host{"web1": {Message: &typesv1.Host{Name: "web1"}}},
		Sites: placedEverywhere(t, sites...),
	}
	return newObserved(func() *View { return v })
}

func woken(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	default:
		return false
	}
}

func TestOnlyTheCurrentSessionReports(t *testing.T) {
	o := observedOn(t)
	o.Begin("web1", Session{ID: "s1"})
	o.Begin("web1", Session{ID: "s2"})
	if o.SetSiteStatus("web1", "s1", &typesv1.SiteStatus{Site: "shop"}) {
		t.Error("a report of the session before was taken")
	}
	if o.End("web1", "s1") || !o.Host("web1").Connected {
		t.Error("the session before ended the current one")
	}
	changed := o.Changed()
	if !o.SetSiteStatus("web1", "s2", &typesv1.SiteStatus{Site: "shop", Revision: 2}) || !woken(changed) {
		t.Error("a report of the current session was not taken, or woke nobody")
	}
	if got := o.SiteStatus("web1", "shop").GetRevision(); got != 2 {
		t.Errorf("revision %d, want 2", got)
	}
	o.Begin("web1", Session{ID: "s3"})
	if o.SiteStatus("web1", "shop") != nil {
		t.Error("a word of the session before outlived it")
	}
}

func TestTouchWakesNobody(t *testing.T) {
	o := observedOn(t)
	o.Begin("web1", Session{ID: "s1"})
	changed := o.Changed()
	if !o.Touch("web1", "s1", o.Host("web1").LastSeen) || woken(changed) {
		t.Error("a heartbeat was not taken, or woke who waits for changes")
	}
}

func TestTheEndKeepsTheLastWord(t *testing.T) {
	o := observedOn(t, "blog", "shop")
	o.Begin("web1", Session{ID: "s1"})
	o.SetInstances("web1", "s1", true, []*typesv1.InstanceStatus{{Site: "shop", Application: "/", Instance: 1}})
	o.End("web1", "s1")
	host := o.Host("web1")
	if host.Connected || host.Session.ID != "s1" || !slices.Equal(host.Held, []string{"blog", "shop"}) {
		t.Errorf("after the end: %+v", host)
	}
	if len(o.Instances("web1", "shop")) != 1 {
		t.Error("instances were forgotten")
	}
	o.Begin("web1", Session{ID: "s2"})
	if o.Host("web1").Held != nil {
		t.Error("what was held is not for the host to say now")
	}
}

func TestACompleteReportReplaces(t *testing.T) {
	o := observedOn(t)
	o.Begin("web1", Session{ID: "s1"})
	one, two := &typesv1.InstanceStatus{Site: "a", Instance: 1}, &typesv1.InstanceStatus{Site: "a", Instance: 2}
	o.SetInstances("web1", "s1", true, []*typesv1.InstanceStatus{two})
	o.SetInstances("web1", "s1", false, []*typesv1.InstanceStatus{one})
	if got := o.Instances("web1", ""); len(got) != 2 || got[0] != one {
		t.Errorf("after an addition: %v", got)
	}
	o.SetInstances("web1", "s1", true, []*typesv1.InstanceStatus{one})
	if got := o.Instances("web1", ""); len(got) != 1 {
		t.Errorf("after a complete report: %v", got)
	}
}

func TestAHostCannotFillMemory(t *testing.T) {
	o := observedOn(t)
	o.Begin("web1", Session{ID: "s1"})
	for i := range maxStatuses + 5 {
		o.SetInstances("web1", "s1", false, []*typesv1.InstanceStatus{{Site: "a", Instance: uint32(i)}})
	}
	if n := len(o.Instances("web1", "a")); n != maxStatuses {
		t.Errorf("%d instances are remembered, want %d", n, maxStatuses)
	}
}

func TestRefusal(t *testing.T) {
	o := observedOn(t)
	o.Begin("web1", Session{ID: "s1"})
	o.SetManifestResult("web1", "s1", &agentv1.ManifestResult{Refusal: "follows another store", FollowedStoreId: "x"})
	if got := o.Host("web1"); got.Refusal == "" || got.FollowedStoreID != "x" {
		t.Errorf("%+v", got)
	}
	o.SetGeneration("web1", "s1", 7)
	if got := o.Host("web1"); got.Refusal != "" {
		t.Errorf("%q of an older manifest is said of the one sent now", got.Refusal)
	}
	o.SetManifestResult("web1", "s1", &agentv1.ManifestResult{Refusal: "again"})
	o.SetManifestResult("web1", "s1", &agentv1.ManifestResult{})
	if got := o.Host("web1"); got.Refusal != "" {
		t.Errorf("a manifest that was taken left a refusal: %+v", got)
	}
}
