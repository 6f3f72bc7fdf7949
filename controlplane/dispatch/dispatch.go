// Package dispatch is the controller's end of agent sessions: it keeps their leases, tells each host what to run, and
// passes what hosts say to the store's observed half.
package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/controlplane/auth"
	"github.com/ancora-fleet/ancora/controlplane/store"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
)

const (
	// DefaultLease is how long either side waits for a word before it gives the other up.
	DefaultLease = 10 * time.Second
	// heartbeats is how many heartbeats there are in a lease.
	heartbeats = 4
	// helloLimit is how long an agent may take to introduce itself.
	helloLimit = 10 * time.Second
	// maxHeld bounds the documents a Hello may name.
	maxHeld = 20_000
)

// Config is for New.
type Config struct {
	Store *store.Store
	// Lease is DefaultLease when it is 0.
	Lease  time.Duration
	Logger hclog.Logger
}

// Dispatcher serves agents.
type Dispatcher struct {
	agentv1.UnimplementedAgentServiceServer
	store    *store.Store
	observed *store.Observed
	lease    time.Duration
	log      hclog.Logger

	mu            sync.Mutex
	sessions      map[string]*session // by host
	subscriptions map[string]*Subscription
	questions     map[string]*question // by id
	changed       chan struct{}        // closed when a session begins or ends
}

// New makes a Dispatcher.
func New(config Config) *Dispatcher {
	if config.Lease == 0 {
		config.Lease = DefaultLease
	}
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	return &Dispatcher{
		store: config.Store, observed: config.Store.Observed(), lease: config.Lease, log: config.Logger.Named("dispatch"),
		sessions: map[string]*session{}, subscriptions: map[string]*Subscription{}, questions: map[string]*question{}, changed: make(chan struct{}),
	}
}

var (
	errReplaced = status.Error(codes.Aborted, "another session of this host has begun")
	errLease    = status.Error(codes.DeadlineExceeded, "nothing was heard within the lease")
)

// Session serves one registration of an agent until either side ends it.
func (d *Dispatcher) Session(stream agentv1.AgentService_SessionServer) error {
	host := auth.Host(stream.Context())
	hello, err := receiveHello(stream, host)
	if err != nil {
		return err
	}
	// The host may have been deleted while its Hello was awaited.
	if _, err := auth.Admitted(stream.Context(), d.store.View()); err != nil {
		return err
	}
	s := newSession(d, host, hello, stream)
	defer s.cancel(nil)
	d.begin(s)
	defer d.end(s)
	s.log.Info("session begins", "agent_version", hello.GetAgentVersion(), "generation", hello.GetGeneration(), "held", len(hello.GetHeld()))
	err = s.serve()
	s.log.Info("session ended", "reason", reason(err))
	return err
}

func reason(err error) string {
	switch {
	case err == nil:
		return "the agent has left"
	case status.Code(err) == codes.Canceled:
		return "the connection is gone"
	}
	return status.Convert(err).Message()
}

// receiveHello waits for the first message, which says who speaks; the certificate has said it before.
func receiveHello(stream agentv1.AgentService_SessionServer, host string) (*agentv1.Hello, error) {
	type received struct {
		message *agentv1.SessionRequest
		err     error
	}
	first := make(chan received, 1)
	go func() {
		m, err := stream.Recv()
		first <- received{m, err}
	}()
	select {
	case r := <-first:
		hello := r.message.GetHello()
		switch {
		case r.err != nil:
			return nil, r.err
		case hello == nil:
			return nil, status.Error(codes.FailedPrecondition, "the first message of a session is Hello")
		case hello.GetHost() != host:
			return nil, status.Errorf(codes.PermissionDenied, "the certificate is that of host %q, not %q", host, hello.GetHost())
		case len(hello.GetHeld()) > maxHeld:
			return nil, status.Errorf(codes.InvalidArgument, "Hello names %d documents, at most %d are taken", len(hello.GetHeld()), maxHeld)
		}
		return hello, nil
	case <-time.After(helloLimit):
		return nil, status.Error(codes.DeadlineExceeded, "no Hello came")
	case <-stream.Context().Done():
		return nil, status.FromContextError(stream.Context().Err()).Err()
	}
}

// begin makes a session the host's only one.
func (d *Dispatcher) begin(s *session) {
	d.mu.Lock()
	old := d.sessions[s.host]
	d.sessions[s.host] = s
	d.observed.Begin(s.host, store.Session{
		ID: s.id, AgentInstanceID: s.hello.GetAgentInstanceId(), AgentVersion: s.hello.GetAgentVersion(), Facts: s.hello.GetFacts(), Start: time.Now(),
	})
	d.wake()
	d.mu.Unlock()
	if old != nil {
		old.cancel(errReplaced)
	}
}

func (d *Dispatcher) end(s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sessions[s.host] == s {
		delete(d.sessions, s.host)
	}
	d.observed.End(s.host, s.id)
	for _, sub := range d.subscriptions {
		if sub.session == s {
			sub.fail(fmt.Errorf("%w: the session of the host has ended", ErrBroken))
		}
	}
	for id, q := range d.questions {
		if q.session == s {
			delete(d.questions, id)
			close(q.answer)
		}
	}
	d.wake()
}

// wake tells who waits for sessions; the lock is held.
func (d *Dispatcher) wake() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// Connected says whether a host has a session, and gives a channel that is closed when that may have changed.
func (d *Dispatcher) Connected(host string) (bool, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[host] != nil, d.changed
}

// causeOf gives why a context was ended, as a status.
func causeOf(ctx context.Context) error {
	cause := context.Cause(ctx)
	if _, ok := status.FromError(cause); ok {
		return cause
	}
	return status.FromContextError(ctx.Err()).Err()
}
