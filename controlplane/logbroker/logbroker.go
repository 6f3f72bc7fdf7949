// Package logbroker joins operators who ask for logs with the hosts that have them. It stores nothing: an operator who does
// not read holds up only the hosts' own sending, never another operator and never an application.
package logbroker

import (
	"context"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/controlplane/dispatch"
	"github.com/ancora-fleet/ancora/controlplane/selector"
	"github.com/ancora-fleet/ancora/controlplane/store"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// Config is for New.
type Config struct {
	Store *store.Store
	// Hosts asks hosts by their sessions.
	Hosts  hosts
	Logger hclog.Logger
}

type hosts interface {
	Subscribe(host string, query *typesv1.LogQuery) (*dispatch.Subscription, error)
	Connected(host string) (bool, <-chan struct{})
}

// Broker answers StreamLogs.
type Broker struct {
	store *store.Store
	hosts hosts
	log   hclog.Logger
}

// New makes a Broker.
func New(config Config) *Broker {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	return &Broker{store: config.Store, hosts: config.Hosts, log: config.Logger.Named("logbroker")}
}

// Stream sends the lines of all hosts in question, each host in order, until ctx ends or, without follow, all have sent
// what they have. A host that is away is named; with follow it is asked as soon as it is back, from where it left off.
func (b *Broker) Stream(ctx context.Context, request *controlv1.StreamLogsRequest, send func(*controlv1.StreamLogsResponse) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := &outlet{send: send, cancel: cancel}
	var asking sync.WaitGroup
	defer asking.Wait()
	followers := map[string]*follower{}
	for {
		view := b.store.View()
		wanted, err := b.wanted(view, request)
		if err != nil {
			return err
		}
		for _, host := range wanted {
			f := followers[host]
			if f == nil {
				f = newFollower(b, host, request.GetQuery(), out)
				followers[host] = f
			}
			if f.stop == nil {
				f.start(ctx, &asking)
			}
		}
		for host, f := range followers {
			if f.stop != nil && !slices.Contains(wanted, host) {
				f.stop() // kept: it goes on from where it is when the host is wanted again
				f.stop = nil
			}
		}
		if !request.GetQuery().GetFollow() {
			asking.Wait()
			return context.Cause(ctx)
		}
		select {
		case <-view.Next():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// wanted names the hosts that may have lines: those the site is placed on.
func (b *Broker) wanted(view *store.View, request *controlv1.StreamLogsRequest) ([]string, error) {
	among, err := selector.Parse(request.GetHosts())
	if err != nil {
		return nil, err
	}
	site := view.Sites[request.GetQuery().GetSite()]
	if site == nil {
		return nil, nil // deleted meanwhile: there is nothing more to come
	}
	return selector.Placed(view, site, among), nil
}

// outlet is the operator's stream, which takes one message at a time.
type outlet struct {
	mu     sync.Mutex
	send   func(*controlv1.StreamLogsResponse) error
	cancel context.CancelCauseFunc
}

func (o *outlet) block(block *typesv1.LogBlock) {
	o.put(&controlv1.StreamLogsResponse{Message: &controlv1.StreamLogsResponse_Block{Block: block}})
}

func (o *outlet) host(name string, state controlv1.LogHostState, reason string) {
	o.put(&controlv1.StreamLogsResponse{Message: &controlv1.StreamLogsResponse_Host{
		Host: &controlv1.LogHost{Host: name, State: state, Reason: reason},
	}})
}

func (o *outlet) put(m *controlv1.StreamLogsResponse) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.send(m); err != nil {
		o.cancel(err)
	}
}
