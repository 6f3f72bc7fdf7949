package wire

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/dataplane/explain"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func TestExplanationTravels(t *testing.T) {
	q := explain.Question{Site: "shop", Scheme: "https", Authority: "shop.test", Target: "/a?b", Method: "PUT", Listener: "https", Client: netip.MustParseAddr("::1")}
	if got, err := Question(QuestionMessage(q)); err != nil || got != q {
		t.Errorf("%+v, %v", got, err)
	}
	trail := &explain.Trail{
		Site: "shop", Application: "/", Answer: explain.Answer{Status: 302, Substatus: 1, Location: "/x", Instance: 2, Starts: true},
		Instances: []explain.InstanceStatus{{Instance: 2, Run: 3, State: "refused", Revision: 4, PID: 5, Port: 6, Message: "no"}},
	}
	trail.Warn(explain.Rules, "no").Here("here").At(explain.Place{File: "/w", Line: 1, Column: 2})
	if diff := cmp.Diff(trail, Explanation(ExplanationMessage(trail))); diff != "" {
		t.Error(diff)
	}
	every(t, explainKinds(), typesv1.ExplainKind_name)
	every(t, explainOutcomes(), typesv1.ExplainOutcome_name)
	every(t, instanceStates(), typesv1.InstanceState_name)
}

// What is of others' making is bounded, and bytes that are no text do not keep an answer from travelling.
func TestExplanationIsBounded(t *testing.T) {
	trail := &explain.Trail{}
	for range 200 {
		trail.Pass(explain.Rules, "%s", strings.Repeat("\xffä", 10_000))
	}
	m := ExplanationMessage(trail)
	if content, err := proto.Marshal(m); err != nil || len(content) > 2<<20 || len(m.GetSteps()) != 100 || !utf8.ValidString(m.GetSteps()[0].GetText()) {
		t.Errorf("%d bytes, %d steps, %v", len(content), len(m.GetSteps()), err)
	}
}

func TestQuestionThatIsNone(t *testing.T) {
	_, err := Question(&typesv1.ExplainQuestion{Scheme: "gopher", Authority: "a", Target: "/", Client: "nobody"})
	if err == nil || !strings.Contains(err.Error(), "gopher") || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("%v", err)
	}
}
