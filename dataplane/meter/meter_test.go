package meter

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/recycle"
)

func TestCounts(t *testing.T) {
	s := NewSite()
	for range 7 {
		s.Begin(5)
	}
	s.End(5, 200, time.Millisecond, 100, 1000, false)
	s.End(5, 204, time.Millisecond+1, 10, 20, false)
	s.End(5, 404, 2*time.Minute, 0, 0, false)
	s.End(5, 101, time.Hour, 1, 2, false)
	s.End(5, 0, 0, 5, 0, true)
	s.End(5, 502, 59*time.Second, 0, 1, true)
	want := Counts{
		Classes: [5]uint64{1, 2, 0, 2, 1}, InFlight: 1,
		Durations: []uint64{2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1},
		Took:      2*time.Millisecond + 1 + 2*time.Minute + 59*time.Second, Received: 116, Sent: 1023, Aborted: 2,
	}
	if diff := cmp.Diff(want, s.Counts()); diff != "" {
		t.Error(diff)
	}
	if len(want.Durations) != len(Buckets())+1 {
		t.Errorf("%d buckets for %d bounds", len(want.Durations), len(Buckets()))
	}
}

// A status that no HTTP has must not write beside the table.
func TestStrangeStatus(t *testing.T) {
	s := NewSite()
	for _, status := range []int{-1, 0, 99, 600, 999, 1 << 30} {
		s.Begin(5)
		s.End(5, status, -time.Second, 0, 0, false)
	}
	if c := s.Counts(); c.Classes[3] != 6 || c.Took != 0 || c.InFlight != 0 {
		t.Errorf("%+v", c)
	}
}

// In flight never wraps below zero, whenever it is looked at.
func TestSnapshotsWhileCounting(t *testing.T) {
	s := NewSite()
	var counting sync.WaitGroup
	for range 4 {
		counting.Go(func() {
			for range 5000 {
				s.Begin(5)
				s.End(5, 200, time.Millisecond, 1, 1, false)
			}
		})
	}
	for range 500 {
		if n := s.Counts().InFlight; n > 20_000 {
			t.Fatalf("%d requests are in flight", n)
		}
	}
	counting.Wait()
	if c := s.Counts(); c.Classes[1] != 20_000 || c.InFlight != 0 {
		t.Errorf("%+v", c)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	s := NewSite()
	if n := testing.AllocsPerRun(100, func() {
		s.Begin(5)
		s.End(5, 200, time.Millisecond, 1, 1, false)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestApplication(t *testing.T) {
	s := NewSite()
	a := s.Application("/api")
	a.Started(Failure)
	a.Connected()
	a.Recycled(recycle.Idle)
	if b := s.Application("/api"); b.Starts(Failure) != 1 || b.Starts(Request) != 0 || b.Connects() != 1 || b.Recycles(recycle.Idle) != 1 || b.Recycles(recycle.Age) != 0 {
		t.Error("another application for the same path")
	}
	var none *Application
	none.Started(Port)
	none.Connected()
	none.Recycled(recycle.Age)
}

func BenchmarkRequest(b *testing.B) {
	s := NewSite()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			s.Begin(5)
			s.End(5, 200, 700*time.Microsecond, 500, 1200, false)
		}
	})
}
