package supervise

import (
	"fmt"
	"syscall"

	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/proctree"
)

// Some programs are launchers: they start the one that serves and end, or wait for it. An instance lives as long as a process of its
// tree listens, whichever started it (LCH-15a).

// outlives says whether the instance goes on behind the end of its main process: that was a launcher, and what it started listens,
// or has yet to come up. In-process the main process is the server, and its end is the end.
func (i *instance) outlives(state State, exit process.Exit) bool {
	switch {
	case i.pool.config.InProcess:
		return false
	case state == Starting:
		// With another code it says itself that nothing will come.
		return exit.Code == 0 && exit.Signal == 0 && i.remains()
	}
	return i.listener.PID != 0 && i.remains()
}

// remains says whether anything lives, besides the main process, that listens; before any has listened, whether anything lives.
func (i *instance) remains() bool {
	if i.listener.PID == 0 {
		members, err := i.process.Members()
		return err != nil || len(members) > 0
	}
	if alive(i.listener) {
		return true
	}
	// Several may hold the socket.
	pid, err := i.process.Listener(i.at)
	if err != nil || pid == 0 {
		return false
	}
	i.heard(pid)
	return true
}

// heard notes which process listens; the main one is watched in any case.
func (i *instance) heard(pid int) {
	var p proctree.Process
	if pid != 0 && pid != i.process.Pid() {
		p, _ = proctree.Read(pid) // one that is gone already is found gone later
		p.PID = pid
	}
	i.guarded(func() { i.listener = p })
}

func alive(p proctree.Process) bool {
	now, err := proctree.Read(p.PID)
	return err == nil && !now.Zombie && now.Start == p.Start
}

// launched goes on without the main process.
func (i *instance) launched(exit process.Exit) {
	i.guarded(func() { i.left = true })
	i.pool.log.Info("launcher ended, what it started goes on", "instance", i.slot.number, "run", i.run, "pid", i.process.Pid(), "exit", exit.String())
	i.pool.config.Changed()
}

// terminate asks the process that serves to end where the one that was started is gone; before any serves, all there are.
func (i *instance) terminate() error {
	switch {
	case !i.left:
		return nil
	case i.listener.PID == 0:
		members, err := i.process.Members()
		for _, pid := range members {
			_ = syscall.Kill(pid, syscall.SIGTERM) // it may end by itself meanwhile
		}
		return err
	case alive(i.listener):
		return syscall.Kill(i.listener.PID, syscall.SIGTERM)
	}
	return nil
}

// whose says of which process an exit is, where it is that of a launcher: how the one that listened ended is not known.
func (i *instance) whose(exit process.Exit) string {
	if i.listener.PID == 0 {
		return ""
	}
	return fmt.Sprintf("process %d listened and is gone; %v is that of its launcher", i.listener.PID, exit)
}

// pid is the process that stands for the instance.
func (i *instance) pid() int {
	if i.left && i.listener.PID != 0 {
		return i.listener.PID
	}
	return i.process.Pid()
}
