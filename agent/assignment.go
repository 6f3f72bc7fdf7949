package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/agent/lastgood"
	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/offline"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// assignments is what the controller wants of this host, on disk and applied.
type assignments struct {
	store  *lastgood.Store
	server *dataplane.Server
	log    hclog.Logger

	mu    sync.Mutex
	index lastgood.Index
	// unusable says of wanted sites and notices why they cannot be handed to the data plane.
	unusableSites, unusableNotices map[string]string
}

func newAssignments(store *lastgood.Store, server *dataplane.Server, log hclog.Logger) (*assignments, error) {
	index, err := store.Load()
	if err != nil {
		return nil, err
	}
	return &assignments{store: store, server: server, log: log, index: index}, nil
}

// restore applies what is on disk.
func (a *assignments) restore() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.apply()
}

// Held says which manifest was taken last and which documents are on disk, whole.
func (a *assignments) Held() (storeID string, generation int64, held []*agentv1.HeldDocument) {
	a.mu.Lock()
	defer a.mu.Unlock()
	add := func(name, digest string) {
		if _, err := a.store.Get(digest); err == nil {
			sum, _ := hex.DecodeString(digest)
			held = append(held, &agentv1.HeldDocument{Name: name, Digest: sum})
		}
	}
	for _, s := range a.index.Sites {
		add(s.Name, s.Digest)
	}
	for _, n := range a.index.Notices {
		add(n.Name, n.Digest)
	}
	return a.index.StoreID, a.index.Generation, held
}

// Document keeps a document. One that this version does not understand is kept as well: the site or notice that needs it
// says why it cannot be used, after a restart too, and a later version may.
func (a *assignments) Document(d *agentv1.Document) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := sha256.Sum256(d.GetContent())
	if !bytes.Equal(sum[:], d.GetDigest()) {
		return errors.New("its content is not what its digest says")
	}
	return a.store.Put(hex.EncodeToString(sum[:]), d.GetContent())
}

func siteOf(content []byte) (*site.Site, error) {
	m, err := wire.ParseDocument(content)
	if err != nil {
		return nil, err
	}
	s, err := wire.Site(m)
	if err != nil {
		return nil, err
	}
	if problems := s.Validate(); problems != nil {
		return nil, problems
	}
	return s, nil
}

// Manifest takes what the host should run, or says why it does not: then nothing is changed.
func (a *assignments) Manifest(m *agentv1.Manifest) *agentv1.ManifestResult {
	a.mu.Lock()
	defer a.mu.Unlock()
	result := &agentv1.ManifestResult{StoreId: m.GetStoreId(), Generation: m.GetGeneration(), FollowedStoreId: a.index.StoreID}
	if result.Refusal = refusal(&a.index, m); result.Refusal != "" {
		return result
	}
	next := merge(&a.index, m, time.Now())
	// On disk first: what is acknowledged survives.
	if err := a.store.Save(next); err != nil {
		result.Refusal = "it cannot be kept on disk: " + err.Error()
		return result
	}
	if err := a.store.Sweep(next); err != nil {
		a.log.Warn("old documents not removed", "error", err)
	}
	a.index = next
	result.FollowedStoreId = next.StoreID
	a.apply()
	return result
}

// refusal says why a manifest is not taken (D5); empty: it is.
func refusal(index *lastgood.Index, m *agentv1.Manifest) string {
	if m.GetOperatorConfirmed() {
		return "" // also an older one: a store that was restored counts on from its backup
	}
	same := index.StoreID == "" || index.StoreID == m.GetStoreId()
	if same && m.GetGeneration() < index.Generation {
		return fmt.Sprintf("generation %d is older than %d, which this host has", m.GetGeneration(), index.Generation)
	}
	if !same {
		return fmt.Sprintf("it comes from store %s, this host follows %s: a controller whose store was lost or restored must not stop a fleet; apply with --yes what this host should run", m.GetStoreId(), index.StoreID)
	}
	stays := map[string]bool{}
	for _, s := range m.GetSites() {
		stays[s.GetName()] = true
	}
	lost := 0
	for _, s := range index.Sites {
		if !stays[s.Name] {
			lost++
		}
	}
	if lost > 1 && 2*lost > len(index.Sites) {
		return fmt.Sprintf("it takes %d of %d sites off this host, and no operator has confirmed that", lost, len(index.Sites))
	}
	return ""
}

