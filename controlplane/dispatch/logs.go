package dispatch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/controlplane/auth"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// window is how many bytes of blocks an agent may have sent of one subscription that nobody has taken yet.
const window = 256 << 10

// openLimit is how long an agent may take to open a subscription.
const openLimit = 10 * time.Second

var (
	// ErrNoSession says that a host cannot be asked now.
	ErrNoSession = errors.New("the host has no session")
	// ErrBroken says that an answer broke off on the way: the host can be asked again.
	ErrBroken = errors.New("the answer broke off")
)

// Subscription is one question to one host for lines.
type Subscription struct {
	dispatcher *Dispatcher
	id         string
	session    *session

	mu      sync.Mutex
	queue   []arrival
	waiting int // bytes in queue
	arrived chan struct{}
	err     error
	publish *publisher // by which its lines come; nil until the agent has opened it
	opening *time.Timer
}

// arrival is a message and what it cost of the credit.
type arrival struct {
	message *agentv1.PublishLogsRequest
	size    int
}

// Subscribe asks a host for lines. Close ends it, all the way down.
func (d *Dispatcher) Subscribe(host string, query *typesv1.LogQuery) (*Subscription, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sessions[host]
	if s == nil {
		return nil, ErrNoSession
	}
	sub := &Subscription{dispatcher: d, id: rand.Text(), session: s, arrived: make(chan struct{}, 1)}
	if !s.tell(&agentv1.LogSubscription{SubscriptionId: sub.id, Query: query}) {
		return nil, tooMany(host)
	}
	d.subscriptions[sub.id] = sub
	sub.opening = time.AfterFunc(openLimit, func() { sub.fail(errors.New("the host does not send lines")) })
	return sub, nil
}

func (s *session) tell(l *agentv1.LogSubscription) bool {
	return s.offer(&agentv1.SessionResponse{Message: &agentv1.SessionResponse_LogSubscription{LogSubscription: l}})
}

// offer puts a message among those that wait, if there is room.
func (s *session) offer(m *agentv1.SessionResponse) bool {
	select {
	case s.out <- m:
		return true
	default:
		return false
	}
}

func tooMany(host string) error { return fmt.Errorf("too many messages wait for host %s", host) }

// Next gives the next block; io.EOF when the host has sent all that was asked for. What it gives is paid back as credit.
func (s *Subscription) Next(ctx context.Context) (*typesv1.LogBlock, error) {
	for {
		block, err := s.take()
		if block != nil || err != nil {
			return block, err
		}
		select {
		case <-s.arrived:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Subscription) take() (*typesv1.LogBlock, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return nil, s.err
	}
	m := s.queue[0].message
	size := s.queue[0].size
	s.queue, s.waiting = s.queue[1:], s.waiting-size
	switch {
	case m.GetError() != "":
		return nil, errors.New(m.GetError())
	case m.GetBlock() != nil:
		if s.publish != nil {
			s.publish.credit(s.id, int64(size))
		}
		return m.GetBlock(), nil
	}
	return nil, io.EOF
}

// Close ends the subscription; the agent is told.
func (s *Subscription) Close() {
	s.opening.Stop()
	d := s.dispatcher
	d.mu.Lock()
	delete(d.subscriptions, s.id)
	live := d.sessions[s.session.host] == s.session
	d.mu.Unlock()
	if live {
		s.session.tell(&agentv1.LogSubscription{SubscriptionId: s.id, Cancel: true})
	}
}

// fail ends it from this side; what has come can still be taken.
func (s *Subscription) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.publish = nil
	signal(s.arrived)
}

// put takes a message of the agent's. One that sends more than it was given credit for is cut off.
func (s *Subscription) put(p *publisher, m *agentv1.PublishLogsRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	opening := m.GetBlock() == nil && !m.GetEnd() && m.GetError() == ""
	if opening {
		s.publish = p
		s.opening.Stop()
		p.credit(s.id, window)
		return nil
	}
	if p != s.publish {
		return nil // opened again by another stream meanwhile
	}
	size := proto.Size(m.GetBlock())
	if s.waiting += size; s.waiting > 2*window {
		return status.Errorf(codes.ResourceExhausted, "subscription %s: more lines than there is credit for", s.id)
	}
	if m.GetBlock() != nil {
		m.Block.Host = s.session.host
	}
	s.queue = append(s.queue, arrival{m, size})
	signal(s.arrived)
	return nil
}

// publisher is one PublishLogs stream; its loop is the only one that sends.
type publisher struct {
	mu      sync.Mutex
	credits map[string]int64
	cancels map[string]bool
	changed chan struct{}
}

func (p *publisher) credit(id string, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.credits[id] += bytes
	signal(p.changed)
}

func (p *publisher) abandon(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancels[id] = true
	signal(p.changed)
}

// PublishLogs takes the lines of a host's subscriptions until the agent ends the stream or may no longer be here.
func (d *Dispatcher) PublishLogs(stream agentv1.AgentService_PublishLogsServer) error {
	host := auth.Host(stream.Context())
	p := &publisher{credits: map[string]int64{}, cancels: map[string]bool{}, changed: make(chan struct{}, 1)}
	defer d.abandoned(p)
	received := make(chan error, 1)
	go func() { received <- d.publish(stream, host, p) }()
	for {
		view := d.store.View()
		if _, err := auth.Admitted(stream.Context(), view); err != nil {
			return err
		}
		select {
		case <-view.Next():
		case err := <-received:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-p.changed:
			if err := p.flush(stream); err != nil {
				return err
			}
		}
	}
}

func (p *publisher) flush(stream agentv1.AgentService_PublishLogsServer) error {
	p.mu.Lock()
	credits, cancels := p.credits, p.cancels
	p.credits, p.cancels = map[string]int64{}, map[string]bool{}
	p.mu.Unlock()
	for id, bytes := range credits {
		if err := stream.Send(&agentv1.PublishLogsResponse{SubscriptionId: id, CreditBytes: bytes}); err != nil {
			return err
		}
	}
	for id := range cancels {
		if err := stream.Send(&agentv1.PublishLogsResponse{SubscriptionId: id, Cancel: true}); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dispatcher) publish(stream agentv1.AgentService_PublishLogsServer, host string, p *publisher) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		d.mu.Lock()
		sub := d.subscriptions[m.GetSubscriptionId()]
		d.mu.Unlock()
		if sub == nil || sub.session.host != host {
			p.abandon(m.GetSubscriptionId())
			continue
		}
		if err := sub.put(p, m); err != nil {
			return err
		}
	}
}

// abandoned ends the subscriptions whose stream is gone: who asks may ask again.
func (d *Dispatcher) abandoned(p *publisher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, sub := range d.subscriptions {
		sub.mu.Lock()
		lost := sub.publish == p
		sub.mu.Unlock()
		if lost {
			sub.fail(fmt.Errorf("%w: the stream of lines has ended", ErrBroken))
		}
	}
}
