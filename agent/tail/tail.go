// Package tail answers a controller's questions for lines from the journal. Lines travel on a connection of their own,
// opened with the first question and closed after the last answer, and only as far as the controller gave credit: who
// reads slowly leaves lines on this host's disk.
package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
)

// closeLimit is how long the controller may take to take the last lines.
const closeLimit = 5 * time.Second

// maxWishes is how many questions are answered at a time.
const maxWishes = 100

// Tail reads one journal.
type Tail struct {
	journal *journal.Journal
	log     hclog.Logger
}

// New makes a Tail.
func New(j *journal.Journal, log hclog.Logger) *Tail {
	if log == nil {
		log = hclog.NewNullLogger()
	}
	return &Tail{j, log}
}

// Dial opens the connection for lines.
type Dial func() (*grpc.ClientConn, error)

// Run answers the questions of one session until ctx ends.
func (t *Tail) Run(ctx context.Context, dial Dial, wishes <-chan *agentv1.LogSubscription) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := &answering{tail: t, active: map[string]*subscription{}, over: make(chan string)}
	defer a.wait()
	defer cancel()
	for {
		select {
		case w := <-wishes:
			a.take(ctx, dial, w)
		case id := <-a.over:
			a.end(id)
		case <-a.broken():
			t.log.Debug("the connection for lines broke")
			a.hangUp()
		case <-ctx.Done():
			return
		}
	}
}

// answering is what Run knows; only its goroutine touches it.
type answering struct {
	tail    *Tail
	line    *line // nil while nobody asks
	active  map[string]*subscription
	over    chan string
	working sync.WaitGroup
}

func (a *answering) broken() <-chan struct{} {
	if a.line == nil {
		return nil
	}
	return a.line.broken
}

func (a *answering) take(ctx context.Context, dial Dial, w *agentv1.LogSubscription) {
	id := w.GetSubscriptionId()
	if w.GetCancel() {
		if s := a.active[id]; s != nil {
			s.cancel()
		}
		return
	}
	if a.active[id] != nil || len(a.active) >= maxWishes {
		return
	}
	if a.line == nil {
		opened, err := open(context.WithoutCancel(ctx), dial)
		if err != nil {
			a.tail.log.Warn("lines cannot be sent", "error", err)
			return
		}
		a.line = opened
	}
	s := &subscription{id: id, credit: newCredit()}
	var own context.Context
	own, s.cancel = context.WithCancel(ctx)
	a.active[id] = s
	a.line.add(s)
	to := a.line
	a.working.Go(func() {
		if err := s.answer(own, a.tail.journal, to, w.GetQuery()); err != nil && own.Err() == nil {
			a.tail.log.Debug("lines not sent", "subscription", id, "error", err)
		}
		s.cancel()
		select {
		case a.over <- id:
		case <-ctx.Done():
		}
	})
}

// end forgets one question; after the last the connection is closed.
func (a *answering) end(id string) {
	if s := a.active[id]; s != nil {
		s.cancel()
		delete(a.active, id)
		if a.line != nil {
			a.line.remove(id)
		}
	}
	if len(a.active) == 0 {
		a.hangUp()
	}
}

// hangUp closes the connection; the controller asks again for what it still wants.
func (a *answering) hangUp() {
	for _, s := range a.active {
		s.cancel()
	}
	if a.line != nil {
		a.working.Go(a.line.close)
		a.line = nil
	}
}

func (a *answering) wait() {
	a.hangUp()
	a.working.Wait()
}

// line is the open PublishLogs stream.
type line struct {
	conn   *grpc.ClientConn
	stream agentv1.AgentService_PublishLogsClient
	cancel context.CancelFunc
	broken chan struct{}

	sending sync.Mutex
	mu      sync.Mutex
	subs    map[string]*subscription
}

