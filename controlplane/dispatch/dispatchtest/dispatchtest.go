// Package dispatchtest serves a dispatcher to tests over mutual TLS on a real store, and plays agents by hand.
package dispatchtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"net"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/controlplane/auth"
	"github.com/ancora-fleet/ancora/controlplane/dispatch"
	"github.com/ancora-fleet/ancora/controlplane/pki"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/controlplane/store/storetest"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
	"github.com/ancora-fleet/ancora/proto/transport"
)

// Limit is how long anything in a test may take, also on a busy machine. Streams of agents live twice as long, so that
// their own end is never what a test sees.
const Limit = 30 * time.Second

// Lab is a controller's end.
type Lab struct {
	testing.TB
	Store      *store.Store
	Dispatcher *dispatch.Dispatcher

	authority *pki.Authority
	address   string
}

// New serves a dispatcher until the test ends. A lease of 0 is one that no test outlives.
func New(t testing.TB, lease time.Duration) *Lab {
	t.Helper()
	if lease == 0 {
		lease = 10 * time.Minute
	}
	authority := storetest.Authority(t)
	s, _ := storetest.Start(t, t.TempDir(), authority)
	l := &Lab{TB: t, Store: s, Dispatcher: dispatch.New(dispatch.Config{Store: s, Lease: lease}), authority: authority}
	server := grpc.NewServer(slices.Concat(
		transport.AgentServerOptions(transport.AgentServer(pki.NewServer(authority).Certificate, authority.Pool())),
		auth.Agents{Views: s}.Options(),
	)...)
	agentv1.RegisterAgentServiceServer(server, l.Dispatcher)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.address = listener.Addr().String()
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return l
}

// Update changes the store.
func (l *Lab) Update(change func(tx *store.Tx)) {
	l.Helper()
	_, err := l.Store.Update(l.Context(), func(tx *store.Tx) error {
		change(tx)
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
}

// Site stores a site on the hosts of a selector; root makes revisions differ.
func (l *Lab) Site(name, hosts, root string) {
	l.Helper()
	content, err := proto.Marshal(&typesv1.Site{
		Name:         name,
		Placement:    &typesv1.Placement{Hosts: &typesv1.Selector{Expression: hosts}},
		Applications: []*typesv1.Application{{Path: "/", Root: root}},
	})
	if err != nil {
		l.Fatal(err)
	}
	l.Update(func(tx *store.Tx) { tx.PutSite(name, content, time.Now()) })
}

// Host stores a host, with a new key each time, and gives its agent. The key it had before is revoked.
func (l *Lab) Host(name string, labels map[string]string) *Agent {
	l.Helper()
	a := l.Certified(name)
	l.Update(func(tx *store.Tx) {
		if earlier, has := tx.View.Identities[name]; has {
			tx.Revoke(earlier.Key, name)
		}
		tx.PutHost(&typesv1.Host{Name: name, Labels: labels})
		tx.PutIdentity(name, a.certificate.Certificate[0])
	})
	return a
}

// Certified gives the agent of a host that the store knows nothing of.
func (l *Lab) Certified(name string) *Agent {
	l.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		l.Fatal(err)
	}
	der, err := l.authority.Sign(name, key.Public(), time.Now())
	if err != nil {
		l.Fatal(err)
	}
	return &Agent{lab: l, name: name, certificate: &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}
}

// Agent is what a host calls with.
type Agent struct {
	lab         *Lab
	name        string
	certificate *tls.Certificate
}

// Client dials a connection of its own.
func (a *Agent) Client() agentv1.AgentServiceClient {
	a.lab.Helper()
	config := transport.Pinned(a.lab.authority.Digest())
	config.Certificates = []tls.Certificate{*a.certificate}
	conn, err := grpc.NewClient("passthrough:///"+a.lab.address, transport.DialOptions(config)...)
	if err != nil {
		a.lab.Fatal(err)
	}
	a.lab.Cleanup(func() { conn.Close() })
	return agentv1.NewAgentServiceClient(conn)
}

// Session opens a session with a Hello; the host's name is set where there is none.
func (a *Agent) Session(hello *agentv1.Hello) *Session {
	a.lab.Helper()
	if hello.GetHost() == "" {
		hello.Host = a.name
	}
	s := a.Open()
	s.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_Hello{Hello: hello}})
	return s
}

