package dispatch

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ancora-fleet/ancora/controlplane/assign"
	"github.com/ancora-fleet/ancora/controlplane/auth"
	"github.com/ancora-fleet/ancora/controlplane/store"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
)

// queued is how many messages for an agent may wait beside its manifest.
const queued = 256

// session is one registration. Its run is the only one that sends, its receive the only one that hears.
type session struct {
	dispatcher *Dispatcher
	host, id   string
	hello      *agentv1.Hello
	stream     agentv1.AgentService_SessionServer
	log        hclog.Logger

	ctx    context.Context
	cancel context.CancelCauseFunc
	lease  *time.Timer                   // ends it when nothing is heard
	echo   chan struct{}                 // a heartbeat came
	took   chan int64                    // a manifest of this generation was taken
	out    chan *agentv1.SessionResponse // subscriptions and questions

	held    map[string]bool // digests of documents the agent has
	applied int64           // generation of the manifest it applied last, of this store
	sent    *agentv1.Manifest

	mu     sync.Mutex
	asking int64 // generation of the manifest sent last, or about to be
}

func newSession(d *Dispatcher, host string, hello *agentv1.Hello, stream agentv1.AgentService_SessionServer) *session {
	s := &session{
		dispatcher: d, host: host, id: rand.Text(), hello: hello, stream: stream, log: d.log.With("host", host),
		echo: make(chan struct{}, 1), took: make(chan int64, 16), out: make(chan *agentv1.SessionResponse, queued),
		held: map[string]bool{},
	}
	s.ctx, s.cancel = context.WithCancelCause(stream.Context())
	s.lease = time.AfterFunc(d.lease, func() { s.cancel(errLease) })
	for _, h := range hello.GetHeld() {
		s.held[string(h.GetDigest())] = true
	}
	if hello.GetStoreId() == d.store.View().StoreID {
		s.applied = hello.GetGeneration()
	}
	return s
}

// serve returns when the lease ends, the agent leaves, or may no longer be here. That ends the stream, and so also a send
// that waits for an agent which reads nothing: it must hold up neither the lease nor the removal of a host.
func (s *session) serve() error {
	defer s.lease.Stop()
	ended := make(chan error, 2)
	go func() { ended <- s.run() }()
	go func() { ended <- s.receive() }()
	for {
		view := s.dispatcher.store.View()
		if _, err := auth.Admitted(s.ctx, view); err != nil {
			return err
		}
		select {
		case <-view.Next():
		case err := <-ended:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-s.ctx.Done():
			return causeOf(s.ctx)
		}
	}
}

// run says to the agent what there is to say.
func (s *session) run() error {
	d := s.dispatcher
	welcome := &agentv1.Welcome{
		SessionId: s.id, LeaseDuration: durationpb.New(d.lease), HeartbeatInterval: durationpb.New(d.lease / heartbeats),
	}
	if err := s.send(&agentv1.SessionResponse{Message: &agentv1.SessionResponse_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	for {
		view := d.store.View()
		// Never an empty manifest for a host that is gone.
		if _, err := auth.Admitted(s.ctx, view); err != nil {
			return err
		}
		if err := s.assign(view); err != nil {
			return err
		}
		if err := s.wait(view); err != nil {
			return err
		}
	}
}

// wait returns when the manifest may have to be sent again.
func (s *session) wait(view *store.View) error {
	for {
		select {
		case <-view.Next():
			return nil
		case generation := <-s.took:
			s.applied = max(s.applied, generation)
			return nil
		case <-s.echo:
			if err := s.send(&agentv1.SessionResponse{Message: &agentv1.SessionResponse_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}}); err != nil {
				return err
			}
		case m := <-s.out:
			if err := s.send(m); err != nil {
				return err
			}
		case <-s.ctx.Done():
			return causeOf(s.ctx)
		}
	}
}

func (s *session) send(m *agentv1.SessionResponse) error { return s.stream.Send(m) }

// assign sends the manifest when it asks for something else than the last one, before it the documents the agent lacks.
func (s *session) assign(view *store.View) error {
	a := assign.Build(view, s.host, s.applied, time.Now())
	if assign.Same(s.sent, a.Manifest) {
		return nil
	}
	for _, document := range a.Documents {
		if s.held[string(document.GetDigest())] {
			continue
		}
		if err := s.send(&agentv1.SessionResponse{Message: &agentv1.SessionResponse_Document{Document: document}}); err != nil {
			return err
		}
	}
	s.asks(a.Manifest.GetGeneration())
	if err := s.send(&agentv1.SessionResponse{Message: &agentv1.SessionResponse_Manifest{Manifest: a.Manifest}}); err != nil {
		return err
	}
	// The agent keeps what its manifest names and may drop the rest.
	clear(s.held)
	for _, document := range a.Documents {
		s.held[string(document.GetDigest())] = true
	}
	s.sent = a.Manifest
	s.log.Debug("manifest sent", "generation", a.Manifest.GetGeneration(), "sites", len(a.Manifest.GetSites()), "notices", len(a.Manifest.GetNotices()))
	return nil
}

// asks notes which manifest is answered from now on, before it is sent: its answer may come at once.
func (s *session) asks(generation int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking = generation
	s.dispatcher.observed.SetGeneration(s.host, s.id, generation)
}

// receive takes what the agent says until its stream ends.
func (s *session) receive() error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		s.lease.Reset(s.dispatcher.lease)
		s.dispatcher.observed.Touch(s.host, s.id, time.Now())
		s.take(m)
	}
}

func (s *session) take(m *agentv1.SessionRequest) {
	o := s.dispatcher.observed
	switch m := m.GetMessage().(type) {
	case *agentv1.SessionRequest_Heartbeat:
		signal(s.echo)
	case *agentv1.SessionRequest_SiteStatus:
		m.SiteStatus.Host = s.host
		o.SetSiteStatus(s.host, s.id, m.SiteStatus)
	case *agentv1.SessionRequest_NoticeStatus:
		m.NoticeStatus.Host = s.host
		o.SetNoticeStatus(s.host, s.id, m.NoticeStatus)
	case *agentv1.SessionRequest_InstanceReport:
		for _, i := range m.InstanceReport.GetInstances() {
			i.Host = s.host
		}
		o.SetInstances(s.host, s.id, m.InstanceReport.GetComplete(), m.InstanceReport.GetInstances())
	case *agentv1.SessionRequest_ManifestResult:
		s.manifestResult(m.ManifestResult)
	case *agentv1.SessionRequest_Explained:
		s.dispatcher.explained(s, m.Explained)
	}
}

func (s *session) manifestResult(r *agentv1.ManifestResult) {
	s.mu.Lock()
	if r.GetGeneration() >= s.asking { // what it says of an earlier one is past
		s.dispatcher.observed.SetManifestResult(s.host, s.id, r)
	}
	s.mu.Unlock()
	if r.GetRefusal() != "" {
		s.log.Warn("manifest refused", "generation", r.GetGeneration(), "reason", r.GetRefusal())
		return
	}
	select {
	case s.took <- r.GetGeneration():
	case <-s.ctx.Done():
	}
}

func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