// merge makes the new index; what was applied last of a site that stays is remembered.
func merge(old *lastgood.Index, m *agentv1.Manifest, now time.Time) lastgood.Index {
	next := lastgood.Index{StoreID: m.GetStoreId(), Generation: m.GetGeneration()}
	good := map[string]lastgood.Site{}
	for _, s := range old.Sites {
		good[s.Name] = s
	}
	for _, s := range m.GetSites() {
		next.Sites = append(next.Sites, lastgood.Site{
			Name: s.GetName(), Revision: s.GetRevision(), Digest: hex.EncodeToString(s.GetDigest()), Epoch: s.GetRecycleEpoch(),
			Good: good[s.GetName()].Good, GoodRevision: good[s.GetName()].GoodRevision,
		})
	}
	for _, n := range m.GetNotices() {
		kept := lastgood.Notice{Name: n.GetName(), Digest: hex.EncodeToString(n.GetDigest())}
		if left := n.GetTimeLeft(); left != nil {
			kept.End = now.Add(left.AsDuration())
		}
		next.Notices = append(next.Notices, kept)
	}
	return next
}

// apply hands the index to the data plane. What cannot be read is told of its site alone, whose last good one goes on.
func (a *assignments) apply() {
	a.unusableSites, a.unusableNotices = map[string]string{}, map[string]string{}
	var desired dataplane.Desired
	for _, s := range a.index.Sites {
		wanted, err := a.site(s.Digest)
		good, _ := a.site(s.Good)
		d := dataplane.DesiredSite{Site: wanted, Revision: s.Revision, RecycleEpoch: s.Epoch, LastGood: good, LastGoodRevision: s.GoodRevision}
		d.Digest, _ = hex.DecodeString(s.Digest)
		if err != nil {
			a.unusableSites[s.Name] = err.Error()
			d.Site, d.Revision = good, s.GoodRevision
			d.Digest, _ = hex.DecodeString(s.Good)
		}
		if d.Site != nil {
			desired.Sites = append(desired.Sites, d)
		}
	}
	for _, n := range a.index.Notices {
		notice, err := a.notice(n)
		if err != nil {
			a.unusableNotices[n.Name] = err.Error()
			continue
		}
		desired.Notices = append(desired.Notices, notice)
	}
	a.server.Apply(desired)
}

func (a *assignments) site(digest string) (*site.Site, error) {
	content, err := a.store.Get(digest)
	if err != nil {
		return nil, errors.New("its document is not here")
	}
	return siteOf(content)
}

func (a *assignments) notice(n lastgood.Notice) (offline.Notice, error) {
	content, err := a.store.Get(n.Digest)
	if err != nil {
		return offline.Notice{}, errors.New("its document is not here")
	}
	m, err := wire.ParseNoticeDocument(content)
	if err != nil {
		return offline.Notice{}, err
	}
	sum, _ := hex.DecodeString(n.Digest)
	return offline.Notice{
		Name: n.Name, Sites: m.GetSites(), Page: m.GetPageHtml(), Message: m.GetMessage(), RetryAfter: m.GetRetryAfter().AsDuration(),
		CreateTime: m.GetCreateTime().AsTime(), ExpireTime: n.End, Digest: sum,
	}, nil
}

// applied remembers what the data plane really runs, so that a rejected revision is survived across a restart.
func (a *assignments) applied(shot dataplane.Snapshot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	running := map[string]dataplane.SiteStatus{}
	for _, s := range shot.Sites {
		if s.Phase != dataplane.Rejected && s.Phase != dataplane.Accepted {
			running[s.Site] = s
		}
	}
	changed := false
	for i := range a.index.Sites {
		s := &a.index.Sites[i]
		r, ok := running[s.Name]
		if ok && hex.EncodeToString(r.Digest) == s.Digest && s.Good != s.Digest {
			s.Good, s.GoodRevision = s.Digest, s.Revision
			changed = true
		}
	}
	if changed {
		if err := a.store.Save(a.index); err != nil {
			a.log.Error("what was applied is not kept", "error", err)
		}
	}
}

// statuses are the answers for each site and notice of the manifest.
func (a *assignments) statuses(shot dataplane.Snapshot) ([]*typesv1.SiteStatus, []*typesv1.NoticeStatus) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return siteMessages(shot, a.index.Sites, a.unusableSites), noticeMessages(shot, a.index.Notices, a.unusableNotices)
}
