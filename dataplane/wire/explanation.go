package wire

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/explain"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// Limits of an explanation as it travels: each host has one, and some things in it are of other people's making.
const (
	mostSteps = 100
	mostText  = 4000 // bytes
)

// Question reads a question, or says all that makes it none.
func Question(m *typesv1.ExplainQuestion) (explain.Question, error) {
	q := explain.Question{
		Site: m.GetSite(), Scheme: m.GetScheme(), Authority: m.GetAuthority(), Target: m.GetTarget(),
		Method: cmp.Or(m.GetMethod(), "GET"), Listener: m.GetListener(),
	}
	err := q.Check()
	if text := m.GetClient(); text != "" {
		var bad error
		if q.Client, bad = netip.ParseAddr(text); bad != nil {
			bad = fmt.Errorf("client %.100q is no address", text)
			if err != nil {
				bad = fmt.Errorf("%w\n%w", err, bad)
			}
			err = bad
		}
	}
	return q, err
}

// QuestionMessage spells a question.
func QuestionMessage(q explain.Question) *typesv1.ExplainQuestion {
	m := &typesv1.ExplainQuestion{Site: q.Site, Scheme: q.Scheme, Authority: q.Authority, Target: q.Target, Method: q.Method, Listener: q.Listener}
	if q.Client.IsValid() {
		m.Client = q.Client.String()
	}
	return m
}

func explainKinds() enum[explain.Kind, typesv1.ExplainKind] {
	return enum[explain.Kind, typesv1.ExplainKind]{
		{explain.Listener, typesv1.ExplainKind_EXPLAIN_KIND_LISTENER},
		{explain.TLS, typesv1.ExplainKind_EXPLAIN_KIND_TLS},
		{explain.Request, typesv1.ExplainKind_EXPLAIN_KIND_REQUEST},
		{explain.Hostname, typesv1.ExplainKind_EXPLAIN_KIND_HOSTNAME},
		{explain.Site, typesv1.ExplainKind_EXPLAIN_KIND_SITE},
		{explain.Redirect, typesv1.ExplainKind_EXPLAIN_KIND_REDIRECT},
		{explain.Application, typesv1.ExplainKind_EXPLAIN_KIND_APPLICATION},
		{explain.Offline, typesv1.ExplainKind_EXPLAIN_KIND_OFFLINE},
		{explain.Config, typesv1.ExplainKind_EXPLAIN_KIND_CONFIG},
		{explain.Rules, typesv1.ExplainKind_EXPLAIN_KIND_RULES},
		{explain.Handler, typesv1.ExplainKind_EXPLAIN_KIND_HANDLER},
		{explain.Queue, typesv1.ExplainKind_EXPLAIN_KIND_QUEUE},
		{explain.Instance, typesv1.ExplainKind_EXPLAIN_KIND_INSTANCE},
	}
}

func explainOutcomes() enum[explain.Outcome, typesv1.ExplainOutcome] {
	return enum[explain.Outcome, typesv1.ExplainOutcome]{
		{explain.Passes, typesv1.ExplainOutcome_EXPLAIN_OUTCOME_PASSES},
		{explain.Warns, typesv1.ExplainOutcome_EXPLAIN_OUTCOME_WARNS},
		{explain.Stops, typesv1.ExplainOutcome_EXPLAIN_OUTCOME_STOPS},
	}
}

// instanceState is a word for a state of an instance.
type instanceState string

func instanceStates() enum[instanceState, typesv1.InstanceState] {
	return enum[instanceState, typesv1.InstanceState]{
		{"starting", typesv1.InstanceState_INSTANCE_STATE_STARTING},
		{"ready", typesv1.InstanceState_INSTANCE_STATE_READY},
		{"draining", typesv1.InstanceState_INSTANCE_STATE_DRAINING},
		{"stopping", typesv1.InstanceState_INSTANCE_STATE_STOPPING},
		{"exited", typesv1.InstanceState_INSTANCE_STATE_EXITED},
		{"refused", typesv1.InstanceState_INSTANCE_STATE_REFUSED},
	}
}

// ExplanationMessage spells what a host says.
func ExplanationMessage(t *explain.Trail) *typesv1.Explanation {
	m := &typesv1.Explanation{
		Site: t.Site, Application: t.Application, Status: int32(t.Answer.Status), Substatus: int32(t.Answer.Substatus),
		Location: text(t.Answer.Location), Instance: t.Answer.Instance, Starts: t.Answer.Starts,
	}
	for _, s := range t.Steps[:min(len(t.Steps), mostSteps)] {
		m.Steps = append(m.Steps, &typesv1.ExplainStep{
			Kind: explainKinds().number(s.Kind), Outcome: explainOutcomes().number(s.Outcome), Text: text(s.Text), Detail: text(s.Detail),
			File: text(s.Place.File), Line: int32(s.Place.Line), Column: int32(s.Place.Column),
		})
	}
	for _, i := range t.Instances {
		m.Instances = append(m.Instances, &typesv1.InstanceStatus{
			Site: t.Site, Application: t.Application, Instance: i.Instance, Run: i.Run, State: instanceStates().number(instanceState(i.State)),
			Revision: i.Revision, Pid: int32(i.PID), Port: uint32(i.Port), Message: text(i.Message),
		})
	}
	return m
}

// text is what a message may hold: of the length of one, in UTF-8.
func text(s string) string { return strings.ToValidUTF8(s[:min(len(s), mostText)], "\uFFFD") }

// Explanation reads what a host says. What it has no word for, from a newer host, is a step of no kind that passes.
func Explanation(m *typesv1.Explanation) *explain.Trail {
	t := &explain.Trail{Site: m.GetSite(), Application: m.GetApplication(), Answer: explain.Answer{
		Status: int(m.GetStatus()), Substatus: int(m.GetSubstatus()), Location: m.GetLocation(), Instance: m.GetInstance(), Starts: m.GetStarts(),
	}}
	for _, s := range m.GetSteps() {
		kind, _ := explainKinds().word("kind", s.GetKind())
		outcome, _ := explainOutcomes().word("outcome", s.GetOutcome())
		t.Steps = append(t.Steps, explain.Step{
			Kind: kind, Outcome: outcome, Text: s.GetText(), Detail: s.GetDetail(),
			Place: explain.Place{File: s.GetFile(), Line: int(s.GetLine()), Column: int(s.GetColumn())},
		})
	}
	for _, i := range m.GetInstances() {
		state, _ := instanceStates().word("state", i.GetState())
		t.Instances = append(t.Instances, explain.InstanceStatus{
			Instance: i.GetInstance(), Run: i.GetRun(), State: string(state), Revision: i.GetRevision(), PID: int(i.GetPid()), Port: uint16(i.GetPort()), Message: i.GetMessage(),
		})
	}
	return t
}
