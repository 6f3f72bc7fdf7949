package dispatch_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/controlplane/dispatch"
	"github.com/ancora-fleet/ancora/controlplane/dispatch/dispatchtest"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// asked is a subscription to a host with a session, and its agent's end.
type asked struct {
	*dispatchtest.Lab
	agent   *dispatchtest.Agent
	session *dispatchtest.Session
	sub     *dispatch.Subscription
	id      string
}

func ask(t *testing.T) *asked {
	t.Helper()
	l := dispatchtest.New(t, 0)
	a := &asked{Lab: l, agent: l.Host("web1", nil)}
	a.session = a.agent.Session(&agentv1.Hello{})
	a.session.Manifest()
	sub, err := l.Dispatcher.Subscribe("web1", &typesv1.LogQuery{Site: "shop", Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	wish := a.session.Subscription()
	if wish.GetQuery().GetSite() != "shop" || wish.GetCancel() {
		t.Fatalf("wish %v", wish)
	}
	a.sub, a.id = sub, wish.GetSubscriptionId()
	return a
}

func (a *asked) next() (*typesv1.LogBlock, error) {
	ctx, cancel := context.WithTimeout(a.Context(), dispatchtest.Limit)
	defer cancel()
	return a.sub.Next(ctx)
}

func TestLinesComeForCredit(t *testing.T) {
	a := ask(t)
	block := &typesv1.LogBlock{Host: "another", Site: "shop", Dropped: 3, Lines: make([]byte, 1000)}
	lines := a.agent.Lines()
	if credit := lines.Answer(a.id, block); credit < 64<<10 {
		t.Errorf("first credit %d", credit)
	}
	got, err := a.next()
	if err != nil || got.GetHost() != "web1" || got.GetDropped() != 3 || len(got.GetLines()) != 1000 {
		t.Fatalf("%v, %v", got, err)
	}
	if m, err := lines.Recv(); err != nil || m.GetCreditBytes() != int64(proto.Size(block)) {
		t.Errorf("%v, %v: what was taken is paid back with %d bytes", m, err, proto.Size(block))
	}
	_ = lines.Send(&agentv1.PublishLogsRequest{SubscriptionId: a.id, End: true})
	if _, err := a.next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}

func TestALineWithoutCreditEndsTheStream(t *testing.T) {
	a := ask(t)
	lines := a.agent.Lines()
	lines.Answer(a.id)
	for range 20 {
		_ = lines.Send(&agentv1.PublishLogsRequest{SubscriptionId: a.id, Block: &typesv1.LogBlock{Lines: make([]byte, 64<<10)}})
	}
	if _, err := lines.Recv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("%v", err)
	}
	var err error
	for err == nil {
		_, err = a.next()
	}
	if !errors.Is(err, dispatch.ErrBroken) {
		t.Errorf("who asks gets %v", err)
	}
}

func TestAHostAnswersOnlyWhatItWasAsked(t *testing.T) {
	a := ask(t)
	other := a.Host("web2", nil).Lines()
	_ = other.Send(&agentv1.PublishLogsRequest{SubscriptionId: a.id})
	if m, err := other.Recv(); err != nil || !m.GetCancel() {
		t.Errorf("another host's answer: %v, %v", m, err)
	}
	a.agent.Lines().Answer(a.id, &typesv1.LogBlock{FirstSequence: 7})
	if b, err := a.next(); err != nil || b.GetFirstSequence() != 7 {
		t.Errorf("%v, %v", b, err)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	a := ask(t)
	lines := a.agent.Lines()
	lines.Answer(a.id)
	_ = lines.Send(&agentv1.PublishLogsRequest{SubscriptionId: a.id, Error: "the journal cannot be read"})
	if _, err := a.next(); err == nil || !strings.Contains(err.Error(), "journal") || errors.Is(err, dispatch.ErrBroken) {
		t.Errorf("%v", err)
	}
}

func TestAnAnswerBreaksOff(t *testing.T) {
	for name, breakOff := range map[string]func(*asked, *dispatchtest.Lines){
		"stream":  func(_ *asked, l *dispatchtest.Lines) { l.End() },
		"session": func(a *asked, _ *dispatchtest.Lines) { a.session.End() },
	} {
		t.Run(name, func(t *testing.T) {
			a := ask(t)
			lines := a.agent.Lines()
			lines.Answer(a.id, &typesv1.LogBlock{})
			if _, err := a.next(); err != nil {
				t.Fatal(err)
			}
			breakOff(a, lines)
			if _, err := a.next(); !errors.Is(err, dispatch.ErrBroken) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAHostIsToldThatNobodyReads(t *testing.T) {
	a := ask(t)
	a.sub.Close()
	if wish := a.session.Subscription(); !wish.GetCancel() || wish.GetSubscriptionId() != a.id {
		t.Errorf("wish %v", wish)
	}
	lines := a.agent.Lines()
	_ = lines.Send(&agentv1.PublishLogsRequest{SubscriptionId: a.id})
	if m, err := lines.Recv(); err != nil || !m.GetCancel() {
		t.Errorf("an answer that nobody reads: %v, %v", m, err)
	}
	if _, err := a.Dispatcher.Subscribe("web2", &typesv1.LogQuery{}); !errors.Is(err, dispatch.ErrNoSession) {
		t.Errorf("a host without a session: %v", err)
	}
}
