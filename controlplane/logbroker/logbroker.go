// Package logbroker joins operators who ask for logs with the hosts that have them. It stores nothing: an operator who does
// not read holds up only the hosts' own sending, never another operator and never an application.
package logbroker

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/dispatch"
	"github.com/ancora-fleet/ancora/controlplane/selector"
	"github.com/ancora-fleet/ancora/controlplane/store"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// askAgain is the pause before a host whose answer broke is asked again.
const askAgain = 200 * time.Millisecond

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
	started := map[string]context.CancelFunc{}
	for {
		view := b.store.View()
		wanted, err := b.wanted(view, request)
		if err != nil {
			return err
		}
		for _, host := range wanted {
			if started[host] == nil {
				hostCtx, stop := context.WithCancel(ctx)
				started[host] = stop
				f := &follower{broker: b, host: host, query: request.GetQuery(), out: out, began: time.Now()}
				asking.Go(func() { f.run(hostCtx) })
			}
		}
		for host, stop := range started {
			if !slices.Contains(wanted, host) {
				stop()
				delete(started, host)
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

// follower asks one host, again and again when its answer breaks.
type follower struct {
	broker *Broker
	host   string
	query  *typesv1.LogQuery
	out    *outlet
	began  time.Time
	// cursors are the places reached, the newest of each application; asked says that lines may have been sent.
	cursors map[string]string
	asked   bool
}

func (f *follower) run(ctx context.Context) {
	f.cursors = map[string]string{}
	away := false
	for ctx.Err() == nil {
		connected, changed := f.broker.hosts.Connected(f.host)
		if !connected {
			if !away {
				f.out.host(f.host, controlv1.LogHostState_LOG_HOST_STATE_UNREACHABLE, "it has no session")
				away = true
			}
			if !f.query.GetFollow() {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		away = false
		err := f.ask(ctx)
		switch {
		case errors.Is(err, io.EOF):
			f.out.host(f.host, controlv1.LogHostState_LOG_HOST_STATE_ENDED, "")
			return
		case err != nil && !f.query.GetFollow() && ctx.Err() == nil:
			f.out.host(f.host, controlv1.LogHostState_LOG_HOST_STATE_UNREACHABLE, err.Error())
			return
		}
		select {
		case <-time.After(askAgain):
		case <-ctx.Done():
		}
	}
}

// ask sends what one subscription gives; io.EOF says that this is all.
func (f *follower) ask(ctx context.Context) error {
	sub, err := f.broker.hosts.Subscribe(f.host, f.next())
	if err != nil {
		return err
	}
	defer sub.Close()
	if !f.asked {
		f.out.host(f.host, controlv1.LogHostState_LOG_HOST_STATE_STREAMING, "")
	}
	f.asked = true
	for {
		block, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		f.cursors[block.GetApplication()] = block.GetCursor()
		f.out.block(block)
	}
}

// next is the question: the operator's first, later from where the last answer broke.
func (f *follower) next() *typesv1.LogQuery {
	if !f.asked {
		return f.query
	}
	q := proto.CloneOf(f.query)
	q.Tail = nil
	if len(f.cursors) > 0 {
		q.Cursors = nil
		for _, cursor := range f.cursors {
			q.Cursors = append(q.Cursors, cursor)
		}
	} else if len(q.GetCursors()) == 0 && (q.SinceTime == nil || q.SinceTime.AsTime().Before(f.began)) && f.query.Tail != nil {
		q.SinceTime = timestamppb.New(f.began)
	}
	return q
}
