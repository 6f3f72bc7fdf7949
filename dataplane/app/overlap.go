package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

// successor keeps a pool from starting before what it replaces has ended: both hold something of which there is one.
type successor struct {
	begin chan struct{} // closed when it may start
	gone  chan struct{} // closed when it is not wanted any more
}

func newSuccessor() *successor { return &successor{make(chan struct{}), make(chan struct{})} }

// pending says that what it waits for has not ended yet.
func (s *successor) pending() bool {
	if s == nil {
		return false
	}
	select {
	case <-s.begin:
		return false
	default:
		return true
	}
}

// wait returns nil when the pool may start; nil itself always may.
func (s *successor) wait(ctx context.Context) error {
	if s == nil {
		return nil
	}
	select {
	case <-s.begin:
		return nil
	case <-s.gone:
		return supervise.ErrStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// succeed puts a pool in the place of the current one, which ends first; meanwhile requests wait. The lock is held.
func (a *App) succeed(spec *Spec, next *supervise.Pool) {
	old, drain := a.pool, a.spec.Drain
	a.setPool(spec, next, newSuccessor())
	a.setDoor(a.runningDoor())
	a.retire(old, drain)
	a.startAfterRetired(true)
}

// startAfterRetired lets the current pool start when all that ran before has ended, without a request if at once says so;
// the lock is held.
func (a *App) startAfterRetired(atOnce bool) {
	retired, pool, next := slices.Clone(a.retired), a.pool, a.successor
	go func() {
		for _, old := range retired {
			_ = old.Stopped(context.Background()) // its limits end it
		}
		close(next.begin)
		if atOnce {
			_ = pool.Start() // unless it is not wanted any more either
		}
	}()
}

// setPool makes a pool the current one, which may start once after is over; the lock is held.
func (a *App) setPool(spec *Spec, pool *supervise.Pool, after *successor) {
	a.spec, a.pool, a.swapErr = spec, pool, nil
	a.setSuccessor(after)
}

// setSuccessor releases whoever waits for the turn of a pool that is not the current one any more; the lock is held.
func (a *App) setSuccessor(next *successor) {
	if a.successor != nil {
		close(a.successor.gone)
	}
	a.successor = next
}

// beside explains why a replacement did not start while the old instance runs, if it says what both need.
func beside(err error) error {
	start, ok := errors.AsType[*supervise.StartError](err)
	if !ok || !slices.ContainsFunc(start.Output, inUse) {
		return err
	}
	return fmt.Errorf("%w: it needs an address that the old instance holds; with overlap: false the old one ends first", err)
}

// inUse recognises what runtimes print for EADDRINUSE.
func inUse(line string) bool {
	line = strings.ToLower(line)
	return strings.Contains(line, "address already in use") || strings.Contains(line, "eaddrinuse")
}