// Open opens a stream on which nothing has been said.
func (a *Agent) Open() *Session {
	a.lab.Helper()
	ctx, cancel := context.WithTimeout(a.lab.Context(), 2*Limit)
	a.lab.Cleanup(cancel)
	stream, err := a.Client().Session(ctx)
	if err != nil {
		a.lab.Fatal(err)
	}
	return &Session{AgentService_SessionClient: stream, lab: a.lab, End: cancel}
}

// Session is the agent's end of one.
type Session struct {
	agentv1.AgentService_SessionClient
	// End hangs up.
	End context.CancelFunc

	lab *Lab
}

// Send says something. That the stream has ended shows where it is read.
func (s *Session) Send(m *agentv1.SessionRequest) { _ = s.AgentService_SessionClient.Send(m) }

// Next gives what the controller says next.
func (s *Session) Next() *agentv1.SessionResponse {
	s.lab.Helper()
	m, err := s.Recv()
	if err != nil {
		s.lab.Fatalf("the session ends: %v", err)
	}
	return m
}

// Manifest gives the next manifest and the documents that come before it.
func (s *Session) Manifest() (*agentv1.Manifest, []*agentv1.Document) {
	s.lab.Helper()
	var documents []*agentv1.Document
	for {
		m := s.Next()
		if d := m.GetDocument(); d != nil {
			documents = append(documents, d)
		}
		if manifest := m.GetManifest(); manifest != nil {
			return manifest, documents
		}
	}
}

// Subscription gives the next wish for lines, or the end of one.
func (s *Session) Subscription() *agentv1.LogSubscription {
	s.lab.Helper()
	for {
		if l := s.Next().GetLogSubscription(); l != nil {
			return l
		}
	}
}

// Explain gives the next question.
func (s *Session) Explain() *agentv1.Explain {
	s.lab.Helper()
	for {
		if q := s.Next().GetExplain(); q != nil {
			return q
		}
	}
}

// Ended waits for the end and gives the reason.
func (s *Session) Ended() error {
	for {
		if _, err := s.Recv(); err != nil {
			return err
		}
	}
}

// Eventually waits until what is observed of hosts is as it should be.
func (l *Lab) Eventually(what string, holds func(o *store.Observed) bool) {
	l.Helper()
	o := l.Store.Observed()
	late := time.After(Limit)
	for {
		changed := o.Changed()
		if holds(o) {
			return
		}
		select {
		case <-changed:
		case <-late:
			l.Fatalf("not within %s: %s", Limit, what)
		}
	}
}

// Lines is an agent's stream of lines.
type Lines struct {
	agentv1.AgentService_PublishLogsClient
	// End breaks it off.
	End context.CancelFunc

	lab *Lab
}

// Lines opens a stream of lines on a connection of its own.
func (a *Agent) Lines() *Lines {
	a.lab.Helper()
	ctx, cancel := context.WithTimeout(a.lab.Context(), 2*Limit)
	a.lab.Cleanup(cancel)
	stream, err := a.Client().PublishLogs(ctx)
	if err != nil {
		a.lab.Fatal(err)
	}
	return &Lines{AgentService_PublishLogsClient: stream, End: cancel, lab: a.lab}
}

// Answer opens a subscription, waits for the first credit, which it gives, and sends blocks.
func (l *Lines) Answer(id string, blocks ...*typesv1.LogBlock) int64 {
	l.lab.Helper()
	_ = l.Send(&agentv1.PublishLogsRequest{SubscriptionId: id})
	m, err := l.Recv()
	if err != nil || m.GetCancel() || m.GetSubscriptionId() != id {
		l.lab.Fatalf("subscription %s is answered with %v, %v", id, m, err)
	}
	for _, b := range blocks {
		_ = l.Send(&agentv1.PublishLogsRequest{SubscriptionId: id, Block: b})
	}
	return m.GetCreditBytes()
}
