// Package session keeps a host registered with a controller: one Session at a time, and the Connector that dials the next
// one. Nothing that runs on the host changes because a session ends.
package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/ancora-fleet/ancora/agent/report"
	"github.com/ancora-fleet/ancora/agent/tail"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
	"github.com/ancora-fleet/ancora/proto/transport"
)

// welcomeLimit is how long a controller may take to answer Hello.
const welcomeLimit = 10 * time.Second

// Assignments is what the controller wants of this host.
type Assignments interface {
	// Held says which manifest was applied last and which documents are on disk.
	Held() (storeID string, generation int64, held []*agentv1.HeldDocument)
	// Document keeps a document; an error is this host's own trouble.
	Document(*agentv1.Document) error
	// Manifest makes the host run what it lists, or says why not.
	Manifest(*agentv1.Manifest) *agentv1.ManifestResult
}

// Explain says what this host would do with a request; the error why it cannot say.
type Explain func(*typesv1.ExplainQuestion) (*typesv1.Explanation, error)

// Config is for New.
type Config struct {
	Host string
	// InstanceID is made anew at each start of the keeper; BootID by each boot.
	InstanceID, BootID, Version string
	Facts                       func() *typesv1.HostFacts
	// Controllers are host:port, tried in turn.
	Controllers []string
	TLS         func() (*tls.Config, error)
	Assignments Assignments
	// Explain is nil where nothing can be explained.
	Explain  Explain
	Reporter *report.Reporter
	Logs     *tail.Tail
	Logger   hclog.Logger
}

// session is one registration.
type session struct {
	config *Config
	log    hclog.Logger
	stream agentv1.AgentService_SessionClient
	lease  time.Duration
	beat   time.Duration
	// controllers is what Welcome says for the next dial; none: as before.
	controllers []string
	wishes      chan *agentv1.LogSubscription
	questions   chan *agentv1.Explain
	answers     chan *agentv1.SessionRequest
}

var errLease = errors.New("nothing was heard from the controller within the lease")

// serve registers over a connection, stays until it ends, and closes it: a controller that is frozen would get the next
// stream of the same connection as well. Welcomed says that the controller took the host in.
func (c *Connector) serve(ctx context.Context, conn *grpc.ClientConn, dial tail.Dial) (welcomed bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	defer func() { err = errors.Join(err, conn.Close()) }()
	defer cancel()
	stream, err := agentv1.NewAgentServiceClient(conn).Session(ctx)
	if err != nil {
		return false, err
	}
	s := &session{config: &c.config, log: c.log, stream: stream, wishes: make(chan *agentv1.LogSubscription, 64), questions: make(chan *agentv1.Explain, mostQuestions), answers: make(chan *agentv1.SessionRequest)}
	received, sending := make(chan *agentv1.SessionResponse), make(chan *agentv1.SessionRequest)
	ended := make(chan error, 2) // one of each direction
	working.Go(func() { ended <- s.receive(ctx, received) })
	if err := s.hello(ctx, received, ended); err != nil {
		return false, err
	}
	if len(s.controllers) > 0 {
		c.controllers = s.controllers
	}
	working.Go(func() { s.send(ctx, sending, ended) })
	working.Go(func() { s.explain(ctx) })
	working.Go(func() { c.config.Logs.Run(ctx, dial, s.wishes) })
	return true, s.run(ctx, received, sending, ended)
}

