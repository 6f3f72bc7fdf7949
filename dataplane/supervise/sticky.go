package supervise

import "time"

const (
	// stickyFirst to stickyMost is how long a failed in-process start stands before a request may try again (D11).
	stickyFirst = 10 * time.Second
	stickyMost  = 5 * time.Minute
	// provenAfter is how long an instance must have been ready for its exit to be no failed start.
	provenAfter = time.Minute
)

// sticky is the back-off of failed starts in-process. It is a value without a clock.
type sticky struct {
	pause time.Duration // of the newest failure; 0: none
	until time.Time
}

// failed notes one more failed start and gives the pause that begins with it.
func (s *sticky) failed(now time.Time) time.Duration {
	s.pause = min(max(2*s.pause, stickyFirst), stickyMost)
	s.until = now.Add(s.pause)
	return s.pause
}

// refuses says whether the pause is not over, and how long it still is.
func (s *sticky) refuses(now time.Time) (time.Duration, bool) {
	wait := s.until.Sub(now)
	return max(wait, 0), wait > 0
}

// lasted begins anew: an instance has run for long enough.
func (s *sticky) lasted() { *s = sticky{} }

// short says whether an instance that was ready since then has ended so soon that it counts as one that did not start. The
// zero time is longer ago.
func short(ready, now time.Time) bool { return now.Sub(ready) < provenAfter }
