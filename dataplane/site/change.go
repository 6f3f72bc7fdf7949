package site

import (
	"reflect"
)

// Change is what a difference between two revisions of an application costs.
type Change int

const (
	// ChangeNone costs nothing.
	ChangeNone Change = iota
	// ChangeRoutes touches only what stands before the process: timeouts of requests, pages.
	ChangeRoutes
	// ChangeSwap needs a new instance.
	ChangeSwap
)

// Compare says what going from old to new costs.
func Compare(old, new *Application) Change {
	if reflect.DeepEqual(old, new) {
		return ChangeNone
	}
	o, n := *old, *new
	for _, a := range []*Application{&o, &n} {
		a.RequestTimeout, a.DisableStartUpErrorPage, a.RapidFailsPerMinute = nil, nil, nil
		a.StartupTimeLimit, a.ShutdownTimeLimit, a.Start = nil, nil, ""
		a.Drain, a.Overlap, a.Balance, a.Affinity = nil, nil, "", ""
		a.BodyLimit, a.Concurrency, a.Queue, a.QueueTimeout, a.Open = nil, nil, nil, nil, nil
		a.Idle, a.Recycle = nil, Recycle{}
	}
	if reflect.DeepEqual(o, n) {
		return ChangeRoutes
	}
	return ChangeSwap
}
