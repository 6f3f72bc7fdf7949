package supervise

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"syscall"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

// Leftover is a process that an earlier worker has started, and what that noted of it.
type Leftover struct {
	*process.Process
	note  note
	noted bool
}

// Leftovers reads the notes of processes. What serves comes first, the newest of it before what it was to replace; then what was
// coming up; last what was ending already, or is not known enough to be served from.
func Leftovers(found []*process.Process) []Leftover {
	var all []Leftover
	for _, p := range found {
		l := Leftover{Process: p}
		l.noted = json.Unmarshal(p.Note(), &l.note) == nil && (l.note.Port != 0 || l.note.Socket != "")
		all = append(all, l)
	}
	rank := func(l Leftover) int {
		switch {
		case !l.Serves():
			return 2
		case !l.Ready():
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b Leftover) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Identity().Run, a.Identity().Run))
	})
	return all
}

// Serves says whether it is known where it listens, and it was not told to end.
func (l Leftover) Serves() bool { return l.noted && !l.note.Leaving }

// Ready says whether it was let serve, Known whether enough was noted to end it as its pool would.
func (l Leftover) Ready() bool { return l.note.Ready }
func (l Leftover) Known() bool { return l.noted }

// By gives the configuration it was started by, as far as that matters while it lasts: c but for what tells one from another.
func (l Leftover) By(c Config) Config {
	c.Fingerprint, c.Epoch, c.Revision = l.note.Fingerprint, l.note.Epoch, l.note.Revision
	c.Protocol = "" // the first answer tells
	c.Instances = max(c.Instances, int(l.Identity().Instance))
	if l.note.Shutdown > 0 {
		c.Shutdown = l.note.Shutdown
	}
	return c
}

// fits says whether it is what a pool would start: the same settings, not older than the recycle epoch.
func (l Leftover) fits(c *Config) bool {
	return l.noted && l.note.Fingerprint == c.Fingerprint && l.note.Epoch >= c.Epoch
}

// Adopt takes over a process that lives, if it is what this pool would start and has a place here. One that was coming up to replace
// another of its slot goes on with that: drain is for the other one then. Whatever is refused is the caller's to end.
func (p *Pool) Adopt(l Leftover, drain time.Duration) bool {
	if !l.fits(&p.config) || p.Lost(l) {
		return false
	}
	n, running := l.note, l.Identity()
	p.mu.Lock()
	defer p.mu.Unlock()
	number := running.Instance
	if p.closed || number == 0 || int(number) > len(p.slots) {
		return false
	}
	s := &p.slots[number-1]
	beside := s.current != nil
	if beside && (n.Ready || p.config.Alone || s.next != nil || s.current.listens.IsZero() || running.Run < s.current.run) {
		return false
	}
	i := p.inherited(s, l)
	i.holdCopy(n.Copy)
	p.window.join(n.failures())
	if beside {
		s.next, i.drain = i, drain
	} else {
		s.begin(i)
	}
	p.retired.Add(1)
	i.began(true)
	go func() {
		defer close(i.over)
		defer i.finish()
		// It may have become ready while no worker ran; if not, it has the whole limit again.
		m := p.machine()
		m.Proven = n.Ready
		m.Warm = m.Warm && !n.Ready
		m.Patient = m.Patient && !beside
		i.live(m, process.Exit{})
	}()
	return true
}

// inherited makes an instance of what was noted of it; the lock is held.
func (p *Pool) inherited(s *slot, l Leftover) *instance {
	n := l.note
	i := p.newInstance(s)
	i.listens, i.run, i.at, i.token, i.process = n.Listens, l.Identity().Run, process.Endpoint{Port: n.Port, Socket: n.Socket}, n.Token, l.Process
	if !n.Started.IsZero() {
		i.started = n.Started
	}
	if n.Ready && i.listens.IsZero() { // an earlier version did not note it
		i.listens = i.started
	}
	return i
}

// Lost says whether a process has ended, and nothing it launched listens or has yet to come up.
func (p *Pool) Lost(l Leftover) bool {
	select {
	case <-l.Done():
	default:
		return false
	}
	exit := l.Exit()
	if p.config.InProcess || !l.Ready() && (exit.Code != 0 || exit.Signal != 0) {
		return true
	}
	if l.Ready() {
		pid, err := l.Listener(process.Endpoint{Port: l.note.Port, Socket: l.note.Socket})
		return err != nil || pid == 0
	}
	members, err := l.Members()
	return err != nil || len(members) == 0
}

// Bury has the end of a process that was lost while no worker ran told and counted like any other. It has no place any more.
func (p *Pool) Bury(l Leftover) {
	p.mu.Lock()
	at := min(max(int(l.Identity().Instance), 1), len(p.slots)) - 1
	i := p.inherited(&p.slots[at], l)
	i.lost, i.second, i.attempts = true, true, p.config.Retries
	i.stopping.Store(l.note.Leaving)
	if l.fits(&p.config) {
		p.window.join(l.note.failures())
	}
	p.retired.Add(1)
	p.mu.Unlock()
	go func() {
		defer close(i.over)
		defer i.finish()
		m := p.machine()
		m.State, m.Proven = Exited, l.Ready()
		i.end(m, l.Exit())
	}()
}

// endLimit is how long a process that nobody wants any more may take to end where it was not noted.
const endLimit = 10 * time.Second

// End asks a process that nobody wants any more to end, and sees to it that nothing of it is left once its limit for that is over.
func End(p *process.Process) error {
	l := Leftovers([]*process.Process{p})[0]
	asking, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	if err := p.Signal(asking, syscall.SIGTERM); err == nil {
		select {
		case <-p.Done():
		case <-time.After(cmp.Or(l.note.Shutdown, endLimit)):
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	return p.Forget(ctx)
}

// EndUnknown is End for a process that the pool cannot take; Stopped waits for it.
func (p *Pool) EndUnknown(l Leftover) {
	p.retired.Go(func() {
		if err := End(l.Process); err != nil {
			p.log.Error("instance not ended", "run", l.Identity().Run, "pid", l.Pid(), "error", err)
		}
	})
}
