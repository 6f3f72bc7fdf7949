// Package assign says what one host should run. It is pure: a view of the store goes in, a manifest and the documents it
// names come out.
package assign

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ancora-fleet/ancora/controlplane/store"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
)

// Assignment is everything a host should run.
type Assignment struct {
	Manifest *agentv1.Manifest
	// Documents are those the manifest names, in its order: notices first, somebody waits for them.
	Documents []*agentv1.Document
}

// Build gives the assignment of a host. applied is the generation of the manifest it applied last, 0 when there is none or
// it came from another store. A host that is not in the view gets an empty assignment.
func Build(view *store.View, host string, applied int64, now time.Time) Assignment {
	m := &agentv1.Manifest{StoreId: view.StoreID, Generation: view.Revision, OperatorConfirmed: view.Confirmed(host, applied)}
	a := Assignment{Manifest: m}
	for _, n := range view.NoticesOn(host) {
		entry := &agentv1.ManifestNotice{Name: n.Name(), Digest: n.Digest}
		if end := n.Message.GetExpireTime(); end != nil {
			// A notice whose end has come is not said to be without one.
			entry.TimeLeft = durationpb.New(max(end.AsTime().Sub(now), time.Millisecond))
		}
		m.Notices = append(m.Notices, entry)
		a.Documents = append(a.Documents, &agentv1.Document{
			Kind: agentv1.DocumentKind_DOCUMENT_KIND_NOTICE, Name: n.Name(), Digest: n.Digest, Content: n.Content,
		})
	}
	for _, s := range view.SitesOn(host) {
		m.Sites = append(m.Sites, &agentv1.ManifestSite{
			Name: s.Name(), Revision: s.Revision, Digest: s.Digest, RecycleEpoch: view.RecycleEpoch(s.Name(), host),
		})
		a.Documents = append(a.Documents, &agentv1.Document{
			Kind: agentv1.DocumentKind_DOCUMENT_KIND_SITE, Name: s.Name(), Revision: s.Revision, Digest: s.Digest, Content: s.Content,
		})
	}
	return a
}

// Same says whether a manifest asks for nothing that the one sent before did not: the generation alone, the time that
// passed and an operator's word that is used up change nothing.
func Same(before, now *agentv1.Manifest) bool {
	if before == nil || now == nil {
		return before == now
	}
	if now.GetOperatorConfirmed() && !before.GetOperatorConfirmed() {
		return false
	}
	return proto.Equal(bare(before), bare(now))
}

func bare(m *agentv1.Manifest) *agentv1.Manifest {
	m = proto.CloneOf(m)
	m.Generation, m.OperatorConfirmed = 0, false
	for _, n := range m.Notices {
		n.TimeLeft = nil
	}
	return m
}
