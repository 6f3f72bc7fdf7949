package supervise

import (
	"encoding/json"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

// Adopt takes over a process that an earlier worker started, if it is what this pool would start: same settings, not
// older than the recycle epoch. Whatever it refuses is the caller's to end.
func (p *Pool) Adopt(running *process.Process) bool {
	var n note
	if json.Unmarshal(running.Note(), &n) != nil || n.Port == 0 && n.Socket == "" || n.Fingerprint != p.config.Fingerprint || n.Epoch < p.config.Epoch {
		return false
	}
	at := process.Endpoint{Port: n.Port, Socket: n.Socket}
	if !p.goesOn(running, at, n.Ready) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	number := running.Identity().Instance
	if p.closed || number == 0 || int(number) > len(p.slots) || p.slots[number-1].current != nil {
		return false
	}
	s := &p.slots[number-1]
	i := p.newInstance(s)
	i.listens = n.Listens
	i.run, i.at, i.token, i.process = running.Identity().Run, at, n.Token, running
	if !n.Started.IsZero() {
		i.started = n.Started
	}
	i.holdCopy(n.Copy)
	p.window.join(n.Failures)
	s.begin(i)
	p.retired.Add(1)
	i.began()
	go func() {
		defer close(i.over)
		defer i.finish()
		// It may have become ready while no worker ran; if not, it has the whole limit again.
		m := p.machine()
		m.Warm = m.Warm && !n.Ready
		i.live(m, process.Exit{})
	}()
	return true
}

// goesOn says whether a process lives, or has left what it launched behind, which listens or has yet to come up.
func (p *Pool) goesOn(running *process.Process, at process.Endpoint, ready bool) bool {
	select {
	case <-running.Done():
	default:
		return true
	}
	exit := running.Exit()
	if p.config.InProcess || !ready && (exit.Code != 0 || exit.Signal != 0) {
		return false
	}
	if ready {
		pid, err := running.Listener(at)
		return err == nil && pid != 0
	}
	members, err := running.Members()
	return err == nil && len(members) > 0
}
