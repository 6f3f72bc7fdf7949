package dispatch_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/controlplane/dispatch"
	"github.com/ancora-fleet/ancora/controlplane/dispatch/dispatchtest"
	"github.com/ancora-fleet/ancora/controlplane/store"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// answered is what a call of Explain came to.
type answered struct {
	explanation *typesv1.Explanation
	err         error
}

// explain asks a host, and gives where the answer comes.
func explain(l *dispatchtest.Lab, ctx context.Context, host, url string) <-chan answered {
	came := make(chan answered, 1)
	go func() {
		e, err := l.Dispatcher.Explain(ctx, host, &typesv1.ExplainQuestion{Site: "shop", Target: url})
		came <- answered{e, err}
	}()
	return came
}

func can() *agentv1.Hello { return &agentv1.Hello{Capabilities: []string{"other", "explain"}} }

func explained(id, text string) *agentv1.SessionRequest {
	return &agentv1.SessionRequest{Message: &agentv1.SessionRequest_Explained{Explained: &agentv1.Explained{
		Id: id, Explanation: &typesv1.Explanation{Site: text, Instances: []*typesv1.InstanceStatus{{Host: "another"}}},
	}}}
}

// Each question gets its own answer, whatever order they come in, and none from a host that was not asked.
func TestQuestionsAreAnswered(t *testing.T) {
	l := dispatchtest.New(t, 0)
	web1, web2 := l.Host("web1", nil).Session(can()), l.Host("web2", nil).Session(can())
	web1.Manifest()
	web2.Manifest()
	first := explain(l, t.Context(), "web1", "/first")
	one := web1.Explain()
	second := explain(l, t.Context(), "web1", "/second")
	two := web1.Explain()
	if one.GetQuestion().GetTarget() != "/first" || two.GetQuestion().GetTarget() != "/second" || one.GetId() == two.GetId() {
		t.Fatalf("%v, %v", one, two)
	}
	web2.Send(explained(one.GetId(), "a stranger's"))
	l.Eventually("what web2 says is heard", func(o *store.Observed) bool {
		web2.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_SiteStatus{SiteStatus: &typesv1.SiteStatus{Site: "after"}}})
		return o.SiteStatus("web2", "after") != nil
	})
	web1.Send(explained(two.GetId(), "second"))
	web1.Send(explained(two.GetId(), "again"))
	web1.Send(explained("nobody", "nobody's"))
	web1.Send(explained(one.GetId(), "first"))
	for want, from := range map[string]<-chan answered{"first": first, "second": second} {
		a := <-from
		if a.err != nil || a.explanation.GetSite() != want || a.explanation.GetInstances()[0].GetHost() != "web1" {
			t.Errorf("%s: %v, %v", want, a.explanation, a.err)
		}
	}
	third := explain(l, t.Context(), "web1", "/third")
	web1.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_Explained{Explained: &agentv1.Explained{Id: web1.Explain().GetId(), Error: "no such thing"}}})
	if a := <-third; a.err == nil || a.err.Error() != "no such thing" {
		t.Errorf("%v, %v", a.explanation, a.err)
	}
}

// A host that cannot answer, for each reason, is told at once.
func TestQuestionsWithoutAnAnswer(t *testing.T) {
	l := dispatchtest.New(t, 0)
	if a := <-explain(l, t.Context(), "web1", "/"); !errors.Is(a.err, dispatch.ErrNoSession) {
		t.Errorf("no session: %v", a.err)
	}
	old := l.Host("old", nil).Session(&agentv1.Hello{AgentVersion: "0.3"})
	old.Manifest()
	if a := <-explain(l, t.Context(), "old", "/"); a.err == nil || !strings.Contains(a.err.Error(), "agent 0.3 cannot explain") {
		t.Errorf("an older agent: %v", a.err)
	}
	web1 := l.Host("web1", nil).Session(can())
	web1.Manifest()
	came := explain(l, t.Context(), "web1", "/")
	web1.Explain()
	web1.End()
	if a := <-came; !errors.Is(a.err, dispatch.ErrBroken) {
		t.Errorf("the session ends: %v", a.err)
	}
	silent := l.Host("silent", nil).Session(can())
	silent.Manifest()
	if a := <-explain(l, t.Context(), "silent", "/"); a.err == nil || !strings.Contains(a.err.Error(), "no answer within") {
		t.Errorf("no answer: %v", a.err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	came = explain(l, ctx, "silent", "/")
	silent.Explain()
	cancel()
	if a := <-came; !errors.Is(a.err, context.Canceled) {
		t.Errorf("the operator leaves: %v", a.err)
	}
}
