package session_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/agent/scripted"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func question(id, site string) *agentv1.SessionResponse {
	return &agentv1.SessionResponse{Message: &agentv1.SessionResponse_Explain{Explain: &agentv1.Explain{Id: id, Question: &typesv1.ExplainQuestion{Site: site}}}}
}

// Questions are answered by their ids, and one that takes long holds up nothing else that the controller says.
func TestQuestions(t *testing.T) {
	c, l := scripted.New(t), newLab(t)
	going, proceed := make(chan struct{}), make(chan struct{})
	l.explain = func(q *typesv1.ExplainQuestion) (*typesv1.Explanation, error) {
		switch q.GetSite() {
		case "slow":
			close(going)
			<-proceed
		case "bad":
			return nil, errors.New("bad question")
		}
		return &typesv1.Explanation{Site: q.GetSite()}, nil
	}
	l.connect(c)
	s := c.Session(t)
	if !slices.Contains(s.Hello.GetCapabilities(), "explain") {
		t.Errorf("%v", s.Hello)
	}
	s.Welcome(t, longLease, slowBeat)
	s.Send(t, question("1", "slow"))
	select {
	case <-going:
	case <-time.After(scripted.Patience):
		t.Fatal("nobody answers")
	}
	s.Send(t, question("2", "bad"))
	s.Manifest(t, &agentv1.Manifest{Generation: 1})
	close(proceed)
	for _, want := range [][3]string{{"1", "slow", ""}, {"2", "", "bad question"}} {
		e := s.Until(t, func(m *agentv1.SessionRequest) bool { return m.GetExplained().GetId() == want[0] }).GetExplained()
		if e.GetExplanation().GetSite() != want[1] || e.GetError() != want[2] {
			t.Errorf("%v", e)
		}
	}
}

// Where nothing can be explained that is not promised.
func TestNoQuestions(t *testing.T) {
	c, l := scripted.New(t), newLab(t)
	l.connect(c)
	s := c.Session(t)
	if len(s.Hello.GetCapabilities()) != 0 {
		t.Errorf("%v", s.Hello)
	}
	s.Welcome(t, longLease, slowBeat)
	s.Send(t, question("1", "shop"))
	if e := s.Until(t, func(m *agentv1.SessionRequest) bool { return m.GetExplained() != nil }).GetExplained(); e.GetError() == "" || e.GetExplanation() != nil {
		t.Errorf("%v", e)
	}
}
