package proctree

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// KillLimit bounds how long a kill waits for the last process to be gone.
const KillLimit = 10 * time.Second

// Kill ends every process of an instance of this subreaper with SIGKILL. It looks again until nothing is left, because
// what is being killed may have forked meanwhile.
func Kill(of Instance) error {
	keeper := os.Getpid()
	return kill(func(t Table) ([]int, bool) { return t.members(of, keeper) })
}

// Instance names the main process of an instance, which may have ended, and the mark of everything it started.
type Instance struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
	Mark  string `json:"mark"`
}

// KillLeftovers ends the trees of processes that still are who they were, and everything whose mark begins with prefix.
func KillLeftovers(left []Instance, prefix string) error {
	self := os.Getpid()
	return kill(func(t Table) (doomed []int, sure bool) {
		for _, l := range left {
			doomed = append(doomed, t.Members(l, self)...)
		}
		sure = true
		for pid, p := range t {
			if pid == self || p.Zombie {
				continue
			}
			mark, clear := markOf(pid)
			sure = sure && clear
			if mark != "" && strings.HasPrefix(mark, prefix) {
				doomed = append(doomed, pid)
			}
		}
		return doomed, sure
	})
}

// KillDescendants ends everything that descends from this process, a subreaper: also what shed session and mark.
func KillDescendants() error {
	self := os.Getpid()
	return kill(func(t Table) (doomed []int, sure bool) {
		for pid, p := range t {
			for above := p.Parent; above > 0 && !p.Zombie; above = t[above].Parent {
				if above == self {
					doomed = append(doomed, pid)
					break
				}
			}
		}
		return doomed, true
	})
}

// kill looks until nothing is found. A look can miss what was forked during it by something that ended during it, so it
// proves something only when find was sure of every process and nothing at all was forked meanwhile; on a busy machine
// many looks must do.
func kill(find func(Table) (doomed []int, sure bool)) error {
	const proven, enough = 2, 40
	deadline := time.Now().Add(KillLimit)
	pause, quiet, empty := time.Millisecond, 0, 0
	for quiet < proven && empty < enough {
		before := lastPID()
		table, err := Scan()
		if err != nil {
			return err
		}
		doomed, sure := find(table)
		for _, pid := range doomed {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		switch {
		case len(doomed) == 0 && sure && before == lastPID():
			quiet, empty = quiet+1, empty+1
		case len(doomed) == 0:
			quiet, empty = 0, empty+1
		case time.Now().After(deadline):
			return fmt.Errorf("processes %v do not end", doomed)
		default:
			quiet, empty = 0, 0
			time.Sleep(pause)
			pause = min(2*pause, 10*time.Millisecond)
		}
	}
	return nil
}

// lastPID gives the pid that was given out last, the last field of loadavg; it stays the same while nothing is forked.
func lastPID() string {
	data, _ := os.ReadFile("/proc/loadavg")
	return string(data[bytes.LastIndexByte(data, ' ')+1:])
}
