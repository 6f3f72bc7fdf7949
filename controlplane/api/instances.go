package api

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/controlplane/selector"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/dataplane/site"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
)

type instances struct {
	controlv1.UnimplementedInstanceServiceServer
	services
}

func (s *instances) ListInstances(_ context.Context, request *controlv1.ListInstancesRequest) (*controlv1.ListInstancesResponse, error) {
	among, err := selector.Parse(request.GetHosts())
	if err != nil {
		return nil, problem("hosts", "%v", err)
	}
	return s.list(s.store.View(), request.GetSite(), among)
}

// list gives what hosts said last; hosts in question whose word may be old are named beside.
func (s *instances) list(view *store.View, name string, among site.Selector) (*controlv1.ListInstancesResponse, error) {
	if name != "" && view.Sites[name] == nil {
		return nil, notFound("site", name)
	}
	answer := &controlv1.ListInstancesResponse{}
	for _, h := range view.HostsWith(among) {
		answer.Instances = append(answer.Instances, s.observed.Instances(h.Name(), name)...)
		asked := name == "" || view.Sites[name].Placement.Matches(h.Labels())
		if asked && !s.observed.Host(h.Name()).Connected {
			answer.UnreachableHosts = append(answer.UnreachableHosts, h.Name())
		}
	}
	return answer, nil
}

func (s *instances) WatchInstances(request *controlv1.WatchInstancesRequest, stream controlv1.InstanceService_WatchInstancesServer) error {
	among, err := selector.Parse(request.GetHosts())
	if err != nil {
		return problem("hosts", "%v", err)
	}
	var last *controlv1.WatchInstancesResponse
	return s.watch(stream.Context(), func(view *store.View) (bool, error) {
		list, err := s.list(view, request.GetSite(), among)
		if err != nil {
			return false, err
		}
		answer := &controlv1.WatchInstancesResponse{Instances: list.Instances, UnreachableHosts: list.UnreachableHosts}
		if last != nil && proto.Equal(last, answer) {
			return false, nil
		}
		last = answer
		return false, stream.Send(answer)
	})
}

// RecycleInstances raises epochs: of the site everywhere, or of the site on each host a selector means.
func (s *instances) RecycleInstances(ctx context.Context, request *controlv1.RecycleInstancesRequest) (*controlv1.RecycleInstancesResponse, error) {
	among, err := selector.Parse(request.GetHosts())
	if err != nil {
		return nil, problem("hosts", "%v", err)
	}
	name := request.GetSite()
	var hosts []string
	_, err = s.store.Update(ctx, func(tx *store.Tx) error {
		of := tx.View.Sites[name]
		if of == nil {
			return notFound("site", name)
		}
		hosts = selector.Placed(tx.View, of, among)
		if request.GetHosts() == nil {
			tx.Recycle(of, "")
			return nil
		}
		if len(hosts) == 0 {
			return problem("hosts", "matches no host that site %q is placed on", name)
		}
		for _, host := range hosts {
			tx.Recycle(of, host)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.logger.Info("instances are recycled", "site", name, "hosts", len(hosts))
	return &controlv1.RecycleInstancesResponse{Hosts: hosts}, nil
}
