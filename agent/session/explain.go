package session

import (
	"context"

	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
)

const (
	// mostQuestions is how many questions may wait; the controller gives one up after 5 s.
	mostQuestions = 64
	// capabilityExplain tells the controller that it may ask.
	capabilityExplain = "explain"
)

// capabilities are what this agent can do beyond v1.
func (c *Config) capabilities() []string {
	if c.Explain == nil {
		return nil
	}
	return []string{capabilityExplain}
}

// explain answers questions, one after another, beside all that keeps the lease: the data plane may be busy with a change.
func (s *session) explain(ctx context.Context) {
	for {
		select {
		case q := <-s.questions:
			answer := &agentv1.Explained{Id: q.GetId()}
			if s.config.Explain == nil {
				answer.Error = "this agent cannot explain"
			} else if said, err := s.config.Explain(q.GetQuestion()); err != nil {
				answer.Error = err.Error()
			} else {
				answer.Explanation = said
			}
			select {
			case s.answers <- &agentv1.SessionRequest{Message: &agentv1.SessionRequest_Explained{Explained: answer}}:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
