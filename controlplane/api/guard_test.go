package api_test

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/controlplane/store"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
)

// threeSites places a, b and c on web1.
func threeSites(t *testing.T) *lab {
	l := newLab(t)
	l.host("web1", "web")
	for _, name := range []string{"a", "b", "c"} {
		l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage(name, "role=web")})
	}
	return l
}

func (l *lab) label(role string, confirmed bool) error {
	_, err := l.hosts.UpdateHost(l.Context(), &controlv1.UpdateHostRequest{
		Name: "web1", SetLabels: map[string]string{"role": role}, Confirmed: confirmed,
	})
	return err
}

func TestALabelThatEmptiesAHostNeedsAWord(t *testing.T) {
	l := threeSites(t)
	err := l.label("db", false)
	l.refused(err, codes.FailedPrecondition, "web1", "3 of its 3")
	found := false
	for _, detail := range status.Convert(err).Details() {
		failure, ok := detail.(*errdetails.PreconditionFailure)
		found = found || ok && failure.GetViolations()[0].GetSubject() == "hosts/web1"
	}
	if !found {
		t.Error("no detail names the host")
	}
	view := l.store.View()
	if view.Hosts["web1"].Labels()["role"] != "web" || view.Confirmations["web1"] != nil {
		t.Error("something was changed all the same")
	}
	if err := l.label("db", true); err != nil {
		t.Fatal(err)
	}
	view = l.store.View()
	if !view.Confirmed("web1", view.Revision-1) || view.Confirmed("web1", view.Revision) {
		t.Error("the word was not stored for exactly this generation")
	}
}

func TestOneOfManyNeedsNoWord(t *testing.T) {
	l := threeSites(t)
	if _, err := l.sites.DeleteSite(t.Context(), &controlv1.DeleteSiteRequest{Name: "a"}); err != nil {
		t.Error(err)
	}
	if len(l.store.View().Confirmations) != 0 {
		t.Error("a word was stored that nobody was asked for")
	}
}

// A host that is away would see several single deletions as one big one, and refuse it.
func TestAHostThatIsAwayIsCountedFromWhatItHolds(t *testing.T) {
	l := threeSites(t)
	o := l.store.Observed()
	o.Begin("web1", store.Session{ID: "s1"})
	o.End("web1", "s1")
	remove := func(name string, confirmed bool) error {
		_, err := l.sites.DeleteSite(t.Context(), &controlv1.DeleteSiteRequest{Name: name, Confirmed: confirmed})
		return err
	}
	if err := remove("a", false); err != nil {
		t.Fatal(err)
	}
	l.refused(remove("b", false), codes.FailedPrecondition, "web1", "2 of its 3")
	if err := remove("b", true); err != nil {
		t.Fatal(err)
	}
	if !l.store.View().Confirmed("web1", 1) {
		t.Error("the word was not stored")
	}
}

func TestAHostOfAnotherStoreIsTakenOverByWordOnly(t *testing.T) {
	l := threeSites(t)
	o := l.store.Observed()
	o.Begin("web1", store.Session{ID: "s1"})
	o.SetManifestResult("web1", "s1", &agentv1.ManifestResult{Refusal: "follows another store", FollowedStoreId: "other"})
	changed := siteMessage("a", "role=web,tier!=x")
	_, err := l.sites.UpdateSite(t.Context(), &controlv1.UpdateSiteRequest{Site: changed})
	l.refused(err, codes.FailedPrecondition, "web1", "another store")
	// The same bytes again are no change, but the word is given.
	answer := l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("a", "role=web"), Confirmed: true})
	if answer.Changed || !l.store.View().Confirmed("web1", 0) {
		t.Errorf("changed %t, confirmed %t", answer.Changed, l.store.View().Confirmed("web1", 0))
	}
}

func TestAHostThatTookItsManifestIsNotForeign(t *testing.T) {
	l := threeSites(t)
	o := l.store.Observed()
	o.Begin("web1", store.Session{ID: "s1"})
	o.SetManifestResult("web1", "s1", &agentv1.ManifestResult{FollowedStoreId: l.store.View().StoreID})
	l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("a", "role=web,tier!=x")})
}
