package app

import (
	"slices"

	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

// inherit makes what an earlier worker has left this application's own, as if that worker had never been lost. What fits the spec
// serves on, or goes on coming up. Where nothing of that serves, what serves by other settings does, until it has been replaced like
// after a change of the settings. The rest ends as what was replaced does, and what has ended meanwhile is told of. It says whether
// anything was there; the lock is held, and there is no pool.
func (a *App) inherit(found []*process.Process) bool {
	if len(found) == 0 {
		return false
	}
	offline := a.offline.Answer() != nil
	spec, pool := a.spec, supervise.New(a.poolConfig(a.spec))
	var others []supervise.Leftover
	serving := false
	for _, l := range supervise.Leftovers(found) {
		switch {
		case pool.Lost(l) && l.Known():
			a.log.Info("instance has ended while no worker ran", "instance", l.Identity().Instance, "run", l.Identity().Run, "pid", l.Pid(), "exit", l.Exit().String())
			pool.Bury(l)
		case !offline && l.Serves() && pool.Adopt(l, spec.Drain):
			a.tellAdopted(l)
			serving = serving || l.Ready()
		default:
			others = append(others, l)
		}
	}
	var before *Spec
	var old *supervise.Pool
	if !offline && !serving {
		before, old, others = a.goOn(others)
	}
	for _, l := range others {
		a.dismiss(l)
	}
	switch {
	case offline:
		a.retire(pool, 0)
		a.turnLocked()
	case old != nil:
		a.spec, a.pool = before, old
		a.setDoor(a.runningDoor())
		a.replaceBy(spec, pool)
	default:
		a.begin(pool)
	}
	return true
}

// goOn has instances serve on that were started by other settings than those wanted now: the newest, and those of its kind. It gives
// what is left, and no pool when none can serve.
func (a *App) goOn(others []supervise.Leftover) (*Spec, *supervise.Pool, []supervise.Leftover) {
	if len(others) == 0 || !others[0].Serves() || !others[0].Ready() {
		return nil, nil, others
	}
	before := *a.spec
	before.Texts = nil // they are those of what is to come
	before.Pool = others[0].By(before.Pool)
	for _, l := range others {
		before.Pool.Instances = max(before.Pool.Instances, int(l.Identity().Instance))
	}
	pool := supervise.New(a.poolConfig(&before))
	rest := slices.DeleteFunc(slices.Clone(others), func(l supervise.Leftover) bool {
		if !l.Serves() || !l.Ready() || !pool.Adopt(l, before.Drain) {
			return false
		}
		a.tellAdopted(l)
		return true
	})
	return &before, pool, rest
}

func (a *App) tellAdopted(l supervise.Leftover) {
	a.log.Info("instance adopted", "instance", l.Identity().Instance, "run", l.Identity().Run, "pid", l.Pid())
}

// dismiss ends what an earlier worker has left and nobody wants: in its own way where it is known, else by a signal.
func (a *App) dismiss(l supervise.Leftover) {
	a.log.Info("instance not wanted any more", "instance", l.Identity().Instance, "run", l.Identity().Run, "pid", l.Pid())
	pool := supervise.New(l.By(a.poolConfig(a.spec)))
	if !l.Known() || !pool.Adopt(l, 0) {
		pool.EndUnknown(l)
	}
	a.retire(pool, 0)
}

// begin puts a pool in place that is the first one, or the first after a time offline; the lock is held.
func (a *App) begin(pool *supervise.Pool) {
	a.pool = pool
	starting, ready := pool.Running()
	if a.spec.Alone && len(a.retired) > 0 && !starting && !ready {
		a.setSuccessor(newSuccessor())
		a.startAfterRetired(a.spec.Pool.Always)
		a.setDoor(a.runningDoor())
		return
	}
	a.setDoor(a.runningDoor())
	if a.spec.Pool.Always {
		go func() { _ = pool.Start() }()
	}
}
