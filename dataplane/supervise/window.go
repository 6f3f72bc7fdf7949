package supervise

import (
	"slices"
	"time"
)

// window counts failures over a rolling minute (D10: failed starts and unexpected exits both count).
type window struct{ times []time.Time }

const minute = time.Minute

// add counts one failure.
func (w *window) add(now time.Time) {
	w.prune(now)
	w.times = append(w.times, now)
}

// join adds what another one has counted; the same failure counts once.
func (w *window) join(times []time.Time) {
	w.times = append(w.times, times...)
	slices.SortFunc(w.times, time.Time.Compare)
	w.times = slices.CompactFunc(w.times, time.Time.Equal)
}

// count is how many failures the last minute holds.
func (w *window) count(now time.Time) int {
	w.prune(now)
	return len(w.times)
}

// refuses says whether more than limit failures are counted, and how long until that ends.
func (w *window) refuses(limit int, now time.Time) (time.Duration, bool) {
	w.prune(now)
	if len(w.times) <= limit {
		return 0, false
	}
	return w.times[len(w.times)-limit-1].Add(minute).Sub(now), true
}

func (w *window) prune(now time.Time) {
	for len(w.times) > 0 && !w.times[0].Add(minute).After(now) {
		w.times = w.times[1:]
	}
}
