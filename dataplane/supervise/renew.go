package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/meter"
	"github.com/ancora-fleet/ancora/dataplane/recycle"
)

// Recycled is what the rules of an application did to an instance, and when.
type Recycled struct {
	Time   time.Time
	Reason recycle.Reason
	Text   string
}

// ErrMoved says that an instance which was to be replaced is not the one that serves any more.
var ErrMoved = errors.New("supervise: the instance is not the current one any more")

// Samples tells of the instances that are ready; their memory where it is asked for.
func (p *Pool) Samples(memory bool) []recycle.Sample {
	p.mu.Lock()
	var ready []*instance
	var samples []recycle.Sample
	for n := range p.slots {
		if i := p.slots[n].current; i != nil && i.ready && !p.closed {
			ready = append(ready, i)
			samples = append(samples, recycle.Sample{Slot: i.slot.number, Run: i.run, Ready: i.listens, Requests: i.requests.Load(), InFlight: i.inFlight.Load()})
		}
	}
	p.mu.Unlock()
	for n, i := range ready {
		if !memory {
			break
		}
		var err error
		if samples[n].Memory, err = i.process.Memory(); err != nil {
			p.log.Warn("memory not readable", "run", i.run, "error", err)
		}
	}
	return samples
}

// of gives the instance that a verdict is about; the lock is held.
func (p *Pool) of(v recycle.Verdict) (*slot, error) {
	if p.closed {
		return nil, ErrStopping
	}
	if n := int(v.Slot); n < 1 || n > len(p.slots) {
		return nil, ErrMoved
	}
	s := &p.slots[v.Slot-1]
	if i := s.current; i == nil || i.run != v.Run || !i.ready || s.next != nil {
		return nil, ErrMoved
	}
	return s, nil
}

// Renew replaces an instance by a new one of the same configuration, and returns when that is ready, or is not going to be. It
// gets the requests from then on; those in flight with the old one may go on for drain. A replacement that does not come up leaves
// the old one, unless one must end before the other starts.
func (p *Pool) Renew(ctx context.Context, v recycle.Verdict, drain time.Duration) error {
	p.mu.Lock()
	s, err := p.of(v)
	if err == nil {
		err = p.refused(s, time.Now())
	}
	if err != nil {
		p.mu.Unlock()
		return err
	}
	old, next := s.current, p.newInstance(s)
	next.drain = drain
	if p.config.Alone {
		next.after = old.over
		s.leaves()
		s.begin(next)
	} else {
		s.next = next
	}
	p.config.Meter.Started(meter.Replace)
	p.retired.Add(1)
	p.mu.Unlock()
	p.record(old.run, journal.Event{ID: recycleEvent(v.Reason), Message: "recycled: " + string(v.Reason), Reason: v.Text})
	p.log.Info("instance recycled", "instance", v.Slot, "run", v.Run, "reason", v.Reason, "because", v.Text)
	go next.launch()
	if p.config.Alone {
		old.dismiss(drain)
		p.noted(s, v)
	}
	for next != nil && err == nil {
		err = p.wait(ctx, next)
		p.mu.Lock()
		next = next.retry
		p.mu.Unlock()
	}
	if err == nil && !p.config.Alone {
		p.noted(s, v)
	}
	return err
}

// dismiss stops an instance whose place another has, or will have.
func (i *instance) dismiss(drain time.Duration) {
	i.noteLeaving()
	i.stop(event{kind: stop, drain: drain})
}

// noted keeps what was done to an instance, and counts it.
func (p *Pool) noted(s *slot, v recycle.Verdict) {
	p.mu.Lock()
	s.recycled = &Recycled{time.Now(), v.Reason, v.Text}
	p.mu.Unlock()
	p.config.Meter.Recycled(v.Reason)
	p.config.Changed()
}

// NotRenewed notes that the replacement of an instance did not come up, and when the next one may be tried.
func (p *Pool) NotRenewed(v recycle.Verdict, failure error, pause time.Duration) {
	p.record(v.Run, journal.Event{
		ID: journal.EventRecycleFailed, Message: "the replacement does not start, the old instance goes on", Reason: fmt.Sprintf("%v; again in %v at the earliest", failure, pause),
	})
	p.log.Warn("replacement does not start, the old instance goes on", "instance", v.Slot, "run", v.Run, "error", failure, "again in", pause)
}

// Rest stops an instance that has nothing to do. The next request for its slot starts another.
func (p *Pool) Rest(v recycle.Verdict) error {
	p.mu.Lock()
	s, err := p.of(v)
	if err != nil {
		p.mu.Unlock()
		return err
	}
	i := s.current
	s.open.Store(nil) // from here on nobody comes in without the lock
	if i.inFlight.Load() > 0 || i.requests.Load() != v.Requests {
		s.open.Store(i)
		p.mu.Unlock()
		return ErrMoved
	}
	s.leaves()
	s.begin(nil)
	p.mu.Unlock()
	p.record(i.run, journal.Event{ID: recycleEvent(v.Reason), Message: "stopped: " + string(v.Reason), Reason: v.Text})
	p.log.Info("instance stopped for want of requests", "instance", v.Slot, "run", v.Run, "because", v.Text)
	i.dismiss(0)
	p.noted(s, v)
	return nil
}

// Ending says whether an instance that has no requests any more has not ended yet.
func (p *Pool) Ending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n := range p.slots {
		if len(p.slots[n].leaving) > 0 {
			return true
		}
	}
	return false
}

// recycleEvent gives the number that IIS has for it (event provider WAS).
func recycleEvent(r recycle.Reason) int {
	switch r {
	case recycle.Memory:
		return journal.EventRecycleMemory
	case recycle.Requests:
		return journal.EventRecycleRequests
	case recycle.Age:
		return journal.EventRecycleAge
	case recycle.Schedule:
		return journal.EventRecycleSchedule
	}
	return journal.EventIdle
}

// turn waits until the instance may start; false: it is not wanted any more.
func (i *instance) turn() bool {
	if i.after == nil {
		return true
	}
	<-i.after // its limits end it
	i.guarded(func() { i.started = time.Now() })
	return !i.stopping.Load()
}

// leaves ends the time of the current instance, which is to be stopped; the lock is held.
func (s *slot) leaves() {
	s.open.Store(nil)
	s.current.stopping.Store(true)
	s.leaving = append(s.leaving, s.current)
}

// takesOver puts an instance that is ready in the place of the one it is to replace, and gives that; the lock is held.
func (s *slot) takesOver(i *instance) *instance {
	if s.next != i {
		return nil
	}
	old := s.current
	old.stopping.Store(true)
	s.leaving, s.current, s.next = append(s.leaving, old), i, nil
	return old
}

// left takes out an instance that has ended, and says whether it was the current one; what was to replace that is the current one
// now. The lock is held.
func (s *slot) left(i *instance) bool {
	s.leaving = slices.DeleteFunc(s.leaving, func(other *instance) bool { return other == i })
	if s.next == i {
		s.next = nil
	}
	if s.current != i {
		return false
	}
	s.begin(s.next)
	s.next = nil
	return true
}

// retried puts the next attempt where this one was; the lock is held.
func (s *slot) retried(i, next *instance) {
	if s.next == i {
		s.next = next
		return
	}
	s.begin(next)
}
