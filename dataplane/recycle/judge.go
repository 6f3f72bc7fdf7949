package recycle

import (
	"cmp"
	"slices"
	"time"
)

const (
	// firstPause to longestPause is how long nothing is replaced after a replacement that did not come up, and how long one that
	// has soon too much memory again is left alone.
	firstPause   = 30 * time.Second
	longestPause = time.Hour
	// soon is how young an instance is of which that is said.
	soon = 5 * time.Minute
)

// Judge follows the instances of one application. The zero value is ready for use.
type Judge struct {
	slots map[uint32]*record
	// After a replacement that did not come up nothing is replaced until then.
	until time.Time
	pause time.Duration
}

// record is what is remembered of a slot.
type record struct {
	run      uint64
	requests uint64
	quiet    time.Time
	// grown counts how often in a row the instance here had too much memory soon after it was ready.
	grown int
}

// Next says what is to be done now: at most one thing, since one instance after another is replaced, the oldest first: a slot whose
// instances are due soon again does not keep the others from their turn. Samples are all instances that are ready; it is called
// every few seconds.
func (j *Judge) Next(r Rules, now time.Time, samples []Sample) (Verdict, bool) {
	samples = slices.Clone(samples)
	slices.SortFunc(samples, func(a, b Sample) int { return cmp.Or(a.Ready.Compare(b.Ready), cmp.Compare(a.Slot, b.Slot)) })
	for _, s := range samples {
		j.look(s, now)
	}
	for _, s := range samples {
		for _, f := range r.due(s, now, j.slots[s.Slot].quiet) {
			if f.reason != Idle && now.Before(j.until) || f.reason == Memory && j.spared(s, now) {
				continue
			}
			return Verdict{s.Slot, s.Run, s.Requests, f.reason, f.text}, true
		}
	}
	return Verdict{}, false
}

// look notes whether an instance has had something to do.
func (j *Judge) look(s Sample, now time.Time) {
	if j.slots == nil {
		j.slots = map[uint32]*record{}
	}
	known := j.slots[s.Slot]
	if known == nil {
		known = &record{}
		j.slots[s.Slot] = known
	}
	if known.run != s.Run || known.requests != s.Requests || s.InFlight > 0 {
		known.quiet = now
	}
	known.run, known.requests = s.Run, s.Requests
}

// spared says whether an instance with too much memory is left alone for now. One that had it from the start would be replaced
// for ever: each time that happens the next one has twice as long.
func (j *Judge) spared(s Sample, now time.Time) bool {
	known := j.slots[s.Slot]
	return known.grown > 0 && now.Sub(s.Ready) < pauseAfter(known.grown)
}

// pauseAfter doubles from firstPause to longestPause.
func pauseAfter(times int) time.Duration {
	pause := firstPause
	for range times - 1 {
		pause = min(2*pause, longestPause)
	}
	return pause
}

// Replaced notes that a verdict was carried out. ready is since when the instance that is gone had been.
func (j *Judge) Replaced(v Verdict, ready, now time.Time) {
	j.until, j.pause = time.Time{}, 0
	switch known := j.slots[v.Slot]; {
	case known == nil || v.Reason != Memory:
	case now.Sub(ready) < max(soon, 2*pauseAfter(max(known.grown, 1))):
		known.grown++
	default:
		known.grown = 0
	}
}

// Failed notes that the replacement did not come up, and says how long nothing is replaced because of it.
func (j *Judge) Failed(now time.Time) time.Duration {
	j.pause = min(max(2*j.pause, firstPause), longestPause)
	j.until = now.Add(j.pause)
	return j.pause
}
