// Package processors gives the process as many processors as its load takes: one while that is enough. Each further one is
// woken for work that the first would have come to some microseconds later, looks for more, finds none and goes to sleep again,
// which costs up to a tenth of what forwarding a request does; and on a host that has nothing to spare, they wait for each other.
package processors

import (
	"context"
	"runtime"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Most is how many are used unless somebody asks for more: what it costs to find the next goroutine grows with every processor
// that looks for one, and four forward more than most hosts have applications for.
const Most = 4

// interval is how often the load is looked at, and rest how often when there is little of it or all processors are in use, so that
// there is no hurry: to look costs.
const (
	interval = 100 * time.Millisecond
	rest     = 500 * time.Millisecond
)

// Governor sets GOMAXPROCS, of which a process has one.
type Governor struct {
	most int
	log  hclog.Logger
	proc string // where proc(5) is
}

// New makes a governor that uses at most so many processors; 0: as many as Go would, which is all of the host or of its
// cgroup, but at most Most. Until it runs all of them are in use.
func New(most int, log hclog.Logger) *Governor {
	g := &Governor{most, log, "/proc"}
	g.all()
	return g
}

// all puts all processors in use that may be, and says how many those are.
func (g *Governor) all() int {
	if g.most > 0 {
		runtime.GOMAXPROCS(g.most)
		return g.most
	}
	runtime.SetDefaultGOMAXPROCS() // from here on Go follows the limits of the cgroup, until somebody sets a number
	if runtime.GOMAXPROCS(0) > Most {
		runtime.GOMAXPROCS(Most)
	}
	return runtime.GOMAXPROCS(0)
}

// Run follows the load until ctx ends, once, and leaves all processors in use.
func (g *Governor) Run(ctx context.Context) error {
	defer g.all()
	most := runtime.GOMAXPROCS(0) // New has put all in use
	rule, gauges := newRule(), newGauges(g.proc)
	defer gauges.close()
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		now := runtime.GOMAXPROCS(0)
		most = max(most, now) // Go may have found more
		l := gauges.read(time.Now(), now, most)
		if next := rule.next(now, most, l); next != now {
			if next > now {
				most = g.all()
			} else {
				runtime.GOMAXPROCS(next)
			}
			g.log.Debug("processors follow the load", "processors", runtime.GOMAXPROCS(0), "before", now, "ran", l.ran, "waited", l.waited, "idle", l.idle)
		}
		if now = runtime.GOMAXPROCS(0); now == most || now == 1 && l.ran < little {
			timer.Reset(rest)
		} else {
			timer.Reset(interval)
		}
	}
}
