package agent

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ancora-fleet/ancora/agent/lastgood"
	"github.com/ancora-fleet/ancora/dataplane"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func sites(n int) []lastgood.Site {
	var all []lastgood.Site
	for i := range n {
		all = append(all, lastgood.Site{Name: fmt.Sprintf("s%d", i)})
	}
	return all
}

// A manifest is refused when it is older, of another store, or empties the host; unless an operator confirmed it.
func TestRefusal(t *testing.T) {
	for name, c := range map[string]struct {
		store      string
		generation int64
		has        int
		stays, new int
		confirmed  bool
		want       string
	}{
		"the same again":                  {"a", 10, 3, 3, 0, false, ""},
		"a newer one":                     {"a", 11, 3, 3, 2, false, ""},
		"an older one":                    {"a", 9, 3, 3, 0, false, "generation 9 is older than 10"},
		"an older one, confirmed":         {"a", 9, 3, 3, 0, true, ""},
		"another store":                   {"b", 99, 3, 3, 0, false, "it comes from store b, this host follows a"},
		"another store, lower":            {"b", 1, 3, 3, 0, false, "it comes from store b, this host follows a"},
		"another store, confirmed, lower": {"b", 1, 3, 0, 0, true, ""},
		"one of one goes":                 {"a", 11, 1, 0, 0, false, ""},
		"one of two goes":                 {"a", 11, 2, 1, 0, false, ""},
		"two of two go":                   {"a", 11, 2, 0, 0, false, "it takes 2 of 2 sites off this host"},
		"two of three go":                 {"a", 11, 3, 1, 0, false, "it takes 2 of 3 sites off this host"},
		"two of three go for new ones":    {"a", 11, 3, 1, 5, false, "it takes 2 of 3 sites off this host"},
		"two of three go, confirmed":      {"a", 11, 3, 1, 0, true, ""},
		"all go for other ones":           {"a", 11, 4, 0, 4, false, "it takes 4 of 4 sites off this host"},
		"two of four go":                  {"a", 11, 4, 2, 0, false, ""},
		"three of four go":                {"a", 11, 4, 1, 0, false, "it takes 3 of 4 sites off this host"},
		"three of five go":                {"a", 11, 5, 2, 0, false, "it takes 3 of 5 sites off this host"},
	} {
		t.Run(name, func(t *testing.T) {
			index := &lastgood.Index{StoreID: "a", Generation: 10, Sites: sites(c.has)}
			m := &agentv1.Manifest{StoreId: c.store, Generation: c.generation, OperatorConfirmed: c.confirmed}
			for _, s := range index.Sites[:c.stays] {
				m.Sites = append(m.Sites, &agentv1.ManifestSite{Name: s.Name})
			}
			for i := range c.new {
				m.Sites = append(m.Sites, &agentv1.ManifestSite{Name: fmt.Sprintf("new%d", i)})
			}
			got := refusal(index, m)
			if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
				t.Errorf("%q, not %q", got, c.want)
			}
		})
	}
	if got := refusal(&lastgood.Index{}, &agentv1.Manifest{StoreId: "b", Generation: 1}); got != "" {
		t.Errorf("the first contact: %q", got)
	}
}

