package api_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/controlplane/store"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func TestASiteIsStoredOnce(t *testing.T) {
	l := newLab(t)
	l.host("web1", "web")
	l.host("db1", "db")
	first := l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("shop", "role=web")})
	if !first.Changed || first.Site.GetRevision() != 1 || !slices.Equal(first.Hosts, []string{"web1"}) || first.Site.GetCreateTime() == nil {
		t.Errorf("first: %v", first)
	}
	generation := l.store.View().Revision
	// What an operator got is what they may send back: the output-only fields are not theirs to say.
	again := l.apply(&controlv1.UpdateSiteRequest{Site: first.Site})
	if again.Changed || again.Site.GetRevision() != 1 || l.store.View().Revision != generation {
		t.Errorf("unchanged bytes made a revision: %v", again)
	}
	changed := siteMessage("shop", "all")
	third := l.apply(&controlv1.UpdateSiteRequest{Site: changed, IfRevision: 1})
	if !third.Changed || third.Site.GetRevision() != 2 || len(third.Hosts) != 2 {
		t.Errorf("changed: %v", third)
	}
	if !proto.Equal(third.Site.GetCreateTime(), first.Site.GetCreateTime()) {
		t.Error("an update changed the site's age")
	}
	stored := l.store.View().Sites["shop"]
	if string(stored.Digest) != string(third.Digest) {
		t.Error("the digest that was answered is not that of the stored bytes")
	}
}

func TestUpdateSiteRefuses(t *testing.T) {
	l := newLab(t)
	stored := l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("shop", "all")})
	old := proto.CloneOf(stored.Site)
	l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("shop", "role=web")})
	big := siteMessage("big", "all")
	big.Applications[0].Process = &typesv1.ProcessSpec{Env: []*typesv1.EnvironmentVariable{{Name: "BIG", Value: strings.Repeat("x", 101<<10)}}}
	for _, c := range []struct {
		name    string
		request *controlv1.UpdateSiteRequest
		code    codes.Code
		says    string
	}{
		{"nothing", &controlv1.UpdateSiteRequest{}, codes.InvalidArgument, "missing"},
		{"unknown", &controlv1.UpdateSiteRequest{Site: siteMessage("blog", "all")}, codes.NotFound, "blog"},
		{"unknown at a revision", &controlv1.UpdateSiteRequest{Site: siteMessage("blog", "all"), AllowMissing: true, IfRevision: 1}, codes.Aborted, "revision 0"},
		{"another revision", &controlv1.UpdateSiteRequest{Site: siteMessage("shop", "all"), IfRevision: 1}, codes.Aborted, "revision 2"},
		{"another etag", &controlv1.UpdateSiteRequest{Site: old}, codes.Aborted, "somebody else"},
		{"bad selector", &controlv1.UpdateSiteRequest{Site: siteMessage("blog", "role in"), AllowMissing: true}, codes.InvalidArgument, "selector"},
		{"too big", &controlv1.UpdateSiteRequest{Site: big, AllowMissing: true}, codes.InvalidArgument, "more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := l.sites.UpdateSite(t.Context(), c.request)
			(&lab{T: t}).refused(err, c.code, c.says)
		})
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	l := newLab(t)
	bad := siteMessage("Shop!", "all")
	bad.Bindings = nil
	bad.Applications[0].Root = "relative"
	_, err := l.sites.UpdateSite(t.Context(), &controlv1.UpdateSiteRequest{Site: bad, AllowMissing: true})
	l.refused(err, codes.InvalidArgument)
	if got := fields(err); len(got) < 3 {
		t.Errorf("fields %v", got)
	}
	if len(l.store.View().Sites) != 0 {
		t.Error("something was stored")
	}
}

func TestValidateOnlyStoresNothing(t *testing.T) {
	l := newLab(t)
	l.host("web1", "web")
	answer := l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("shop", "all"), ValidateOnly: true})
	if !answer.Changed || answer.Site.GetRevision() != 1 || len(answer.Hosts) != 1 || len(l.store.View().Sites) != 0 {
		t.Errorf("%v, stored %v", answer, l.store.View().Sites)
	}
}

func TestListSitesInPages(t *testing.T) {
	l := newLab(t)
	for _, name := range []string{"c", "a", "b"} {
		l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage(name, "all")})
	}
	var names []string
	request := &controlv1.ListSitesRequest{PageSize: 2}
	for {
		answer, err := l.sites.ListSites(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range answer.GetSites() {
			names = append(names, s.GetSite().GetName())
		}
		if request.PageToken = answer.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("names %v", names)
	}
	_, err := l.sites.ListSites(t.Context(), &controlv1.ListSitesRequest{PageSize: 1001})
	l.refused(err, codes.InvalidArgument, "page_size")
}

func TestWatchSiteStatus(t *testing.T) {
	l := newLab(t)
	l.host("web1", "web")
	stored := l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("shop", "all")})
	stream, err := l.sites.WatchSiteStatus(t.Context(), &controlv1.WatchSiteStatusRequest{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	until := func(what string, holds func(*controlv1.PlacedHost) bool) {
		t.Helper()
		for {
			message, err := stream.Recv()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if len(message.GetHosts()) == 1 && holds(message.GetHosts()[0]) {
				return
			}
		}
	}
	until("never seen", func(h *controlv1.PlacedHost) bool { return h.State == typesv1.HostState_HOST_STATE_PENDING })
	o := l.store.Observed()
	o.Begin("web1", store.Session{ID: "s1"})
	o.SetSiteStatus("web1", "s1", &typesv1.SiteStatus{Host: "web1", Site: "shop", Digest: stored.Digest, Phase: typesv1.Phase_PHASE_SERVING})
	until("serving", func(h *controlv1.PlacedHost) bool {
		return h.State == typesv1.HostState_HOST_STATE_CONNECTED && h.Status.GetPhase() == typesv1.Phase_PHASE_SERVING
	})
	list, err := l.sites.ListSites(t.Context(), &controlv1.ListSitesRequest{})
	if err != nil || list.GetSites()[0].GetReady() != 1 {
		t.Errorf("ready in the list: %v %v", list, err)
	}
	o.SetManifestResult("web1", "s1", &agentv1.ManifestResult{Refusal: "an older one"}) // says nothing about what is asked now
	o.SetGeneration("web1", "s1", l.store.View().Revision)
	o.SetManifestResult("web1", "s1", &agentv1.ManifestResult{Refusal: "no"})
	until("refusing", func(h *controlv1.PlacedHost) bool { return h.Refusal == "no" })
	o.End("web1", "s1")
	until("gone", func(h *controlv1.PlacedHost) bool { return h.State == typesv1.HostState_HOST_STATE_UNREACHABLE })
	if _, err := l.sites.DeleteSite(t.Context(), &controlv1.DeleteSiteRequest{Name: "shop"}); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	l.refused(err, codes.NotFound, "shop")
}
