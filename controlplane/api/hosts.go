package api

import (
	"context"
	"fmt"
	"maps"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/selector"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/dataplane/site"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// maxLabels bounds the labels of a host or token.
const maxLabels = 64

type hosts struct {
	controlv1.UnimplementedHostServiceServer
	services
}

// message is a host with what is observed of it.
func (s *hosts) message(view *store.View, h *store.Host) *typesv1.Host {
	m := proto.CloneOf(h.Message)
	status := s.observed.Host(h.Name())
	m.State = s.hostState(view, h.Name())
	m.AgentVersion = status.Session.AgentVersion
	m.Facts = status.Session.Facts
	m.Generation = status.Generation
	m.Refusal = status.Refusal
	if !status.LastSeen.IsZero() {
		m.LastSeenTime = timestamppb.New(status.LastSeen)
	}
	return m
}

func (s *hosts) GetHost(_ context.Context, request *controlv1.GetHostRequest) (*controlv1.GetHostResponse, error) {
	view := s.store.View()
	h := view.Hosts[request.GetName()]
	if h == nil {
		return nil, notFound("host", request.GetName())
	}
	return &controlv1.GetHostResponse{Host: s.message(view, h), Sites: s.observed.SiteStatuses(h.Name())}, nil
}

func (s *hosts) ListHosts(_ context.Context, request *controlv1.ListHostsRequest) (*controlv1.ListHostsResponse, error) {
	labels, err := selector.Parse(request.GetLabels())
	if err != nil {
		return nil, problem("labels", "%v", err)
	}
	view := s.store.View()
	names, next, err := page(selector.Hosts(view, labels), request.GetPageSize(), request.GetPageToken())
	if err != nil {
		return nil, err
	}
	answer := &controlv1.ListHostsResponse{NextPageToken: next}
	for _, name := range names {
		answer.Hosts = append(answer.Hosts, s.message(view, view.Hosts[name]))
	}
	return answer, nil
}

func (s *hosts) CreateHost(ctx context.Context, request *controlv1.CreateHostRequest) (*controlv1.CreateHostResponse, error) {
	name := request.GetName()
	var problems site.Problems
	if err := site.ValidLabel(name); err != nil {
		problems = append(problems, problem("name", "%v", err)...)
	}
	problems = append(problems, validLabels("labels", request.GetLabels())...)
	if len(problems) > 0 {
		return nil, problems
	}
	now := timestamppb.New(time.Now())
	view, err := s.store.Update(ctx, func(tx *store.Tx) error {
		if tx.View.Hosts[name] != nil {
			return exists("host", name)
		}
		tx.PutHost(&typesv1.Host{Name: name, Labels: request.GetLabels(), CreateTime: now})
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.logger.Info("host created", "host", name)
	return &controlv1.CreateHostResponse{Host: s.message(view, view.Hosts[name])}, nil
}

// validLabels says all that is wrong with labels.
func validLabels(field string, labels map[string]string) site.Problems {
	if len(labels) > maxLabels {
		return problem(field, "are %d, more than %d", len(labels), maxLabels)
	}
	if err := site.ValidLabels(labels); err != nil {
		return problem(field, "%v", err)
	}
	return nil
}

func (s *hosts) UpdateHost(ctx context.Context, request *controlv1.UpdateHostRequest) (*controlv1.UpdateHostResponse, error) {
	name := request.GetName()
	if problems := validLabels("set_labels", request.GetSetLabels()); len(problems) > 0 {
		return nil, problems
	}
	view, err := s.store.Update(ctx, func(tx *store.Tx) error {
		existing := tx.View.Hosts[name]
		if existing == nil {
			return notFound("host", name)
		}
		if etag := request.GetEtag(); etag != "" && etag != existing.Message.GetEtag() {
			return fmt.Errorf("host %q %w", name, store.ErrStale)
		}
		return s.relabel(tx, existing, request)
	})
	if err != nil {
		return nil, err
	}
	h := view.Hosts[name]
	if h == nil {
		return nil, notFound("host", name)
	}
	return &controlv1.UpdateHostResponse{Host: s.message(view, h)}, nil
}

// relabel writes the host's new labels unless the guard stops it.
func (s *hosts) relabel(tx *store.Tx, existing *store.Host, request *controlv1.UpdateHostRequest) error {
	changed := proto.CloneOf(existing.Message)
	if changed.Labels == nil {
		changed.Labels = make(map[string]string)
	}
	maps.Copy(changed.Labels, request.GetSetLabels())
	for _, k := range request.GetRemoveLabels() {
		delete(changed.Labels, k)
	}
	if len(changed.Labels) > maxLabels {
		return problem("set_labels", "the host would have %d labels, more than %d", len(changed.Labels), maxLabels)
	}
	same := maps.Equal(changed.Labels, existing.Labels())
	if same && !request.GetConfirmed() {
		return nil
	}
	g := &guard{services: s.services, view: tx.View, confirmed: request.GetConfirmed()}
	before, after := siteNames(tx.View.SitesOn(existing.Name())), siteNames(tx.View.SitesFor(changed.Labels))
	g.host(tx, existing.Name(), before, after)
	if err := g.err(); err != nil {
		return err
	}
	if !same {
		tx.PutHost(changed)
		tx.GuardPlacement()
	}
	return nil
}

func (s *hosts) DeleteHost(ctx context.Context, request *controlv1.DeleteHostRequest) (*controlv1.DeleteHostResponse, error) {
	name := request.GetName()
	_, err := s.store.Update(ctx, func(tx *store.Tx) error {
		existing := tx.View.Hosts[name]
		if existing == nil {
			return notFound("host", name)
		}
		tx.DeleteHost(existing)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.observed.Forget(name)
	s.logger.Info("host deleted", "host", name)
	return &controlv1.DeleteHostResponse{}, nil
}
