package assign_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/assign"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/controlplane/store/storetest"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// fleet is two hosts, three sites, three notices, and an operator's word for web1.
func fleet(t *testing.T) *store.View {
	t.Helper()
	s := storetest.New(t)
	update := func(change func(tx *store.Tx)) *store.View {
		view, err := s.Update(t.Context(), func(tx *store.Tx) error { change(tx); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return view
	}
	site := func(tx *store.Tx, name, hosts string) {
		content, err := proto.Marshal(&typesv1.Site{Name: name, Placement: &typesv1.Placement{Hosts: &typesv1.Selector{Expression: hosts}}})
		if err != nil {
			t.Fatal(err)
		}
		tx.PutSite(name, content, now)
	}
	update(func(tx *store.Tx) {
		tx.PutHost(&typesv1.Host{Name: "web1", Labels: map[string]string{"role": "web"}})
		tx.PutHost(&typesv1.Host{Name: "mail1", Labels: map[string]string{"role": "mail"}})
		site(tx, "shop", "role=web")
		site(tx, "blog", "all")
		site(tx, "mail", "role=mail")
	})
	update(func(tx *store.Tx) { site(tx, "shop", "role in (web)") })
	update(func(tx *store.Tx) { tx.Recycle(tx.View.Sites["shop"], "") })
	update(func(tx *store.Tx) { tx.Recycle(tx.View.Sites["shop"], "web1") })
	update(func(tx *store.Tx) { tx.Recycle(tx.View.Sites["shop"], "web1") })
	update(func(tx *store.Tx) { tx.PutNotice(&typesv1.OfflineNotice{Sites: []string{"shop"}}) })
	update(func(tx *store.Tx) {
		tx.PutNotice(&typesv1.OfflineNotice{
			Hosts: &typesv1.Selector{Expression: "role=web"}, ExpireTime: timestamppb.New(now.Add(time.Minute)),
		})
	})
	update(func(tx *store.Tx) {
		tx.PutNotice(&typesv1.OfflineNotice{
			Hosts: &typesv1.Selector{Expression: "role=mail"}, ExpireTime: timestamppb.New(now.Add(-time.Minute)),
		})
	})
	return update(func(tx *store.Tx) { tx.Confirm("web1", []string{"blog", "shop"}) })
}

type site struct {
	Name            string
	Revision, Epoch int64
}

type notice struct {
	Name string
	Left *durationpb.Duration
}

func TestBuild(t *testing.T) {
	view := fleet(t)
	for _, c := range []struct {
		name, host string
		applied    int64
		confirmed  bool
		sites      []site
		notices    []notice
		documents  []string
	}{
		{
			name: "what is placed and meant", host: "web1", confirmed: true,
			sites:     []site{{"blog", 1, 0}, {"shop", 2, 3}},
			notices:   []notice{{"n-1", nil}, {"n-2", durationpb.New(time.Minute)}},
			documents: []string{"n-1", "n-2", "blog", "shop"},
		},
		{
			name: "a word is used up", host: "web1", applied: view.Confirmations["web1"].Revision,
			sites:     []site{{"blog", 1, 0}, {"shop", 2, 3}},
			notices:   []notice{{"n-1", nil}, {"n-2", durationpb.New(time.Minute)}},
			documents: []string{"n-1", "n-2", "blog", "shop"},
		},
		{
			name: "an end that has come is an end", host: "mail1",
			sites:     []site{{"blog", 1, 0}, {"mail", 1, 0}},
			notices:   []notice{{"n-1", nil}, {"n-3", durationpb.New(time.Millisecond)}},
			documents: []string{"n-1", "n-3", "blog", "mail"},
		},
		{name: "no such host", host: "web9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := assign.Build(view, c.host, c.applied, now)
			m := a.Manifest
			if m.GetStoreId() != view.StoreID || m.GetGeneration() != view.Revision || m.GetOperatorConfirmed() != c.confirmed {
				t.Errorf("store %s, generation %d of %d, confirmed %v", m.GetStoreId(), m.GetGeneration(), view.Revision, m.GetOperatorConfirmed())
			}
			digests := map[string]string{}
			var sites []site
			for _, s := range m.GetSites() {
				sites = append(sites, site{s.GetName(), s.GetRevision(), s.GetRecycleEpoch()})
				digests[s.GetName()] = string(s.GetDigest())
			}
			var notices []notice
			for _, n := range m.GetNotices() {
				notices = append(notices, notice{n.GetName(), n.GetTimeLeft()})
				digests[n.GetName()] = string(n.GetDigest())
			}
			var documents []string
			for _, d := range a.Documents {
				documents = append(documents, d.GetName())
				if sum := sha256.Sum256(d.GetContent()); string(sum[:]) != digests[d.GetName()] || digests[d.GetName()] != string(d.GetDigest()) {
					t.Errorf("%s: content, manifest and document have different digests", d.GetName())
				}
			}
			equal := cmp.Comparer(func(a, b *durationpb.Duration) bool { return proto.Equal(a, b) })
			if diff := cmp.Diff(c.sites, sites) + cmp.Diff(c.notices, notices, equal) + cmp.Diff(c.documents, documents); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSame(t *testing.T) {
	base := func(change func(*agentv1.Manifest)) *agentv1.Manifest {
		m := &agentv1.Manifest{
			StoreId: "s", Generation: 1,
			Sites:   []*agentv1.ManifestSite{{Name: "shop", Revision: 1, Digest: []byte("1")}},
			Notices: []*agentv1.ManifestNotice{{Name: "n-1", Digest: []byte("2"), TimeLeft: durationpb.New(time.Minute)}},
		}
		change(m)
		return m
	}
	plain := base(func(*agentv1.Manifest) {})
	confirmed := base(func(m *agentv1.Manifest) { m.OperatorConfirmed = true })
	for _, c := range []struct {
		name   string
		before *agentv1.Manifest
		now    *agentv1.Manifest
		same   bool
	}{
		{"the first", nil, plain, false},
		{"nothing has changed", plain, base(func(*agentv1.Manifest) {}), true},
		{"another generation", plain, base(func(m *agentv1.Manifest) { m.Generation = 2 }), true},
		{"time has passed", plain, base(func(m *agentv1.Manifest) { m.Notices[0].TimeLeft = durationpb.New(time.Second) }), true},
		{"a word is given", plain, confirmed, false},
		{"a word is used up", confirmed, plain, true},
		{"another revision", plain, base(func(m *agentv1.Manifest) { m.Sites[0].Revision = 2 }), false},
		{"recycled", plain, base(func(m *agentv1.Manifest) { m.Sites[0].RecycleEpoch = 1 }), false},
		{"a site less", plain, base(func(m *agentv1.Manifest) { m.Sites = nil }), false},
		{"a notice less", plain, base(func(m *agentv1.Manifest) { m.Notices = nil }), false},
		{"another store", plain, base(func(m *agentv1.Manifest) { m.StoreId = "t" }), false},
	} {
		if same := assign.Same(c.before, c.now); same != c.same {
			t.Errorf("%s: same is %v", c.name, same)
		}
	}
}
