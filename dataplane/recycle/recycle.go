// Package recycle decides when the instances of an application are replaced by new ones, and when one that has nothing to do is
// stopped. It is pure: what is measured and what time it is come from outside, what is to be done goes back with its reason.
package recycle

import (
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// Rules say when. What is zero is never.
type Rules struct {
	// Memory is in bytes.
	Memory int64
	// Requests is how many an instance is given.
	Requests uint64
	// Age is time since it was ready, and on some hosts up to a tenth more, so that not all of them do it at once.
	Age time.Duration
	// Schedule has times of day, in the zone of the times that Decide gets.
	Schedule []site.Clock
	// Idle is time without a request.
	Idle time.Duration
	// Spread is this host's part for this application, 0 to below 1: see Spread.
	Spread float64
}

// Any says whether there is a rule.
func (r *Rules) Any() bool {
	return r.Memory > 0 || r.Requests > 0 || r.Age > 0 || len(r.Schedule) > 0 || r.Idle > 0
}

const (
	// ageSpread is the part of Age, and mostAgeSpread the time, by which some hosts are later than others; scheduleSpread is that
	// of times of day.
	ageSpread      = 0.1
	mostAgeSpread  = time.Hour
	scheduleSpread = 5 * time.Minute
	// missed is how late a time of day still counts: a host that slept at three does not replace anything at noon.
	missed = time.Hour
)

// Spread gives the part of a host for an application: the same one always, others for others.
func Spread(host, site, application string) float64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s\x00%s\x00%s", host, site, application)
	n := h.Sum64()
	n = (n ^ n>>32) * 0x9e3779b97f4a7c15 // names that differ by one letter are far apart
	return float64(n>>11) / (1 << 53)
}

// Reason is why an instance is replaced or stopped.
type Reason string

const (
	Memory   Reason = "memory"
	Requests Reason = "requests"
	Age      Reason = "age"
	Schedule Reason = "schedule"
	// Idle stops an instance; the others replace it.
	Idle Reason = "idle"
)

// Reasons lists them all.
func Reasons() []Reason { return []Reason{Memory, Requests, Age, Schedule, Idle} }

// Sample is what is known of an instance that is ready.
type Sample struct {
	// Slot is its place, Run names it.
	Slot uint32
	Run  uint64
	// Ready is since when it has been.
	Ready time.Time
	// Requests is how many it was given, InFlight how many of them have not ended: streams and WebSockets are among them.
	Requests uint64
	InFlight int64
	// Memory is in bytes; 0 is not measured.
	Memory int64
}

// Verdict is what is to be done with an instance.
type Verdict struct {
	Slot     uint32
	Run      uint64
	Requests uint64 // that the instance had been given
	Reason   Reason
	// Text says it with numbers.
	Text string
}

// finding is a rule that has been met, and how.
type finding struct {
	reason Reason
	text   string
}

// due gives the rules that an instance has met. quiet is since when it has had nothing to do.
func (r *Rules) due(s Sample, now, quiet time.Time) (all []finding) {
	met := func(is bool, reason Reason, format string, values ...any) {
		if is {
			all = append(all, finding{reason, fmt.Sprintf(format, values...)})
		}
	}
	age, idle, last := now.Sub(s.Ready), now.Sub(quiet), r.last(now)
	limit := r.Age + min(time.Duration(ageSpread*r.Spread*float64(r.Age)), mostAgeSpread)
	met(r.Memory > 0 && s.Memory > r.Memory, Memory, "its processes have %s of private memory, recycle.memory is %s", size(s.Memory), size(r.Memory))
	met(r.Requests > 0 && s.Requests >= r.Requests, Requests, "it was given %d requests, recycle.requests is %d", s.Requests, r.Requests)
	met(r.Age > 0 && age >= limit, Age, "it has been ready for %v, recycle.age is %v", age.Round(time.Second), r.Age)
	met(last.at.After(s.Ready), Schedule, "recycle.schedule has %v, here %v later", last.clock, last.at.Sub(last.of).Round(time.Second))
	met(r.Idle > 0 && idle >= r.Idle, Idle, "it has had no request for %v, idle is %v", idle.Round(time.Second), r.Idle)
	return all
}

// moment is when a time of day has its turn on this host, and the time of day itself.
type moment struct {
	at, of time.Time
	clock  site.Clock
}

// last gives the latest turn of the schedule that is not missed; zero when there is none.
func (r *Rules) last(now time.Time) (latest moment) {
	late := time.Duration(r.Spread * float64(scheduleSpread))
	for _, c := range r.Schedule {
		for _, days := range []int{0, -1} { // a turn before midnight may come behind it
			of := on(now, days, c)
			at := of.Add(late)
			if !at.After(now) && now.Sub(at) < missed && at.After(latest.at) {
				latest = moment{at, of, c}
			}
		}
	}
	return latest
}

// on gives a time of day so many days from now, once a day whatever the clocks do: where it comes twice the first one, where it
// does not come the first one behind it.
func on(now time.Time, days int, c site.Clock) time.Time {
	for late := range 3 * 60 {
		year, month, day := now.Date()
		wanted := time.Date(year, month, day+days, c.Hour, c.Minute+late, 0, 0, time.UTC)
		t := time.Date(year, month, day+days, c.Hour, c.Minute+late, 0, 0, now.Location())
		if !sameClock(t, wanted) {
			continue
		}
		_, before := t.Add(-3 * time.Hour).Zone()
		_, at := t.Zone()
		if first := t.Add(time.Duration(at-before) * time.Second); first.Before(t) && sameClock(first, wanted) {
			return first
		}
		return t
	}
	return time.Time{} // a gap of three hours is not known of any zone
}

func sameClock(a, b time.Time) bool {
	return a.Day() == b.Day() && a.Hour() == b.Hour() && a.Minute() == b.Minute()
}

func size(bytes int64) string {
	const mib = 1 << 20
	if bytes < mib {
		return fmt.Sprintf("%d bytes", bytes)
	}
	return fmt.Sprintf("%.1f MiB", math.Floor(float64(bytes)/mib*10)/10)
}
