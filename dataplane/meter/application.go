package meter

import (
	"sync"
	"sync/atomic"

	"github.com/ancora-fleet/ancora/dataplane/recycle"
)

// Reason is why an instance was started.
type Reason uint8

const (
	// Request: a request came and nothing ran.
	Request Reason = iota
	// Always: the application asks to run without requests.
	Always
	// Failure: the one before ended by itself or did not come up.
	Failure
	// Replace: it is to take the place of one that runs, for another configuration or a recycle.
	Replace
	// Port: the port of the first attempt was taken.
	Port

	reasonCount = iota
)

// Reasons lists them all.
func Reasons() []Reason { return []Reason{Request, Always, Failure, Replace, Port} }

func (r Reason) String() string {
	switch r {
	case Request:
		return "request"
	case Always:
		return "always"
	case Failure:
		return "failure"
	case Replace:
		return "replace"
	case Port:
		return "port"
	}
	return "unknown"
}

// Application counts what happens behind the door of one application. A nil one counts nothing.
type Application struct {
	connects atomic.Uint64
	starts   [reasonCount]atomic.Uint64

	mu       sync.Mutex
	recycles map[recycle.Reason]uint64
}

// Connected counts a new connection to an instance.
func (a *Application) Connected() {
	if a != nil {
		a.connects.Add(1)
	}
}

// Started counts an instance that is being started.
func (a *Application) Started(why Reason) {
	if a != nil {
		a.starts[why].Add(1)
	}
}

// Connects is how many connections to instances were opened.
func (a *Application) Connects() uint64 { return a.connects.Load() }

// Starts is how many instances were started for a reason.
func (a *Application) Starts(why Reason) uint64 { return a.starts[why].Load() }

// Recycled counts an instance that the application's rules replace or stop.
func (a *Application) Recycled(why recycle.Reason) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.recycles == nil {
		a.recycles = map[recycle.Reason]uint64{}
	}
	a.recycles[why]++
}

// Recycles is how many instances were replaced or stopped for a reason.
func (a *Application) Recycles(why recycle.Reason) uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.recycles[why]
}
