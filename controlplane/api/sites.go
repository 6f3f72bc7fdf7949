package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/selector"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// maxDocument bounds a site's stored bytes: etcd is for many small values.
const maxDocument = 100 << 10

type sites struct {
	controlv1.UnimplementedSiteServiceServer
	services
}

func (s *sites) GetSite(_ context.Context, request *controlv1.GetSiteRequest) (*controlv1.GetSiteResponse, error) {
	found := s.store.View().Sites[request.GetName()]
	if found == nil {
		return nil, notFound("site", request.GetName())
	}
	return &controlv1.GetSiteResponse{Site: found.Message}, nil
}

func (s *sites) ListSites(_ context.Context, request *controlv1.ListSitesRequest) (*controlv1.ListSitesResponse, error) {
	labels, err := selector.Parse(request.GetLabels())
	if err != nil {
		return nil, problem("labels", "%v", err)
	}
	view := s.store.View()
	var names []string
	for name, site := range view.Sites {
		if labels.Matches(site.Message.GetLabels()) {
			names = append(names, name)
		}
	}
	names, next, err := page(names, request.GetPageSize(), request.GetPageToken())
	if err != nil {
		return nil, err
	}
	answer := &controlv1.ListSitesResponse{NextPageToken: next}
	for _, name := range names {
		answer.Sites = append(answer.Sites, s.overview(view, view.Sites[name]))
	}
	return answer, nil
}

// overview is a site and what its hosts say of it.
func (s *sites) overview(view *store.View, of *store.Site) *controlv1.SiteOverview {
	overview := &controlv1.SiteOverview{Site: of.Message}
	for _, h := range view.HostsWith(of.Placement) {
		overview.Hosts++
		status := s.observed.SiteStatus(h.Name(), of.Name())
		if status == nil {
			continue
		}
		overview.Statuses = append(overview.Statuses, status)
		switch status.GetPhase() {
		case typesv1.Phase_PHASE_SERVING, typesv1.Phase_PHASE_IDLE:
			if bytes.Equal(status.GetDigest(), of.Digest) {
				overview.Ready++
			}
		}
	}
	return overview
}

func (s *sites) UpdateSite(ctx context.Context, request *controlv1.UpdateSiteRequest) (*controlv1.UpdateSiteResponse, error) {
	wanted, placement, err := validSite(request.GetSite())
	if err != nil {
		return nil, err
	}
	u := &siteUpdate{sites: s, request: request, wanted: wanted, placement: placement, now: time.Now()}
	if request.GetValidateOnly() {
		tx := &store.Tx{View: s.store.View()}
		if err := u.change(tx); err != nil {
			return nil, err
		}
		return u.answer(tx.View), nil
	}
	view, err := s.store.Update(ctx, u.change)
	if err != nil {
		return nil, err
	}
	answer := u.answer(view)
	if answer.Changed {
		s.logger.Info("site changed", "site", wanted.GetName(), "revision", answer.GetSite().GetRevision())
	}
	return answer, nil
}

// validSite checks what an operator sent with the code that agents run, and strips what is not theirs to say.
func validSite(sent *typesv1.Site) (*typesv1.Site, site.Selector, error) {
	if sent == nil {
		return nil, site.Selector{}, problem("site", "is missing")
	}
	wanted := proto.CloneOf(sent)
	wanted.CreateTime, wanted.Revision, wanted.Etag, wanted.UpdateTime = nil, 0, "", nil
	model, err := wire.Site(wanted)
	if err != nil {
		var problems site.Problems
		if errors.As(err, &problems) {
			return nil, site.Selector{}, problems
		}
		return nil, site.Selector{}, problem("site", "%v", err)
	}
	if problems := model.Validate(); len(problems) > 0 {
		return nil, site.Selector{}, problems
	}
	placement, err := site.ParseSelector(wanted.GetPlacement().GetHosts().GetExpression())
	if err != nil {
		return nil, site.Selector{}, problem("placement.hosts", "%v", err)
	}
	return wanted, placement, nil
}

// siteUpdate is one UpdateSite while its change is computed.
type siteUpdate struct {
	*sites
	request   *controlv1.UpdateSiteRequest
	wanted    *typesv1.Site
	placement site.Selector
	now       time.Time

	content, digest []byte
	changed         bool
	revision        int64
}

