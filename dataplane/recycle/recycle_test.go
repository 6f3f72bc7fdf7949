package recycle

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of this test are not a matter of the machine

	"github.com/ancora-fleet/ancora/dataplane/site"
)

func clocks(t *testing.T, all ...string) (list []site.Clock) {
	t.Helper()
	for _, text := range all {
		c, err := site.ParseClock(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func at(t *testing.T, z *time.Location, text string) time.Time {
	t.Helper()
	when, err := time.ParseInLocation("2006-01-02 15:04:05", text, z)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// Each rule alone: just not, and just.
func TestNext(t *testing.T) {
	begin := at(t, time.UTC, "2026-03-01 12:00:00")
	for name, c := range map[string]struct {
		rules  Rules
		after  time.Duration
		sample Sample
		want   Reason
	}{
		"nothing set":         {Rules{}, 9999 * time.Hour, Sample{Requests: 1 << 40, Memory: 1 << 50}, ""},
		"memory at the limit": {Rules{Memory: 100}, time.Hour, Sample{Memory: 100}, ""},
		"memory over it":      {Rules{Memory: 100}, 0, Sample{Memory: 101}, Memory},
		"memory not measured": {Rules{Memory: 100}, time.Hour, Sample{}, ""},
		"a request less":      {Rules{Requests: 10}, time.Hour, Sample{Requests: 9}, ""},
		"requests":            {Rules{Requests: 10}, 0, Sample{Requests: 10}, Requests},
		"young":               {Rules{Age: 29 * time.Hour}, 29*time.Hour - 1, Sample{}, ""},
		"old":                 {Rules{Age: 29 * time.Hour}, 29 * time.Hour, Sample{}, Age},
		"old, elsewhere":      {Rules{Age: 2 * time.Hour, Spread: 0.5}, 2*time.Hour + 6*time.Minute - 1, Sample{}, ""},
		"old, later":          {Rules{Age: 2 * time.Hour, Spread: 0.5}, 2*time.Hour + 6*time.Minute, Sample{}, Age},
		"an hour at most":     {Rules{Age: 1000 * time.Hour, Spread: 0.99}, 1001 * time.Hour, Sample{}, Age},
		"before its time":     {Rules{Schedule: []site.Clock{{Hour: 15}}}, 3*time.Hour - 1, Sample{}, ""},
		"at its time":         {Rules{Schedule: []site.Clock{{Hour: 15}}}, 3 * time.Hour, Sample{}, Schedule},
		"here later":          {Rules{Schedule: []site.Clock{{Hour: 15}}, Spread: 0.5}, 3*time.Hour + 150*time.Second - 1, Sample{}, ""},
		"here now":            {Rules{Schedule: []site.Clock{{Hour: 15}}, Spread: 0.5}, 3*time.Hour + 150*time.Second, Sample{}, Schedule},
		"of several times":    {Rules{Schedule: []site.Clock{{Hour: 4}, {Hour: 16, Minute: 30}, {Hour: 20}}}, 5 * time.Hour, Sample{}, Schedule},
		"asleep at the time":  {Rules{Schedule: []site.Clock{{Hour: 15}}}, 4 * time.Hour, Sample{}, ""},
		"memory before idle":  {Rules{Memory: 1, Idle: time.Minute}, time.Hour, Sample{Memory: 2}, Memory},
	} {
		t.Run(name, func(t *testing.T) {
			var j Judge
			c.sample.Slot, c.sample.Run, c.sample.Ready = 1, 7, begin
			v, ok := j.Next(c.rules, begin.Add(c.after), []Sample{c.sample})
			if v.Reason != c.want || ok != (c.want != "") || ok && (v.Slot != 1 || v.Run != 7 || v.Text == "") {
				t.Errorf("%+v, want %q", v, c.want)
			}
		})
	}
}

// A trace of an idle instance: whatever it has to do begins the time anew, and what does not end holds it for ever.
func TestIdle(t *testing.T) {
	var j Judge
	r := Rules{Idle: 20 * time.Minute}
	now := at(t, time.UTC, "2026-03-01 12:00:00")
	s := Sample{Slot: 1, Run: 1, Ready: now}
	for _, step := range []struct {
		what   string
		after  time.Duration
		change func()
		stops  bool
	}{
		{"ready", 0, func() {}, false},
		{"19 minutes without a request", 19 * time.Minute, func() {}, false},
		{"a request that has ended", 30 * time.Second, func() { s.Requests++ }, false},
		{"19 minutes behind it", 19 * time.Minute, func() {}, false},
		{"a WebSocket", 30 * time.Second, func() { s.Requests++; s.InFlight = 1 }, false},
		{"a day with it", 24 * time.Hour, func() {}, false},
		{"it ends", time.Second, func() { s.InFlight = 0 }, false},
		{"20 minutes since it was last seen", 20*time.Minute - time.Second, func() {}, true},
		{"another run in its place", time.Second, func() { s.Run = 2 }, false},
		{"20 minutes", 20 * time.Minute, func() {}, true},
	} {
		step.change()
		now = now.Add(step.after)
		v, ok := j.Next(r, now, []Sample{s})
		if ok != step.stops || ok && v.Reason != Idle {
			t.Errorf("%s: %+v %v", step.what, v, ok)
		}
	}
}

// One that is due again at once does not come before another that waits.
func TestTheOldestFirst(t *testing.T) {
	var j Judge
	now := at(t, time.UTC, "2026-03-01 12:00:00")
	samples := []Sample{{Slot: 1, Run: 1, Ready: now, Requests: 9}, {Slot: 2, Run: 2, Ready: now, Requests: 9}, {Slot: 3, Run: 3, Ready: now.Add(-time.Second), Requests: 9}}
	var order []uint32
	for range 6 {
		v, _ := j.Next(Rules{Requests: 5}, now, samples)
		order = append(order, v.Slot)
		now = now.Add(time.Second)
		samples[v.Slot-1].Run, samples[v.Slot-1].Ready = v.Run+10, now
	}
	if !slices.Equal(order, []uint32{3, 1, 2, 3, 1, 2}) {
		t.Errorf("slots %v", order)
	}
}

// One instance after another, whatever order they come in.
func TestOneAfterAnother(t *testing.T) {
	var j Judge
	now := at(t, time.UTC, "2026-03-01 12:00:00")
	r := Rules{Requests: 5}
	samples := []Sample{{Slot: 3, Run: 3, Ready: now, Requests: 9}, {Slot: 1, Run: 1, Ready: now, Requests: 4}, {Slot: 2, Run: 2, Ready: now, Requests: 5}}
	var order []uint32
	for range 3 {
		v, ok := j.Next(r, now, samples)
		if !ok {
			break
		}
		order = append(order, v.Slot)
		samples = slices.DeleteFunc(samples, func(s Sample) bool { return s.Slot == v.Slot })
		j.Replaced(v, now, now)
	}
	if !slices.Equal(order, []uint32{2, 3}) {
		t.Errorf("slots %v, want 2, then 3", order)
	}
}

// A replacement that does not come up leaves the old one alone for longer each time, but one that is idle is stopped.
func TestBackOff(t *testing.T) {
	var j Judge
	now := at(t, time.UTC, "2026-03-01 12:00:00")
	r := Rules{Age: time.Minute, Idle: time.Hour}
	s := []Sample{{Slot: 1, Run: 1, Ready: now.Add(-time.Hour)}}
	var pauses []time.Duration
	for range 10 {
		v, ok := j.Next(r, now, s)
		if !ok || v.Reason != Age {
			t.Fatalf("%+v %v", v, ok)
		}
		pause := j.Failed(now)
		s[0].Requests++ // not idle
		if v, ok := j.Next(r, now.Add(pause-1), s); ok {
			t.Errorf("%+v within the pause", v)
		}
		now = now.Add(pause)
		pauses = append(pauses, pause)
	}
	if got := fmt.Sprint(pauses); got != "[30s 1m0s 2m0s 4m0s 8m0s 16m0s 32m0s 1h0m0s 1h0m0s 1h0m0s]" {
		t.Error(got)
	}
	j.Failed(now)
	if v, ok := j.Next(r, now.Add(59*time.Minute), s); ok && v.Reason != Idle {
		t.Errorf("%+v", v)
	}
	v, ok := j.Next(r, now.Add(2*time.Hour), s)
	if !ok {
		t.Fatal("nothing behind the pause")
	}
	j.Replaced(v, now, now)
	if pause := j.Failed(now); pause != firstPause {
		t.Errorf("%v behind one that came up", pause)
	}
}

// An instance that has too much memory from the start is not replaced without end; one that takes its time to it is, at once.
func TestTooMuchFromTheStart(t *testing.T) {
	var j Judge
	r := Rules{Memory: 100}
	now := at(t, time.UTC, "2026-03-01 12:00:00")
	until := now.Add(24 * time.Hour)
	replaced, run, ready := 0, uint64(1), now
	for ; now.Before(until); now = now.Add(5 * time.Second) {
		v, ok := j.Next(r, now, []Sample{{Slot: 1, Run: run, Ready: ready, Memory: 101}})
		if ok {
			replaced++
			j.Replaced(v, ready, now)
			run, ready = run+1, now
		}
	}
	if replaced < 10 || replaced > 40 {
		t.Errorf("replaced %d times in a day", replaced)
	}
	ready, now = now, now.Add(3*time.Hour)
	v, ok := j.Next(r, now, []Sample{{Slot: 1, Run: run, Ready: ready, Memory: 101}})
	if !ok {
		t.Fatal("not replaced after three hours")
	}
	j.Replaced(v, ready, now)
	if _, ok := j.Next(r, now, []Sample{{Slot: 1, Run: run + 1, Ready: now, Memory: 101}}); !ok {
		t.Error("one that took three hours is not forgiven")
	}
}

// A day on a fake clock, looked at every 5 s: each time of day has its turn once, also on the two days with 23 and 25 hours, and the
// first time of an hour that comes twice.
func TestScheduleOverTheYear(t *testing.T) {
	for _, c := range []struct {
		zone, from string
		schedule   []string
		want       string
	}{
		{"Europe/Berlin", "2026-06-01 00:00:00", []string{"03:00", "15:30"}, "06-01 03:00 +0200, 06-01 15:30 +0200, 06-02 03:00 +0200, 06-02 15:30 +0200"},
		{"Europe/Berlin", "2026-03-29 00:00:00", []string{"02:30"}, "03-29 03:00 +0200, 03-30 02:30 +0200"}, // there is no 02:30
		{"Europe/Berlin", "2026-10-25 00:00:00", []string{"02:30"}, "10-25 02:30 +0200, 10-26 02:30 +0100"}, // there are two
		{"America/New_York", "2026-11-01 00:00:00", []string{"01:30", "02:00"}, "11-01 01:30 -0400, 11-01 02:00 -0500, 11-02 01:30 -0500, 11-02 02:00 -0500"},
		{"Australia/Lord_Howe", "2026-10-04 00:00:00", []string{"02:15"}, "10-04 02:30 +1100, 10-05 02:15 +1100"}, // half an hour
		{"America/Santiago", "2026-09-05 12:00:00", []string{"00:00"}, "09-06 01:00 -0300"},                       // midnight itself
		{"UTC", "2026-12-31 00:00:00", []string{"23:59"}, "12-31 23:59 +0000, 01-01 23:59 +0000"},
	} {
		t.Run(c.zone+" "+c.from, func(t *testing.T) {
			z := zone(t, c.zone)
			now := at(t, z, c.from)
			year, month, day := now.Date()
			until := time.Date(year, month, day+2, 0, 0, 0, 0, z)
			r := Rules{Schedule: clocks(t, c.schedule...)}
			var j Judge
			var turns []string
			ready, run := now.Add(-time.Minute), uint64(1)
			for ; now.Before(until); now = now.Add(5 * time.Second) {
				if v, ok := j.Next(r, now, []Sample{{Slot: 1, Run: run, Ready: ready}}); ok {
					turns = append(turns, now.Format("01-02 15:04 -0700"))
					j.Replaced(v, ready, now)
					ready, run = now, run+1
				}
			}
			if got := strings.Join(turns, ", "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// A host's part is the same always, and those of a fleet lie all over.
func TestSpread(t *testing.T) {
	tenths := make([]int, 10)
	for n := range 1000 {
		host := fmt.Sprintf("web%d", n)
		f := Spread(host, "shop", "/")
		if f < 0 || f >= 1 || f != Spread(host, "shop", "/") || f == Spread(host, "shop", "/api") || f == Spread(host, "blog", "/") {
			t.Fatalf("%s: %v", host, f)
		}
		tenths[int(f*10)]++
	}
	for n, hosts := range tenths {
		if math.Abs(float64(hosts)-100) > 50 {
			t.Errorf("%d of 1000 hosts in tenth %d", hosts, n)
		}
	}
}
