package supervise

import (
	"fmt"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/process"
)

// startEvent is what is noted once no attempt is left (LCH-12). In-process the module tells a program that ends (1011) from an exception
// (1018, a signal here) and from what never ran (1031).
func (i *instance) startEvent(f *StartError, exit string) journal.Event {
	e := journal.Event{ID: journal.EventStartFailed, Message: "the application does not start", Reason: f.Message, Exit: exit, Output: f.Output}
	switch {
	case !i.pool.config.InProcess:
	case f.Exit == nil:
		e.ID = journal.EventFailedInProcess
	default:
		e.ID = exitEvent(true, *f.Exit)
		if f.Exit.Signal == 0 {
			e.Reason += fmt.Sprintf(" (0x%x)", f.Exit.Code)
		}
	}
	return e
}

// exitEvent is the number for an end that nobody asked for.
func exitEvent(inProcess bool, exit process.Exit) int {
	if inProcess && exit.Signal == 0 {
		return journal.EventExitedByCode
	}
	return journal.EventExited
}

func stopEvent(inProcess bool) int {
	if inProcess {
		return journal.EventShutdownInProcess
	}
	return journal.EventShutdown
}

// exitFailure is what an end that nobody asked for counts as: in-process, soon after it was ready, as a start that failed.
func (i *instance) exitFailure(exit process.Exit) error {
	c := &i.pool.config
	if !c.InProcess || !short(i.listens, time.Now()) {
		return fmt.Errorf("ended by itself: %v", exit)
	}
	return &StartError{
		Message: fmt.Sprintf("ended with %v within %v of being ready", exit, provenAfter), Exit: &exit, Served: true,
		Output: c.Journal.LastCharacters(c.Site, c.Application, i.run, startOutput),
	}
}

// late answers those who wait for an instance that goes on although its time to start is over.
func (p *Pool) late(i *instance, failure error) {
	p.mu.Lock()
	i.slot.failure = failure
	i.settle(failure)
	p.mu.Unlock()
	p.config.Changed()
}
