package site

import (
	"fmt"
	"strings"
	"time"
)

const (
	maxWarmup   = 64
	maxSchedule = 24
	maxTarget   = 2048
)

// Recycle says when an instance is replaced by a new one. nil and 0 are never.
type Recycle struct {
	// Memory is in bytes: the private memory of all its processes, in RAM and swapped out. Unlimited is never too.
	Memory *int64
	// Requests is how many it has been given.
	Requests *uint32
	// Age is how long it has been ready.
	Age *time.Duration
	// Schedule has times of day as ParseClock reads them, in the host's time zone.
	Schedule []string
}

// Clock is a time of day.
type Clock struct{ Hour, Minute int }

func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", c.Hour, c.Minute) }

// ParseClock reads hh:mm, 00:00 to 23:59.
func ParseClock(text string) (Clock, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return Clock{}, fmt.Errorf("%q is no time of day: write it as 03:00, 00:00 to 23:59", text)
	}
	return Clock{t.Hour(), t.Minute()}, nil
}

// ValidTarget checks what can be asked for below an application's path: it begins with a slash, and all of it is visible ASCII.
func ValidTarget(target string) error {
	switch {
	case !strings.HasPrefix(target, "/"):
		return fmt.Errorf("%q does not begin with /", target)
	case len(target) > maxTarget:
		return fmt.Errorf("is longer than %d characters", maxTarget)
	case strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }):
		return fmt.Errorf("%q holds a space, a # or what is no ASCII: write it as %%20, %%23 and so on", target)
	}
	return nil
}

func (c *check) recycle(at string, a *Application) {
	limits := TheLimits()
	c.duration(at+".idle", a.Idle, limits.Idle)
	if a.Idle != nil && *a.Idle != 0 && a.Start == StartAlways {
		c.add(at+".idle", "cannot be with start: always, which keeps the application running: leave one of them out")
	}
	r := at + ".recycle"
	c.limited(r+".memory", limits.RecycleMemory)
	if n := a.Recycle.Memory; n != nil && *n != Unlimited && !limits.RecycleMemory.Contains(*n) {
		c.add(r+".memory", "%d bytes are not in 0 to %dGB", *n, limits.RecycleMemory.Max/1_000_000_000)
	}
	c.number(r+".requests", a.Recycle.Requests, limits.RecycleRequests)
	c.duration(r+".age", a.Recycle.Age, limits.RecycleAge)
	if n := len(a.Recycle.Schedule); n > maxSchedule {
		c.add(r+".schedule", "%d entries, at most %d are allowed", n, maxSchedule)
	}
	seen := map[string]bool{}
	for i, text := range a.Recycle.Schedule {
		where := fmt.Sprintf("%s.schedule[%d]", r, i)
		_, err := ParseClock(text)
		c.failed(where, err)
		if seen[text] {
			c.add(where, "%q stands twice", text)
		}
		seen[text] = true
	}
	if n := len(a.Warmup); n > maxWarmup {
		c.add(at+".warmup.requests", "%d entries, at most %d are allowed", n, maxWarmup)
	}
	for i, target := range a.Warmup {
		c.failed(fmt.Sprintf("%s.warmup.requests[%d]", at, i), ValidTarget(target))
	}
}
