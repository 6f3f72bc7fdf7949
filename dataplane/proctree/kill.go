package proctree

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// KillLimit bounds how long a kill waits for the last process to be gone.
const KillLimit = 10 * time.Second

// Kill ends every process of an instance of this subreaper with SIGKILL. It looks again until nothing is left, because
// what is being killed may have forked meanwhile.
func Kill(of Instance) error {
	keeper := os.Getpid()
	return kill(func(t Table) []int { return t.Members(of, keeper) })
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
	return kill(func(t Table) []int {
		var doomed []int
		for _, l := range left {
			doomed = append(doomed, t.Members(l, self)...)
		}
		for pid, p := range t {
			if pid != self && !p.Zombie && HasMarkPrefix(pid, prefix) {
				doomed = append(doomed, pid)
			}
		}
		return doomed
	})
}

func kill(find func(Table) []int) error {
	deadline := time.Now().Add(KillLimit)
	quiet := 0
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		table, err := Scan()
		if err != nil {
			return err
		}
		doomed := find(table)
		if len(doomed) == 0 {
			// One look may miss what was forked during it by what ended during it.
			if quiet++; quiet == 2 {
				return nil
			}
			continue
		}
		quiet = 0
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not end", doomed)
		}
		for _, pid := range doomed {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		time.Sleep(pause)
	}
}
