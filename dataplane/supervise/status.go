package supervise

import "time"

// Status is what is known of a pool's instance, running or gone.
type Status struct {
	Instance       uint32
	Run            uint64
	State          State
	Revision       int64
	PID            int
	Port           uint16
	RecentFailures int
	// Refused says that starts are refused because of rapid fails.
	Refused   bool
	LastExit  *ExitRecord
	Message   string
	StartTime time.Time
}

// Status tells where the pool stands; ok is false when there never was an instance.
func (p *Pool) Status() (s Status, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s = Status{Instance: slot, State: Exited, Revision: p.config.Revision, RecentFailures: p.window.count(now), LastExit: p.last}
	if p.failure != nil {
		s.Message = p.failure.Error()
	}
	_, s.Refused = p.window.refuses(p.config.RapidFails, now)
	i := p.current
	if i == nil {
		if p.last != nil {
			s.Run = p.last.Run
		}
		return s, p.last != nil || p.failure != nil
	}
	s.Run, s.State, s.Port, s.StartTime = i.run, i.state, i.at.Port, i.started
	if i.process != nil {
		s.PID = i.process.Pid()
	}
	return s, true
}

// Failure is why the newest start failed; nil when it did not.
func (p *Pool) Failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failure
}

// Running says whether an instance is starting or ready.
func (p *Pool) Running() (starting, ready bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current != nil && !p.current.ready, p.current != nil && p.current.ready
}