// receive passes on what comes until the stream ends.
func (s *session) receive(ctx context.Context, to chan<- *agentv1.SessionResponse) error {
	for {
		m, err := s.stream.Recv()
		if err != nil {
			return err
		}
		select {
		case to <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send says what it is given. A controller that does not read holds up this goroutine alone, not the lease.
func (s *session) send(ctx context.Context, from <-chan *agentv1.SessionRequest, ended chan<- error) {
	for {
		select {
		case m := <-from:
			if err := s.stream.Send(m); errors.Is(err, io.EOF) {
				return // the reason comes from the other direction
			} else if err != nil {
				ended <- err
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// hello introduces the host and waits for Welcome.
func (s *session) hello(ctx context.Context, received <-chan *agentv1.SessionResponse, ended <-chan error) error {
	c := s.config
	store, generation, held := c.Assignments.Held()
	err := s.stream.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_Hello{Hello: &agentv1.Hello{
		Host: c.Host, AgentInstanceId: c.InstanceID, BootId: c.BootID, AgentVersion: c.Version, Facts: c.Facts(),
		StoreId: store, Generation: generation, Held: held, Capabilities: c.capabilities(),
	}}})
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the reason comes from the other direction
		return err
	}
	select {
	case m := <-received:
		w := m.GetWelcome()
		if w == nil {
			return errors.New("the controller's first message is no Welcome")
		}
		s.lease, s.beat = w.GetLeaseDuration().AsDuration(), w.GetHeartbeatInterval().AsDuration()
		if s.lease <= 0 || s.beat <= 0 || s.beat >= s.lease {
			return fmt.Errorf("the controller offers a lease of %v with heartbeats every %v", s.lease, s.beat)
		}
		s.controllers = w.GetControllers()
		if len(w.GetCaRoots()) > 0 {
			s.log.Warn("new CA roots in Welcome are not supported yet")
		}
		return nil
	case err := <-ended:
		return err
	case <-time.After(welcomeLimit):
		return errors.New("the controller does not answer Hello")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run keeps the lease: it says something at least every heartbeat, and gives up a controller that says nothing. What is to
// be reported waits in the reporter while the controller does not take what was said before.
func (s *session) run(ctx context.Context, received <-chan *agentv1.SessionResponse, sending chan<- *agentv1.SessionRequest, ended <-chan error) error {
	lease, beat := time.NewTimer(s.lease), time.NewTimer(s.beat)
	defer lease.Stop()
	defer beat.Stop()
	waiting := s.config.Reporter.Complete()
	for {
		var to chan<- *agentv1.SessionRequest
		var next *agentv1.SessionRequest
		changed, silent, answers := s.config.Reporter.Changed(), beat.C, s.answers
		if len(waiting) > 0 {
			to, next = sending, waiting[0]
			changed, silent, answers = nil, nil, nil
		}
		select {
		case m := <-received:
			waiting = append(waiting, s.take(ctx, m)...)
			lease.Reset(s.lease) // behind take: a slow disk of this host is not the controller's silence
		case to <- next:
			waiting = waiting[1:]
			beat.Reset(s.beat)
		case <-changed:
			waiting = s.config.Reporter.Changes()
		case m := <-answers:
			waiting = append(waiting, m)
		case <-silent:
			waiting = []*agentv1.SessionRequest{{Message: &agentv1.SessionRequest_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}}}
		case <-lease.C:
			return errLease
		case err := <-ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take acts on one message and gives what is to be answered.
func (s *session) take(ctx context.Context, m *agentv1.SessionResponse) []*agentv1.SessionRequest {
	switch m := m.GetMessage().(type) {
	case *agentv1.SessionResponse_Document:
		if err := s.config.Assignments.Document(m.Document); err != nil {
			s.log.Error("document not kept", "name", m.Document.GetName(), "error", err)
		}
	case *agentv1.SessionResponse_Manifest:
		result := s.config.Assignments.Manifest(m.Manifest)
		if result.GetRefusal() != "" {
			s.log.Warn("manifest refused", "generation", m.Manifest.GetGeneration(), "reason", result.GetRefusal())
		}
		return []*agentv1.SessionRequest{{Message: &agentv1.SessionRequest_ManifestResult{ManifestResult: result}}}
	case *agentv1.SessionResponse_LogSubscription:
		select {
		case s.wishes <- m.LogSubscription:
		case <-ctx.Done():
		}
	case *agentv1.SessionResponse_Explain:
		select {
		case s.questions <- m.Explain:
		default: // whoever asks has a limit
			s.log.Warn("too many questions wait, one is not answered")
		}
	}
	return nil
}

func connect(address string, config *tls.Config) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address, transport.DialOptions(config)...)
}
