package dispatch

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

const (
	// explainLimit is how long an agent may take to explain.
	explainLimit = 5 * time.Second
	// capabilityExplain is what agents say that can.
	capabilityExplain = "explain"
)

// question is one that waits for its answer.
type question struct {
	session *session
	answer  chan *agentv1.Explained // gets one, or is closed when the session ends
}

// Explain asks a host what it would do with a request, and waits for the answer, for 5 s at most. Neither the question nor the
// answer is kept or logged: a URL may hold secrets.
func (d *Dispatcher) Explain(ctx context.Context, host string, asked *typesv1.ExplainQuestion) (*typesv1.Explanation, error) {
	id, q, err := d.question(host, asked)
	if err != nil {
		return nil, err
	}
	defer d.forget(id)
	late := time.NewTimer(explainLimit)
	defer late.Stop()
	select {
	case answer, came := <-q.answer:
		switch {
		case !came:
			return nil, fmt.Errorf("%w: the session of the host has ended", ErrBroken)
		case answer.GetError() != "":
			return nil, errors.New(answer.GetError())
		case answer.GetExplanation() == nil:
			return nil, errors.New("the host's answer is empty")
		}
		return answer.GetExplanation(), nil
	case <-late.C:
		return nil, fmt.Errorf("no answer within %v", explainLimit)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// question sends one on its way.
func (d *Dispatcher) question(host string, asked *typesv1.ExplainQuestion) (string, *question, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.sessions[host]
	if s == nil {
		return "", nil, ErrNoSession
	}
	if !slices.Contains(s.hello.GetCapabilities(), capabilityExplain) {
		return "", nil, fmt.Errorf("agent %s cannot explain: a later one can", s.hello.GetAgentVersion())
	}
	id, q := rand.Text(), &question{s, make(chan *agentv1.Explained, 1)}
	if !s.offer(&agentv1.SessionResponse{Message: &agentv1.SessionResponse_Explain{Explain: &agentv1.Explain{Id: id, Question: asked}}}) {
		return "", nil, tooMany(host)
	}
	d.questions[id] = q
	return id, q, nil
}

func (d *Dispatcher) forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.questions, id)
}

// explained takes an answer. One that is late, or that another host was asked for, is nobody's.
func (d *Dispatcher) explained(s *session, answer *agentv1.Explained) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.questions[answer.GetId()]
	if q == nil || q.session != s {
		return
	}
	delete(d.questions, answer.GetId())
	for _, i := range answer.GetExplanation().GetInstances() {
		i.Host = s.host
	}
	q.answer <- answer
}
