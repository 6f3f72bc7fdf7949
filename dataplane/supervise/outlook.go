package supervise

import (
	"errors"
	"time"
)

// Outlook is which instance a request would get that came now.
type Outlook struct {
	// Instance is its slot, State Ready, Starting, or Exited for one that would be started.
	Instance uint32
	State    State
	// Err is why it would get none. Passed is the slot it was for where another instance answers, Err is why then too.
	Err    error
	Passed uint32
	// Waits says that one which ends has to be gone before this one is started.
	Waits bool
}

// Outlook tells what Choose and Acquire would come to. It gives nobody a turn and starts nothing.
func (p *Pool) Outlook(wanted uint32, least bool) Outlook {
	at := 0
	if len(p.slots) > 1 {
		at = p.choose(wanted, least, p.turn.Load()+1)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.slots[at]
	i, err := p.standing(s)
	o := Outlook{Instance: s.number, State: Exited}
	switch {
	case err != nil:
	case i == nil:
		o.Waits = p.config.Alone && len(s.leaving) > 0
		return o
	case i.ready:
		o.State = Ready
		return o
	default:
		o.State = Starting
		select {
		case <-i.settled: // it is late, or has just failed
			err = i.failure
		default:
		}
		if err == nil {
			return o
		}
	}
	o.Err = err
	if other := p.serving(s); other != nil && !errors.Is(err, ErrStopping) {
		o.Instance, o.State, o.Passed = other.number, Ready, s.number
	}
	return o
}

// standing gives the current instance of a slot, nil where one may be started; the lock is held.
func (p *Pool) standing(s *slot) (*instance, error) {
	switch {
	case p.closed:
		return nil, ErrStopping
	case s.current != nil:
		return s.current, nil
	}
	return nil, p.refused(s, time.Now())
}