// open outlives the session by a moment, so that what was said last arrives.
func open(ctx context.Context, dial Dial) (*line, error) {
	conn, err := dial()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	opening := time.AfterFunc(closeLimit, cancel)
	stream, err := agentv1.NewAgentServiceClient(conn).PublishLogs(ctx)
	if err == nil && !opening.Stop() {
		err = context.DeadlineExceeded
	}
	if err != nil {
		cancel()
		return nil, errors.Join(err, conn.Close())
	}
	l := &line{conn: conn, stream: stream, cancel: cancel, broken: make(chan struct{}), subs: map[string]*subscription{}}
	go l.receive()
	return l, nil
}

// receive takes credit and cancellations.
func (l *line) receive() {
	defer close(l.broken)
	for {
		m, err := l.stream.Recv()
		if err != nil {
			return
		}
		l.mu.Lock()
		s := l.subs[m.GetSubscriptionId()]
		l.mu.Unlock()
		switch {
		case s == nil:
		case m.GetCancel():
			s.cancel()
		default:
			s.credit.give(m.GetCreditBytes())
		}
	}
}

func (l *line) add(s *subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subs[s.id] = s
}

func (l *line) remove(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.subs, id)
}

func (l *line) send(m *agentv1.PublishLogsRequest) error {
	l.sending.Lock()
	defer l.sending.Unlock()
	return l.stream.Send(m)
}

// close ends the line once the controller has taken what was sent.
func (l *line) close() {
	late := time.AfterFunc(closeLimit, l.cancel) // a sender that is stuck holds the lock until then
	defer late.Stop()
	l.sending.Lock()
	_ = l.stream.CloseSend()
	l.sending.Unlock()
	<-l.broken
	l.cancel()
	_ = l.conn.Close()
}

// credit is how many bytes may be sent.
type credit struct {
	mu    sync.Mutex
	left  int64
	given chan struct{}
}

func newCredit() *credit { return &credit{given: make(chan struct{}, 1)} }

func (c *credit) give(n int64) {
	c.mu.Lock()
	c.left += n
	c.mu.Unlock()
	select {
	case c.given <- struct{}{}:
	default:
	}
}

// spend waits until there is credit and takes n bytes of it; the last block may go a little beyond.
func (c *credit) spend(ctx context.Context, n int64) error {
	for {
		c.mu.Lock()
		if c.left > 0 {
			c.left -= n
			c.mu.Unlock()
			return nil
		}
		c.mu.Unlock()
		select {
		case <-c.given:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// subscription is one question being answered.
type subscription struct {
	id     string
	cancel context.CancelFunc
	credit *credit
}

// answer sends what the query wants, then says that this was all.
func (s *subscription) answer(ctx context.Context, j *journal.Journal, to *line, q query) error {
	if err := to.send(&agentv1.PublishLogsRequest{SubscriptionId: s.id}); err != nil {
		return err
	}
	err := s.blocks(ctx, j, to, queryOf(q))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return to.send(&agentv1.PublishLogsRequest{SubscriptionId: s.id, Error: fmt.Sprintf("the journal cannot be read: %v", err)})
	}
	return to.send(&agentv1.PublishLogsRequest{SubscriptionId: s.id, End: true})
}

// blocks sends lines in blocks: as many as there are, none waits for others.
func (s *subscription) blocks(ctx context.Context, j *journal.Journal, to *line, q journal.Query) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	entries, failed := make(chan journal.Entry, 64), make(chan error, 1)
	go func() {
		defer close(entries)
		for e, err := range j.Read(ctx, q) {
			if err != nil {
				failed <- err
				return
			}
			select {
			case entries <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	b := &builder{}
	for {
		e, open := b.next(entries)
		if block := b.flush(e, open); block != nil {
			if err := s.credit.spend(ctx, int64(proto.Size(block))); err != nil {
				return err
			}
			if err := to.send(&agentv1.PublishLogsRequest{SubscriptionId: s.id, Block: block}); err != nil {
				return err
			}
		}
		if !open {
			select {
			case err := <-failed:
				return err
			default:
				return ctx.Err()
			}
		}
		if e != nil {
			b.add(*e)
		}
	}
}
