package supervise

import (
	"fmt"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

// State is where an instance stands.
type State int

const (
	Starting State = iota + 1
	Ready
	// Warming listens and is asked for what is to be ready before visitors come.
	Warming
	// Draining takes no new requests and lets those in flight finish.
	Draining
	// Stopping has been asked to end.
	Stopping
	Exited
)

func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Ready:
		return "ready"
	case Warming:
		return "warming"
	case Draining:
		return "draining"
	case Stopping:
		return "stopping"
	case Exited:
		return "exited"
	}
	return "unknown"
}

// machine is the life of one instance as a value: step is pure, the instance's goroutine performs the effects.
type machine struct {
	State State
	// Deadline is when a tick matters next; zero: none.
	Deadline time.Time
	// Drain and Shutdown are the limits that begin with the stop.
	Drain, Shutdown time.Duration
	// End bounds both together: it is killed then at the latest; zero: nothing does.
	End time.Time
	// Ask says that the application takes a shutdown request (SHD-1).
	Ask bool
	// Busy says that requests are in flight.
	Busy bool
	// Proven says that the instance has been ready.
	Proven bool
	// Warm says that it is to be warmed up before it is ready; Warmed that this has begun.
	Warm, Warmed bool
	// Late says that the start-up limit ended it.
	Late bool
	// Patient lets it live on behind the start-up limit.
	Patient bool
	// Killed says that the shutdown limit ended it.
	Killed bool
}

type eventKind int

const (
	listening   eventKind = iota + 1 // the process tree listens on the port
	exited                           // the main process, or the one that listens, has ended
	tick                             // time has passed
	stop                             // end, after draining
	idle                             // the last request in flight has ended
	busy                             // a request is in flight
	unanswered                       // the shutdown request was not taken
	warmed                           // it has been asked for all
	listenerEnd                      // nothing of the tree listens any more, although the main process lives
	launcherEnd                      // the main process has ended, and what it started goes on
)

type event struct {
	kind  eventKind
	drain time.Duration // of stop
	end   time.Time     // of stop: when all is over at the latest; zero: the shutdown limit begins after the drain
	exit  process.Exit  // of exited
}

type effect int

const (
	announce effect = iota + 1 // ready: let the waiting requests in
	ask                        // send the shutdown request
	term                       // SIGTERM to the main process
	kill                       // SIGKILL to the whole tree
	settle                     // the end: collect, count, forget
	warm                       // ask it for what is to be ready
	tell                       // it is late and goes on: answer those who wait
	hurry                      // its end is nearer than was said
)

func (e effect) String() string {
	return [...]string{"", "announce", "ask", "term", "kill", "settle", "warm", "tell", "hurry"}[e]
}

// start gives a machine that has until limit to listen.
func start(now time.Time, limit, shutdown time.Duration, asks bool) machine {
	return machine{State: Starting, Deadline: now.Add(limit), Shutdown: shutdown, Ask: asks}
}

// step moves the machine by one event.
func step(m machine, e event, now time.Time) (machine, []effect) {
	switch e.kind {
	case busy:
		m.Busy = true
		return m, nil
	case stop:
		m.End = earlier(m.End, e.end)
	case exited:
		if m.State == Exited {
			return m, nil
		}
		m.State, m.Deadline = Exited, time.Time{}
		return m, []effect{settle}
	}
	switch m.State {
	case Starting:
		return stepStarting(m, e, now)
	case Warming:
		return stepWarming(m, e, now)
	case Ready:
		return stepReady(m, e, now)
	case Draining:
		return stepDraining(m, e, now)
	case Stopping:
		return stepStopping(m, e, now)
	}
	return m, nil
}

func stepStarting(m machine, e event, now time.Time) (machine, []effect) {
	switch {
	case e.kind == listening && m.Warm && !m.Deadline.IsZero(): // what is late already is waited for
		m.State, m.Warmed = Warming, true
		return m, []effect{warm}
	case e.kind == listening:
		return toReady(m)
	case e.kind == stop:
		return toStopping(m, now)
	case e.kind == tick && m.Deadline.IsZero(): // late already
	case e.kind == tick && !now.Before(m.Deadline) && m.Patient:
		m.Deadline = time.Time{}
		return m, []effect{tell}
	case e.kind == tick && !now.Before(m.Deadline):
		m.State, m.Late, m.Deadline = Stopping, true, time.Time{}
		return m, []effect{kill}
	}
	return m, nil
}

func toReady(m machine) (machine, []effect) {
	m.State, m.Proven, m.Deadline = Ready, true, time.Time{}
	return m, []effect{announce}
}

// stepWarming ends with what it was asked for, or with the start-up limit: what it has answered until then is all the same.
func stepWarming(m machine, e event, now time.Time) (machine, []effect) {
	switch {
	case e.kind == warmed, e.kind == tick && !now.Before(m.Deadline):
		return toReady(m)
	case e.kind == listenerEnd:
		m.State, m.Deadline = Stopping, time.Time{}
		return m, []effect{kill}
	case e.kind == stop:
		return toStopping(m, now)
	}
	return m, nil
}

func stepReady(m machine, e event, now time.Time) (machine, []effect) {
	switch e.kind {
	case idle:
		m.Busy = false
	case listenerEnd:
		// What is left cannot serve; its end is as unexpected as the listener's (LCH-15a).
		m.State, m.Deadline = Stopping, time.Time{}
		return m, []effect{kill}
	case stop:
		m.Drain = e.drain
		if !m.Busy {
			return toStopping(m, now)
		}
		m.State, m.Deadline = Draining, now.Add(e.drain)
	}
	return m, nil
}

func stepDraining(m machine, e event, now time.Time) (machine, []effect) {
	switch {
	case e.kind == idle:
		m.Busy = false
		return toStopping(m, now)
	case e.kind == stop && now.Add(e.drain).Before(m.Deadline):
		m.Deadline = now.Add(e.drain)
	case e.kind == tick && !now.Before(m.Deadline):
		return toStopping(m, now)
	}
	return m, nil
}

func toStopping(m machine, now time.Time) (machine, []effect) {
	m.State, m.Deadline = Stopping, earlier(now.Add(m.Shutdown), m.End)
	if m.Ask && m.Proven {
		return m, []effect{ask}
	}
	return m, []effect{term}
}

// earlier gives the first of two moments; a zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func stepStopping(m machine, e event, now time.Time) (machine, []effect) {
	switch {
	case (e.kind == unanswered || e.kind == launcherEnd) && !m.Deadline.IsZero():
		return m, []effect{term}
	case e.kind == stop && !m.Deadline.IsZero() && earlier(m.Deadline, m.End).Before(m.Deadline):
		m.Deadline = m.End
		return m, []effect{hurry}
	case e.kind == tick && !m.Deadline.IsZero() && !now.Before(m.Deadline):
		m.Killed, m.Deadline = true, time.Time{}
		return m, []effect{kill}
	}
	return m, nil
}

func (m machine) String() string {
	text := m.State.String()
	for _, f := range []struct {
		on   bool
		name string
	}{{m.Busy, "busy"}, {m.Proven, "proven"}, {m.Late, "late"}, {m.Killed, "killed"}} {
		if f.on {
			text += " " + f.name
		}
	}
	return fmt.Sprint(text)
}
