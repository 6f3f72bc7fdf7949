package agent

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ancora-fleet/ancora/agent/lastgood"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
)

func manifest(store string, generation int64, confirmed bool, sites ...string) *agentv1.Manifest {
	m := &agentv1.Manifest{StoreId: store, Generation: generation, OperatorConfirmed: confirmed}
	for _, s := range sites {
		m.Sites = append(m.Sites, &agentv1.ManifestSite{Name: s, Revision: 1, Digest: []byte(s)})
	}
	return m
}

// Which manifests a host refuses as a whole (D5).
func TestRefusal(t *testing.T) {
	follows := lastgood.Index{StoreID: "A", Generation: 7, Sites: []lastgood.Site{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}}
	for name, c := range map[string]struct {
		index lastgood.Index
		m     *agentv1.Manifest
		says  string // empty: taken
	}{
		"first":                     {lastgood.Index{}, manifest("A", 3, false), ""},
		"newer":                     {follows, manifest("A", 8, false, "a", "b", "c", "d"), ""},
		"the same again":            {follows, manifest("A", 7, false, "a", "b", "c", "d"), ""},
		"older":                     {follows, manifest("A", 6, false, "a", "b", "c", "d"), "generation 6 is older than 7"},
		"older, confirmed":          {follows, manifest("A", 6, true, "a", "b", "c", "d"), "generation 6 is older than 7"},
		"another store":             {follows, manifest("B", 9, false, "a", "b", "c", "d"), "this host follows A"},
		"another store, confirmed":  {follows, manifest("B", 2, true), ""},
		"half of the sites":         {follows, manifest("A", 8, false, "a", "b"), ""},
		"more than half":            {follows, manifest("A", 8, false, "a"), "takes 3 of 4 sites"},
		"more than half, confirmed": {follows, manifest("A", 8, true, "a"), ""},
		"all but other ones":        {follows, manifest("A", 8, false, "e", "f", "g", "h"), "takes 4 of 4 sites"},
		"the only one":              {lastgood.Index{StoreID: "A", Sites: []lastgood.Site{{Name: "a"}}}, manifest("A", 8, false), ""},
	} {
		if got := refusal(&c.index, c.m); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", name, got, c.says)
		}
	}
}

// What was applied last stays with a site that stays; the end of a notice is the host's own deadline.
func TestMerge(t *testing.T) {
	old := &lastgood.Index{StoreID: "A", Generation: 1, Sites: []lastgood.Site{{Name: "a", Digest: "61", Good: "99", GoodRevision: 4}, {Name: "gone", Good: "98"}}}
	m := manifest("A", 2, false, "a", "new")
	m.Notices = []*agentv1.ManifestNotice{{Name: "n-1", Digest: []byte{1}, TimeLeft: durationpb.New(time.Minute)}, {Name: "n-2", Digest: []byte{2}}}
	now := time.Now()
	next := merge(old, m, now)
	if next.Generation != 2 || len(next.Sites) != 2 || next.Sites[0].Good != "99" || next.Sites[0].GoodRevision != 4 || next.Sites[1].Good != "" {
		t.Errorf("%+v", next)
	}
	if !next.Notices[0].End.Equal(now.Add(time.Minute)) || !next.Notices[1].End.IsZero() {
		t.Errorf("%+v", next.Notices)
	}
}
