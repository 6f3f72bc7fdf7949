package logbroker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/controlplane/dispatch/dispatchtest"
	"github.com/ancora-fleet/ancora/controlplane/logbroker"
	"github.com/ancora-fleet/ancora/controlplane/store"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

const (
	streaming   = controlv1.LogHostState_LOG_HOST_STATE_STREAMING
	unreachable = controlv1.LogHostState_LOG_HOST_STATE_UNREACHABLE
	finished    = controlv1.LogHostState_LOG_HOST_STATE_ENDED
)

var web = map[string]string{"role": "web"}

// operator reads one stream.
type operator struct {
	*dispatchtest.Lab
	messages chan *controlv1.StreamLogsResponse
	leave    context.CancelFunc
	left     chan error
}

func newLab(t *testing.T) *dispatchtest.Lab {
	t.Helper()
	l := dispatchtest.New(t, 0)
	l.Site("shop", "role=web", "/srv/1")
	return l
}

func read(l *dispatchtest.Lab, query *typesv1.LogQuery) *operator {
	ctx, cancel := context.WithCancel(l.Context())
	o := &operator{Lab: l, messages: make(chan *controlv1.StreamLogsResponse), leave: cancel, left: make(chan error, 1)}
	broker := logbroker.New(logbroker.Config{Store: l.Store, Hosts: l.Dispatcher})
	query.Site = "shop"
	go func() {
		o.left <- broker.Stream(ctx, &controlv1.StreamLogsRequest{Query: query}, func(m *controlv1.StreamLogsResponse) error {
			select {
			case o.messages <- m:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	l.Cleanup(func() {
		cancel()
		o.ended()
	})
	return o
}

func (o *operator) ended() error {
	select {
	case err := <-o.left:
		o.left <- err
		return err
	case <-time.After(dispatchtest.Limit):
		o.Error("the stream does not end")
		return errors.New("not ended")
	}
}

func (o *operator) next() *controlv1.StreamLogsResponse {
	o.Helper()
	select {
	case m := <-o.messages:
		return m
	case <-time.After(dispatchtest.Limit):
		o.Fatal("nothing comes")
	}
	return nil
}

func (o *operator) host(name string, state controlv1.LogHostState) *controlv1.LogHost {
	o.Helper()
	h := o.next().GetHost()
	if h.GetHost() != name || h.GetState() != state {
		o.Fatalf("%v, want %s of %s", h, state, name)
	}
	return h
}

func (o *operator) block(host string, first uint64) *typesv1.LogBlock {
	o.Helper()
	m := o.next()
	if b := m.GetBlock(); b.GetHost() != host || b.GetFirstSequence() != first {
		o.Fatalf("%v, want the block of %s that begins with %d", m, host, first)
	}
	return m.GetBlock()
}

func block(application string, first uint64, cursor string) *typesv1.LogBlock {
	return &typesv1.LogBlock{Site: "shop", Application: application, FirstSequence: first, Count: 1, Cursor: cursor}
}

func session(a *dispatchtest.Agent) *dispatchtest.Session {
	s := a.Session(&agentv1.Hello{})
	s.Manifest()
	return s
}

func TestAllHostsHistory(t *testing.T) {
	l := newLab(t)
	web1, web2 := l.Host("web1", web), l.Host("web2", web)
	l.Host("web3", web)
	l.Host("mail1", nil)
	one, two := session(web1), session(web2)
	o := read(l, &typesv1.LogQuery{})
	for agent, s := range map[*dispatchtest.Agent]*dispatchtest.Session{web1: one, web2: two} {
		id := s.Subscription().GetSubscriptionId()
		lines := agent.Lines()
		lines.Answer(id, &typesv1.LogBlock{FirstSequence: 4, Dropped: 3})
		_ = lines.Send(&agentv1.PublishLogsRequest{SubscriptionId: id, End: true})
	}
	words, blocks := map[string][]controlv1.LogHostState{}, map[string]uint64{}
	for range 7 {
		m := o.next()
		if b := m.GetBlock(); b != nil {
			blocks[b.GetHost()] += b.GetDropped()
		} else {
			words[m.GetHost().GetHost()] = append(words[m.GetHost().GetHost()], m.GetHost().GetState())
		}
	}
	if err := o.ended(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if len(blocks) != 2 || blocks["web1"] != 3 || blocks["web2"] != 3 {
		t.Errorf("dropped lines %v, want 3 of both", blocks)
	}
	for host, want := range map[string][]controlv1.LogHostState{"web1": {streaming, finished}, "web2": {streaming, finished}, "web3": {unreachable}} {
		if !slices.Equal(words[host], want) {
			t.Errorf("%s: %v, want %v", host, words[host], want)
		}
	}
}

func TestAHostGoesOnWhereItWas(t *testing.T) {
	l := newLab(t)
	agent := l.Host("web1", web)
	s := session(agent)
	o := read(l, &typesv1.LogQuery{Follow: true, Tail: proto.Uint32(5), Cursors: []string{"mine"}})
	wish := s.Subscription()
	if wish.GetQuery().GetTail() != 5 || !slices.Equal(wish.GetQuery().GetCursors(), []string{"mine"}) {
		t.Fatalf("first question %v", wish)
	}
	agent.Lines().Answer(wish.GetSubscriptionId(), block("/", 1, "root-1"), block("/", 2, "root-2"), block("/api", 1, "api-1"))
	o.host("web1", streaming)
	o.block("web1", 1)
	o.block("web1", 2)
	o.block("web1", 1)

	s.End()
	o.host("web1", unreachable)
	s = session(agent)
	wish = s.Subscription()
	cursors := slices.Sorted(slices.Values(wish.GetQuery().GetCursors()))
	if wish.GetQuery().Tail != nil || wish.GetQuery().SinceTime != nil || !slices.Equal(cursors, []string{"api-1", "mine", "root-2"}) {
		t.Errorf("second question %v", wish)
	}
	agent.Lines().Answer(wish.GetSubscriptionId(), block("/", 3, "root-3"))
	o.host("web1", streaming)
	o.block("web1", 3)
}

// What an application wrote before the operator came is not shown because another one's answer broke off.
func TestTailIsNotAskedTwice(t *testing.T) {
	l := newLab(t)
	agent := l.Host("web1", web)
	s := session(agent)
	before := time.Now()
	o := read(l, &typesv1.LogQuery{Follow: true, Tail: proto.Uint32(0)})
	lines := agent.Lines()
	lines.Answer(s.Subscription().GetSubscriptionId(), block("/", 1, "root-1"))
	o.host("web1", streaming)
	o.block("web1", 1)
	lines.End()
	if wish := s.Subscription(); !wish.GetCancel() {
		t.Errorf("wish %v, want the end of the first", wish)
	}
	q := s.Subscription().GetQuery()
	if since := q.GetSinceTime(); q.Tail != nil || since == nil || since.AsTime().Before(before) || since.AsTime().After(time.Now()) {
		t.Errorf("second question %v", q)
	}
}

func TestWhatAHostCannotAnswerIsSaidOnce(t *testing.T) {
	l := newLab(t)
	agent := l.Host("web1", web)
	s := session(agent)
	o := read(l, &typesv1.LogQuery{Follow: true})
	lines := agent.Lines()
	refuse := func() {
		t.Helper()
		wish := s.Subscription()
		for wish.GetCancel() {
			wish = s.Subscription()
		}
		lines.Answer(wish.GetSubscriptionId())
		_ = lines.Send(&agentv1.PublishLogsRequest{SubscriptionId: wish.GetSubscriptionId(), Error: "the journal cannot be read"})
	}
	refuse()
	o.host("web1", streaming)
	if h := o.host("web1", unreachable); h.GetReason() != "the journal cannot be read" {
		t.Errorf("reason %q", h.GetReason())
	}
	refuse()
	wish := s.Subscription()
	for wish.GetCancel() {
		wish = s.Subscription()
	}
	lines.Answer(wish.GetSubscriptionId(), block("/", 1, "root-1"))
	o.host("web1", streaming)
	o.block("web1", 1)
}

func TestPlacementIsFollowed(t *testing.T) {
	l := newLab(t)
	agent := l.Host("web1", nil)
	s := session(agent)
	o := read(l, &typesv1.LogQuery{Follow: true})
	label := func(labels map[string]string) {
		l.Update(func(tx *store.Tx) { tx.PutHost(&typesv1.Host{Name: "web1", Labels: labels}) })
	}
	label(web)
	wish := s.Subscription()
	agent.Lines().Answer(wish.GetSubscriptionId(), block("/", 1, "root-1"))
	o.host("web1", streaming)
	o.block("web1", 1)
	label(nil)
	if end := s.Subscription(); !end.GetCancel() || end.GetSubscriptionId() != wish.GetSubscriptionId() {
		t.Errorf("wish %v, want the end of the first", end)
	}
	label(web)
	if q := s.Subscription().GetQuery(); !slices.Equal(q.GetCursors(), []string{"root-1"}) {
		t.Errorf("placed again it is asked %v", q)
	}
}

func TestTheOperatorLeaves(t *testing.T) {
	l := newLab(t)
	s := session(l.Host("web1", web))
	o := read(l, &typesv1.LogQuery{Follow: true})
	wish := s.Subscription()
	o.host("web1", streaming)
	o.leave()
	if err := o.ended(); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
	if end := s.Subscription(); !end.GetCancel() || end.GetSubscriptionId() != wish.GetSubscriptionId() {
		t.Errorf("wish %v, want the end of the first", end)
	}
}
