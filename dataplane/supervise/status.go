package supervise

import (
	"errors"
	"time"
)

// Status is what is known of one instance of a pool, running or gone.
type Status struct {
	Instance       uint32
	Run            uint64
	State          State
	Revision       int64
	PID            int
	Port           uint16
	RecentFailures int
	// Refused says that starts are refused: because of rapid fails, or since a failed start in-process stands.
	Refused   bool
	LastExit  *ExitRecord
	Message   string
	StartTime time.Time
	// Recycled is what was last done to the instance of this slot by the application's rules; nil: nothing.
	Recycled *Recycled
	// InFlight is how many requests it has.
	InFlight int64
}

// Status tells of every slot that has, or had, an instance.
func (p *Pool) Status() []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Status
	for n := range p.slots {
		if s, ok := p.statusOf(&p.slots[n]); ok {
			all = append(all, s)
		}
	}
	return all
}

// statusOf is of one slot; ok is false when there never was an instance. The lock is held.
func (p *Pool) statusOf(slot *slot) (s Status, ok bool) {
	now := time.Now()
	s = Status{Instance: slot.number, State: Exited, Revision: p.config.Revision, RecentFailures: p.window.count(now), LastExit: slot.last, Recycled: slot.recycled}
	refused := p.refused(slot, now)
	s.Refused = refused != nil
	if slot.failure != nil {
		s.Message = slot.failure.Error()
	}
	if stuck, ok := errors.AsType[*StuckError](refused); ok {
		s.Message = stuck.Error()
	}
	i := slot.current
	if n := len(slot.leaving); i == nil && n > 0 {
		i = slot.leaving[n-1]
	}
	if i == nil {
		if slot.last != nil {
			s.Run = slot.last.Run
		}
		return s, slot.last != nil || slot.failure != nil
	}
	s.Run, s.State, s.Port, s.StartTime, s.InFlight = i.run, i.state, i.at.Port, i.started, i.inFlight.Load()
	if i.process != nil {
		s.PID = i.pid()
	}
	return s, true
}

// Failure is why the newest start of an instance failed that does not run; nil when none did.
func (p *Pool) Failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := range p.slots {
		s := &p.slots[n]
		if stuck, ok := errors.AsType[*StuckError](p.refused(s, time.Now())); ok {
			return stuck
		}
		if s.failure != nil {
			return s.failure
		}
	}
	return nil
}

// Running says whether an instance is starting, and whether one is ready.
func (p *Pool) Running() (starting, ready bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := range p.slots {
		if i := p.slots[n].current; i != nil {
			starting, ready = starting || !i.ready, ready || i.ready
		}
	}
	return starting, ready
}
