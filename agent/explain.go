package agent

import (
	"slices"

	"github.com/ancora-fleet/ancora/agent/lastgood"
	"github.com/ancora-fleet/ancora/dataplane/explain"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// explain answers the controller's operators.
func (a *Agent) explain(m *typesv1.ExplainQuestion) (*typesv1.Explanation, error) {
	q, err := wire.Question(m)
	if err != nil {
		return nil, err
	}
	return wire.ExplanationMessage(a.wanted.explain(q)), nil
}

// explain says what the data plane would do, and before that what it was never given.
func (a *assignments) explain(q explain.Question) *explain.Trail {
	a.mu.Lock()
	reason, wanted := a.unusableSites[q.Site], int64(0)
	if i := slices.IndexFunc(a.index.Sites, func(s lastgood.Site) bool { return s.Name == q.Site }); i >= 0 {
		wanted = a.index.Sites[i].Revision
	}
	a.mu.Unlock()
	t := a.server.Explain(q)
	if reason != "" {
		first := &explain.Trail{}
		first.Warn(explain.Site, "site %s, revision %d is REJECTED: %s", q.Site, wanted, reason)
		t.Steps = slices.Insert(t.Steps, 0, first.Steps...)
	}
	return t
}