// What was applied last of a site that stays is remembered; a notice gets this host's own deadline.
func TestMerge(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	old := &lastgood.Index{StoreID: "a", Generation: 1, Sites: []lastgood.Site{
		{Name: "stays", Revision: 1, Digest: "01", Good: "01", GoodRevision: 1},
		{Name: "goes", Revision: 1, Digest: "01", Good: "01", GoodRevision: 1},
	}, Notices: []lastgood.Notice{{Name: "old"}}}
	got := merge(old, &agentv1.Manifest{
		StoreId: "b", Generation: 2,
		Sites: []*agentv1.ManifestSite{
			{Name: "stays", Revision: 2, Digest: []byte{2}, RecycleEpoch: 4}, {Name: "new", Revision: 1, Digest: []byte{3}},
		},
		Notices: []*agentv1.ManifestNotice{
			{Name: "ends", Digest: []byte{9}, TimeLeft: durationpb.New(time.Minute)}, {Name: "stands", Digest: []byte{8}},
		},
	}, now)
	want := lastgood.Index{
		StoreID: "b", Generation: 2,
		Sites: []lastgood.Site{
			{Name: "stays", Revision: 2, Digest: "02", Epoch: 4, Good: "01", GoodRevision: 1}, {Name: "new", Revision: 1, Digest: "03"},
		},
		Notices: []lastgood.Notice{{Name: "ends", Digest: "09", End: now.Add(time.Minute)}, {Name: "stands", Digest: "08"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A site answers for the digest that is wanted now: a status of another digest is not taken for it.
func TestSiteMessages(t *testing.T) {
	shot := dataplane.Snapshot{Sites: []dataplane.SiteStatus{
		{Site: "same", Revision: 2, Digest: []byte{2}, Phase: dataplane.Failed, Reason: "does not start", ServingRevision: 1},
		{Site: "older", Revision: 1, Digest: []byte{1}, Phase: dataplane.Serving, ServingRevision: 1},
		{Site: "unusable", Revision: 1, Digest: []byte{1}, Phase: dataplane.Serving, ServingRevision: 1},
	}}
	var wanted []lastgood.Site
	for _, name := range []string{"same", "older", "unusable", "unseen"} {
		wanted = append(wanted, lastgood.Site{Name: name, Revision: 2, Digest: hex.EncodeToString([]byte{2})})
	}
	var got []string
	for _, m := range siteMessages(shot, wanted, map[string]string{"unusable": "has an unknown field"}) {
		if m.GetRevision() != 2 || len(m.GetDigest()) != 1 || m.GetDigest()[0] != 2 {
			t.Errorf("%v answers for another revision", m)
		}
		got = append(got, fmt.Sprintf("%s %s %q %d", m.GetSite(), strings.TrimPrefix(m.GetPhase().String(), "PHASE_"), m.GetReason(), m.GetServingRevision()))
	}
	want := []string{`same FAILED "does not start" 1`, `older ACCEPTED "" 1`, `unusable REJECTED "has an unknown field" 1`, `unseen ACCEPTED "" 0`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Notices answer for themselves; one that cannot be used is FAILED, one that is not seen yet PENDING.
func TestNoticeMessages(t *testing.T) {
	shot := dataplane.Snapshot{}
	var wanted []lastgood.Notice
	for _, state := range []dataplane.NoticeState{dataplane.NoticePending, dataplane.NoticeApplied, dataplane.NoticeNothingToDo, dataplane.NoticeFailed, dataplane.NoticeExpired} {
		shot.Notices = append(shot.Notices, dataplane.NoticeStatus{Notice: string(state), State: state})
		wanted = append(wanted, lastgood.Notice{Name: string(state), Digest: "01"})
	}
	wanted = append(wanted, lastgood.Notice{Name: "UNSEEN"}, lastgood.Notice{Name: "BAD"})
	states := map[string]string{"UNSEEN": "PENDING", "BAD": "FAILED"}
	for _, m := range noticeMessages(shot, wanted, map[string]string{"BAD": "has an unknown field"}) {
		want := states[m.GetNotice()]
		if want == "" {
			want = m.GetNotice()
		}
		if got := strings.TrimPrefix(m.GetState().String(), "NOTICE_STATE_"); got != want {
			t.Errorf("%s: %s", m.GetNotice(), got)
		}
	}
}

// Every phase of the data plane has its word on the wire.
func TestPhases(t *testing.T) {
	for _, p := range []dataplane.Phase{dataplane.Accepted, dataplane.Starting, dataplane.Serving, dataplane.Idle, dataplane.Failed, dataplane.Rejected} {
		if got := strings.TrimPrefix(phase(p).String(), "PHASE_"); got != string(p) {
			t.Errorf("%s: %s", p, got)
		}
	}
	if got := phase("new"); got != typesv1.Phase_PHASE_UNSPECIFIED {
		t.Errorf("%v", got)
	}
}

// The port that a listener got by 0 stays its own over restarts, also with another address; one with a port in the policy
// has that.
func TestPorts(t *testing.T) {
	dir, log := t.TempDir(), hclog.NewNullLogger()
	open := func() *ports {
		t.Helper()
		p, err := openPorts(dir, log)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open()
	asked := map[string]string{"http": "127.0.0.1:0", "fixed": ":8080", "broken": ":0"}
	if diff := cmp.Diff(asked, p.settle(asked)); diff != "" {
		t.Errorf("the first time: %s", diff)
	}
	p.keep([]dataplane.Listener{{Name: "http", Address: "127.0.0.1:40001"}, {Name: "fixed", Address: "[::]:8080"}, {Name: "broken", Error: "in use"}}, log)
	p = open()
	want := map[string]string{"http": "127.0.0.1:40001", "fixed": ":8080", "broken": ":0"}
	if diff := cmp.Diff(want, p.settle(asked)); diff != "" {
		t.Errorf("after a restart: %s", diff)
	}
	want = map[string]string{"http": "127.0.0.2:40001", "fixed": ":0"}
	if diff := cmp.Diff(want, p.settle(map[string]string{"http": "127.0.0.2:0", "fixed": ":0"})); diff != "" {
		t.Errorf("another policy: %s", diff)
	}
	for _, damage := range []string{"", "{", "null", "[]"} {
		if err := os.WriteFile(filepath.Join(dir, "listeners.json"), []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		p = open()
		if diff := cmp.Diff(asked, p.settle(asked)); diff != "" {
			t.Errorf("damaged to %q: %s", damage, diff)
		}
		p.keep([]dataplane.Listener{{Name: "http", Address: "127.0.0.1:40002"}}, log)
		if got := open().settle(asked)["http"]; got != "127.0.0.1:40002" {
			t.Errorf("damaged to %q, mended: %s", damage, got)
		}
	}
}
