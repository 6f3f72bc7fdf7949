package scripted

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
)

// Session is one registration as the controller sees it. Nothing is read or answered but by the test.
type Session struct {
	Hello  *agentv1.Hello
	stream agentv1.AgentService_SessionServer
	end    chan error
	once   sync.Once
}

// Welcome takes the agent in.
func (s *Session) Welcome(t *testing.T, lease, beat time.Duration) {
	t.Helper()
	s.Send(t, &agentv1.SessionResponse{Message: &agentv1.SessionResponse_Welcome{Welcome: &agentv1.Welcome{
		SessionId: "1", LeaseDuration: durationpb.New(lease), HeartbeatInterval: durationpb.New(beat),
	}}})
}

// Send says one thing.
func (s *Session) Send(t *testing.T, m *agentv1.SessionResponse) {
	t.Helper()
	if err := s.stream.Send(m); err != nil {
		t.Fatal(err)
	}
}

// Document sends a document.
func (s *Session) Document(t *testing.T, d *agentv1.Document) {
	t.Helper()
	s.Send(t, &agentv1.SessionResponse{Message: &agentv1.SessionResponse_Document{Document: d}})
}

// Manifest sends a manifest and waits for the answer to it.
func (s *Session) Manifest(t *testing.T, m *agentv1.Manifest) *agentv1.ManifestResult {
	t.Helper()
	s.Send(t, &agentv1.SessionResponse{Message: &agentv1.SessionResponse_Manifest{Manifest: m}})
	return s.Until(t, func(m *agentv1.SessionRequest) bool { return m.GetManifestResult() != nil }).GetManifestResult()
}

// Ask sends a wish for lines.
func (s *Session) Ask(t *testing.T, w *agentv1.LogSubscription) {
	t.Helper()
	s.Send(t, &agentv1.SessionResponse{Message: &agentv1.SessionResponse_LogSubscription{LogSubscription: w}})
}

// Recv is the next word of the agent.
func (s *Session) Recv() (*agentv1.SessionRequest, error) { return s.stream.Recv() }

// Until reads until the wanted word comes, and echoes heartbeats meanwhile.
func (s *Session) Until(t *testing.T, wanted func(*agentv1.SessionRequest) bool) *agentv1.SessionRequest {
	t.Helper()
	late := time.AfterFunc(Patience, func() { s.End(status.Error(codes.DeadlineExceeded, "the test waits no longer")) })
	defer late.Stop()
	for {
		m, err := s.stream.Recv()
		if err != nil {
			t.Fatalf("what was waited for did not come: %v", err)
		}
		if wanted(m) {
			return m
		}
		if m.GetHeartbeat() != nil {
			s.Echo(t)
		}
	}
}

// Echo answers a heartbeat.
func (s *Session) Echo(t *testing.T) {
	t.Helper()
	s.Send(t, &agentv1.SessionResponse{Message: &agentv1.SessionResponse_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}})
}

// End hangs up.
func (s *Session) End(err error) { s.once.Do(func() { s.end <- err }) }

// Ended is closed when the agent has hung up.
func (s *Session) Ended() <-chan struct{} { return s.stream.Context().Done() }

// Lines is one stream of lines as the controller sees it.
type Lines struct {
	stream agentv1.AgentService_PublishLogsServer
	end    chan error
	once   sync.Once
}

// Recv is the next message; an error when none came in time, or io.EOF when the agent closed, which is then answered.
func (l *Lines) Recv() (*agentv1.PublishLogsRequest, error) {
	late := time.AfterFunc(Patience, func() { l.End(status.Error(codes.DeadlineExceeded, "the test waits no longer")) })
	defer late.Stop()
	m, err := l.stream.Recv()
	if errors.Is(err, io.EOF) {
		l.End(nil)
	}
	return m, err
}

// Grant gives credit in bytes.
func (l *Lines) Grant(t *testing.T, id string, bytes int64) {
	t.Helper()
	if err := l.stream.Send(&agentv1.PublishLogsResponse{SubscriptionId: id, CreditBytes: bytes}); err != nil {
		t.Fatal(err)
	}
}

// Cancel ends one subscription.
func (l *Lines) Cancel(t *testing.T, id string) {
	t.Helper()
	if err := l.stream.Send(&agentv1.PublishLogsResponse{SubscriptionId: id, Cancel: true}); err != nil {
		t.Fatal(err)
	}
}

// End hangs up.
func (l *Lines) End(err error) { l.once.Do(func() { l.end <- err }) }

type agentService struct {
	agentv1.UnimplementedAgentServiceServer
	controller *Controller
}

func (a agentService) Session(stream agentv1.AgentService_SessionServer) error {
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	if m.GetHello() == nil {
		return status.Error(codes.FailedPrecondition, "first message is not Hello")
	}
	s := &Session{Hello: m.GetHello(), stream: stream, end: make(chan error, 1)}
	a.controller.sessions <- s
	select {
	case err := <-s.end:
		return err
	case <-stream.Context().Done():
		return nil
	}
}

func (a agentService) PublishLogs(stream agentv1.AgentService_PublishLogsServer) error {
	l := &Lines{stream: stream, end: make(chan error, 1)}
	a.controller.lines <- l
	select {
	case err := <-l.end:
		return err
	case <-stream.Context().Done():
		return nil
	}
}

type enrollmentService struct {
	agentv1.UnimplementedEnrollmentServiceServer
	controller *Controller
}

func (e enrollmentService) Enroll(ctx context.Context, m *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
	answer := e.controller.enroll.Load()
	if answer == nil {
		return nil, status.Error(codes.Unauthenticated, "nobody joins here")
	}
	return (*answer)(ctx, m)
}