// change computes the writes; it sets what answer needs.
func (u *siteUpdate) change(tx *store.Tx) error {
	name := u.wanted.GetName()
	existing := tx.View.Sites[name]
	if existing == nil && !u.request.GetAllowMissing() {
		return notFound("site", name)
	}
	if err := current("site", name, existing, u.request.GetIfRevision(), u.request.GetSite().GetEtag()); err != nil {
		return err
	}
	u.wanted.CreateTime = timestamppb.New(u.now)
	if existing != nil {
		u.wanted.CreateTime = existing.Message.GetCreateTime()
	}
	content, digest, err := wire.Document(u.wanted)
	if err != nil {
		return problem("site", "%v", err)
	}
	u.content, u.digest = content, digest
	if len(u.content) > maxDocument {
		return problem("site", "takes %d bytes, more than %d", len(u.content), maxDocument)
	}
	u.changed = existing == nil || !bytes.Equal(existing.Content, u.content)
	g := &guard{services: u.services, view: tx.View, confirmed: u.request.GetConfirmed()}
	if u.changed || g.confirmed {
		g.site(tx, name, func(h *store.Host) bool { return u.placement.Matches(h.Labels()) })
	}
	if err := g.err(); err != nil {
		return err
	}
	if u.changed {
		u.revision = tx.PutSite(name, u.content, u.now)
		tx.GuardPlacement()
	}
	return nil
}

// current refuses a change that was made for another revision.
func current(kind, name string, existing *store.Site, revision int64, etag string) error {
	var have int64
	var haveEtag string
	if existing != nil {
		have, haveEtag = existing.Revision, existing.Message.GetEtag()
	}
	if revision > 0 && revision != have {
		return fmt.Errorf("%s %q %w: it is at revision %d, not %d", kind, name, store.ErrStale, have, revision)
	}
	if etag != "" && etag != haveEtag {
		return fmt.Errorf("%s %q %w", kind, name, store.ErrStale)
	}
	return nil
}

// answer says what is stored now, or would be.
func (u *siteUpdate) answer(view *store.View) *controlv1.UpdateSiteResponse {
	answer := &controlv1.UpdateSiteResponse{
		Digest:  u.digest,
		Changed: u.changed,
		Hosts:   selector.Hosts(view, u.placement),
	}
	if stored := view.Sites[u.wanted.GetName()]; stored != nil && bytes.Equal(stored.Content, u.content) {
		answer.Site = stored.Message
		return answer
	}
	answer.Site = proto.CloneOf(u.wanted)
	answer.Site.Revision = u.revision
	return answer
}

func (s *sites) DeleteSite(ctx context.Context, request *controlv1.DeleteSiteRequest) (*controlv1.DeleteSiteResponse, error) {
	name := request.GetName()
	_, err := s.store.Update(ctx, func(tx *store.Tx) error {
		existing := tx.View.Sites[name]
		if existing == nil {
			return notFound("site", name)
		}
		if err := current("site", name, existing, request.GetIfRevision(), ""); err != nil {
			return err
		}
		g := &guard{services: s.services, view: tx.View, confirmed: request.GetConfirmed()}
		g.site(tx, name, func(*store.Host) bool { return false })
		if err := g.err(); err != nil {
			return err
		}
		tx.DeleteSite(existing)
		tx.GuardPlacement()
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.logger.Info("site deleted", "site", name)
	return &controlv1.DeleteSiteResponse{}, nil
}

func (s *sites) WatchSiteStatus(request *controlv1.WatchSiteStatusRequest, stream controlv1.SiteService_WatchSiteStatusServer) error {
	var last *controlv1.WatchSiteStatusResponse
	return s.watch(stream.Context(), func(view *store.View) (bool, error) {
		of := view.Sites[request.GetName()]
		if of == nil {
			return false, notFound("site", request.GetName())
		}
		answer := &controlv1.WatchSiteStatusResponse{Site: of.Message, Digest: of.Digest, Hosts: s.placed(view, of)}
		if last != nil && proto.Equal(last, answer) {
			return false, nil
		}
		last = answer
		return false, stream.Send(answer)
	})
}

// placed is where every host stands that a site is meant for.
func (s *sites) placed(view *store.View, of *store.Site) []*controlv1.PlacedHost {
	var placed []*controlv1.PlacedHost
	for _, h := range view.HostsWith(of.Placement) {
		p := &controlv1.PlacedHost{
			Host:   h.Name(),
			State:  s.hostState(view, h.Name()),
			Status: s.observed.SiteStatus(h.Name(), of.Name()),
		}
		// A refusal of an older manifest says nothing about what is asked now.
		if status := s.observed.Host(h.Name()); status.Generation >= view.Asked(of.Name(), h.Name()) {
			p.Refusal = status.Refusal
		}
		placed = append(placed, p)
	}
	return placed
}
