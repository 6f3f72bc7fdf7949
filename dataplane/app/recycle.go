package app

import (
	"context"
	"errors"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/recycle"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

// lookEvery is how often instances are looked at, measureEvery how often their memory is: that costs a look at all processes.
const (
	lookEvery    = time.Second
	measureEvery = 5 * time.Second
)

// tend replaces instances, one after another, and stops those that have nothing to do, as the rules say, until ctx ends. An
// application without rules costs nothing.
func (a *App) tend(ctx context.Context) {
	var judge recycle.Judge
	var before *supervise.Pool
	var measured time.Time
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.ruled:
		case <-timer.C:
		}
		pool, spec := a.tended()
		if spec == nil {
			continue // until a.ruled says that there is something
		}
		timer.Reset(lookEvery)
		if pool == nil {
			continue
		}
		if pool != before {
			judge, before = recycle.Judge{}, pool
		}
		now := time.Now()
		measure := spec.Recycle.Memory > 0 && now.Sub(measured) >= measureEvery
		if measure {
			measured = now
		}
		samples := pool.Samples(measure)
		if v, ok := judge.Next(spec.Recycle, now, samples); ok {
			a.carryOut(ctx, &judge, pool, spec, v, samples)
		}
	}
}

// tended gives what runs and how it is to run. There is no spec when nothing has to be looked at, and no pool while what runs is
// being replaced as a whole.
func (a *App) tended() (*supervise.Pool, *Spec) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed, a.pool == nil, !a.spec.Recycle.Any():
		return nil, nil
	case a.next != nil, a.successor.pending():
		return nil, a.spec
	}
	return a.pool, a.spec
}

// carryOut does what the judge says, and tells it what came of it.
func (a *App) carryOut(ctx context.Context, judge *recycle.Judge, pool *supervise.Pool, spec *Spec, v recycle.Verdict, samples []recycle.Sample) {
	if v.Reason == recycle.Idle {
		_ = pool.Rest(v) // unless a request has come, or it is not there any more
		return
	}
	err := pool.Renew(ctx, v, spec.Drain)
	switch {
	case err == nil:
		for _, s := range samples {
			if s.Slot == v.Slot {
				judge.Replaced(v, s.Ready, time.Now())
			}
		}
	case errors.Is(err, supervise.ErrMoved), errors.Is(err, supervise.ErrStopping), ctx.Err() != nil:
	default:
		pause := judge.Failed(time.Now())
		if !spec.Alone { // without an old one it is a start like others
			pool.NotRenewed(v, beside(err), pause)
		}
	}
}
