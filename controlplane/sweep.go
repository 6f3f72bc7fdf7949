package controlplane

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/controlplane/store"
)

const (
	// keepTokens is how long a token that has expired is kept, so that who comes late is told why.
	keepTokens = 24 * time.Hour
	// sweepEvery bounds how long a sweep sleeps, as clocks jump.
	sweepEvery = time.Minute
	// sweepRetry is the pause after a sweep that could not be written.
	sweepRetry = 5 * time.Second
)

// sweeper deletes what has expired. Hosts end notices by their own clocks; this only keeps the list true.
type sweeper struct {
	store  *store.Store
	logger hclog.Logger
}

func (s sweeper) run(ctx context.Context) error {
	if !wait(ctx, s.store.Ready()) {
		return nil
	}
	for {
		view := s.store.View()
		pause := time.Until(next(view, time.Now().Add(sweepEvery)))
		if pause <= 0 {
			if view, pause = s.sweep(ctx); view == nil {
				view = s.store.View()
			}
		}
		select {
		case <-time.After(pause):
		case <-view.Next():
		case <-ctx.Done():
			return nil
		}
	}
}

// next is when something expires, at the latest limit.
func next(view *store.View, limit time.Time) time.Time {
	for _, n := range view.Notices {
		if e := n.Message.GetExpireTime(); e != nil && e.AsTime().Before(limit) {
			limit = e.AsTime()
		}
	}
	for _, t := range view.Tokens {
		if e := t.Message.GetExpireTime().AsTime().Add(keepTokens); e.Before(limit) {
			limit = e
		}
	}
	return limit
}

// sweep deletes what has expired and gives the view without it; after an error the pause before the next try.
func (s sweeper) sweep(ctx context.Context) (*store.View, time.Duration) {
	now := time.Now()
	var notices []string
	view, err := s.store.Update(ctx, func(tx *store.Tx) error {
		notices = nil
		for name, n := range tx.View.Notices {
			if e := n.Message.GetExpireTime(); e != nil && !now.Before(e.AsTime()) {
				tx.DeleteNotice(n)
				notices = append(notices, name)
			}
		}
		for _, t := range tx.View.Tokens {
			if !now.Before(t.Message.GetExpireTime().AsTime().Add(keepTokens)) {
				tx.DeleteToken(t)
			}
		}
		return nil
	})
	if err != nil {
		if ctx.Err() == nil {
			s.logger.Warn("could not delete what has expired", "error", err)
		}
		return nil, sweepRetry
	}
	for _, name := range notices {
		s.logger.Info("offline notice has expired", "notice", name)
	}
	return view, 0
}
