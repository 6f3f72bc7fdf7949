package processors

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestRule plays loads, each for a number of intervals, and compares how many processors were in use at the end of each.
func TestRule(t *testing.T) {
	type span struct {
		intervals int
		load
		want int
	}
	const calm = int(leastCalm / interval)
	quiet, some, all := load{ran: 0.01}, load{ran: 0.5}, load{ran: 0.98, idle: 0.9}
	for _, test := range []struct {
		name string
		most int
		play []span
	}{
		{"one is enough", 4, []span{{calm - 1, quiet, 4}, {1, quiet, 3}, {calm, quiet, 2}, {calm, quiet, 1}, {1000, some, 1}}},
		{"two are enough", 4, []span{{2 * calm, load{ran: 1.2}, 2}, {1000, load{ran: 1.2}, 2}}},
		{"all of one, and the host has more", 4, []span{{3 * calm, quiet, 1}, {1, all, 4}}},
		{"all of one, and the host has no more", 2, []span{{calm, quiet, 1}, {1000, load{ran: 0.98, waited: 0.1, idle: 0.1}, 1}}},
		{"others take what one would have", 2, []span{{calm, quiet, 1}, {1, load{ran: 0.4, waited: 0.55}, 2}}},
		{"others take what two would have", 4, []span{{2 * calm, load{ran: 1}, 2}, {100, load{ran: 1, waited: 0.9}, 2}, {1, load{ran: 0.9, waited: 1.1}, 4}}},
		{"they are held up", 2, []span{{calm, quiet, 1}, {4, load{ran: 0.66, waited: 0.34, idle: 0.5}, 1}, {1, load{ran: 0.66, waited: 0.34, idle: 0.5}, 2}}},
		{"they are held up for a moment", 2, []span{{calm, quiet, 1}, {4, load{ran: 0.66, waited: 0.34, idle: 0.5}, 1}, {2, some, 1}, {2, load{ran: 0.66, waited: 0.34, idle: 0.5}, 1}, {1000, some, 1}}},
		{"nobody could have been faster", 2, []span{{calm, quiet, 1}, {1000, load{ran: 0.66, waited: 0.34}, 1}}},
		{"they wait for each other", 2, []span{{calm - 1, load{ran: 0.9, waited: 0.9}, 2}, {1, load{ran: 0.9, waited: 0.9}, 1}, {1000, load{ran: 0.95, waited: 0.1}, 1}}},
		{"they wait, and have more to do than one could", 2, []span{{1000, load{ran: 1.1, waited: 0.9}, 2}}},
		{"they wait for others", 2, []span{{calm, load{ran: 0.8, waited: 0.9}, 1}, {1, load{ran: 0.45, waited: 0.55}, 2}, {2*calm - 1, load{ran: 0.8, waited: 0.9}, 2}}},
		{"calm has to last", 2, []span{{calm - 1, quiet, 2}, {1, load{ran: 0.8}, 2}, {calm - 1, quiet, 2}, {1, quiet, 1}}},
		{"there are no more than all", 2, []span{{1000, load{ran: 2, waited: 2, idle: 1}, 2}}},
		{"one, and never more", 1, []span{{1000, all, 1}, {1000, quiet, 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			rule, now := newRule(), test.most
			for i, s := range test.play {
				for range s.intervals {
					now = rule.next(now, test.most, s.load.over(interval))
				}
				if now != s.want {
					t.Fatalf("after step %d, %+v: %d processors, want %d", i+1, s.load, now, s.want)
				}
			}
		})
	}
}

func (l load) over(d time.Duration) load {
	l.took = d
	return l
}

// TestRuleLearns: a load for which one processor is not enough, though it looks so while there are two, makes ever fewer attempts;
// once it has been gone for long nothing of that is left.
func TestRuleLearns(t *testing.T) {
	rule, now := newRule(), 2
	look := func() (after time.Duration) { // how long it takes to try one
		for now == 2 {
			now = rule.next(now, 2, load{ran: 0.6}.over(interval))
			after += interval
		}
		return after
	}
	var waits []string
	for range 8 {
		waits = append(waits, fmt.Sprint(look().Seconds()))
		now = rule.next(now, 2, load{ran: 0.3, waited: 0.6}.over(interval))
	}
	if got, want := strings.Join(waits, " "), "3 6 12 24 48 96 96 96"; got != want {
		t.Errorf("one is tried after %s s, want %s", got, want)
	}
	look()
	now = rule.next(now, 2, load{ran: 0.3}.over(mostCalm))
	now = rule.next(now, 2, load{ran: 0.3, waited: 0.6}.over(interval))
	if got := look(); got != leastCalm {
		t.Errorf("after a long time with one it is tried after %v, want %v", got, leastCalm)
	}
}
