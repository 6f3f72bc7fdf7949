package app

import "github.com/ancora-fleet/ancora/dataplane/supervise"

// Status is where an application stands.
type Status struct {
	Offline []string
	// Swapping says that a replacement is coming up; SwapError why the newest one did not.
	Swapping  bool
	SwapError error
	// Reason says why it does not run as it is configured.
	Reason *Refusal
	// Failure says why its newest start failed.
	Failure         error
	Starting, Ready bool
	// Revision is what requests are answered by; 0 when by nothing.
	Revision  int64
	Instances []supervise.Status
}

// Current gives how the application runs, or would with the next request, and whether an instance is ready that was started
// so; nil while it cannot run.
func (a *App) Current() (spec *Spec, ready bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pool != nil {
		_, ready = a.pool.Running()
	}
	return a.spec, ready
}

// Status tells where the application stands.
func (a *App) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := Status{Offline: a.Offline(), Swapping: a.next != nil, SwapError: a.swapErr, Reason: a.reason}
	pool := a.pool
	if pool == nil && len(a.retired) > 0 {
		pool = a.retired[len(a.retired)-1]
	}
	if pool == nil {
		return s
	}
	s.Instances = pool.Status()
	if a.pool != nil {
		s.Starting, s.Ready = a.pool.Running()
		s.Failure = a.pool.Failure()
		s.Revision = a.spec.Pool.Revision
	}
	return s
}
