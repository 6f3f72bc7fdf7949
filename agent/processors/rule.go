package processors

import "time"

// load is what was seen in an interval, in processors: 1 is one of them all the time.
type load struct {
	took   time.Duration
	ran    float64 // what the process has used
	waited float64 // what its threads would have used but for others that ran
	idle   float64 // what nobody on the host has used
}

// Bounds of the rule.
const (
	full    = 0.9  // of the processors in use, used up: there have to be more,
	spare   = 0.25 // of one processor, idle on the host: and there are
	starved = 0.5  // of the processors in use, waited for: with more threads the process has a larger share
	held    = 0.25 // of the processors in use, waited for, although the host has some to spare: the kernel has put too much on one
	enough  = 0.7  // of one processor less, used: one less is enough
	crowded = 0.5  // of one processor less, waited for: the threads wait for each other, when one less could have run all that ran
)

// mostHeld is for how much longer threads may be held up so than not: the kernel may see to it before.
const mostHeld = 500 * time.Millisecond

// For how long one less must be enough before it is tried. When it was not, after a time as short, the next time takes twice as
// long.
const (
	leastCalm = 3 * time.Second
	mostCalm  = leastCalm << 5
)

// rule decides how many processors to use.
type rule struct {
	held  time.Duration // for so much longer threads were held up than not
	calm  time.Duration // for so long one less would have been enough
	wait  time.Duration // so long is waited
	since time.Duration // so long ago there was one more, up to mostCalm
}

func newRule() *rule { return &rule{wait: leastCalm, since: mostCalm} }

// next says how many of at most so many to use, after an interval in which now of them had this load.
func (r *rule) next(now, most int, l load) int {
	n := float64(now)
	r.since = min(r.since+l.took, mostCalm)
	if now < most && l.waited >= held*n && l.idle >= spare {
		r.held += l.took
	} else {
		r.held = max(0, r.held-l.took)
	}
	switch {
	case now < most && (l.ran >= full*n && l.idle >= spare || l.waited >= starved*n || r.held >= mostHeld):
		r.held, r.calm = 0, 0
		if r.since < r.wait {
			r.wait = min(2*r.wait, mostCalm)
		} else {
			r.wait = leastCalm
		}
		return most
	case now == 1 || l.ran >= enough*(n-1) && (l.ran >= n-1 || l.waited < crowded*(n-1)):
		r.calm = 0
		return now
	}
	if r.calm += l.took; r.calm < r.wait {
		return now
	}
	r.calm, r.since = 0, 0
	return now - 1
}
