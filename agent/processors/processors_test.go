package processors

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// TestGovernor: a process that does nothing is left with one processor, one that uses all of it gets all when the host has some
// to spare, and so it does in the end.
func TestGovernor(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	synctest.Test(t, func(t *testing.T) {
		g := New(3, hclog.NewNullLogger())
		g.proc = t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- g.Run(ctx) }()
		is := func(want int, when string) {
			t.Helper()
			if got := runtime.GOMAXPROCS(0); got != want {
				t.Errorf("%s there are %d processors, want %d", when, got, want)
			}
		}
		synctest.Wait()
		is(3, "at first")
		time.Sleep(2*leastCalm + time.Second)
		is(1, "without a load")

		// The clock of the test stands still meanwhile, that of the process does not.
		idle := 0
		for i := 0; i < 20 && runtime.GOMAXPROCS(0) == 1; i++ {
			for until := ran(t) + interval*3/2; ran(t) < until; {
			}
			idle += 3 // ticks of 10 ms in each interval
			write(t, g.proc, "stat", fmt.Sprintf("cpu 0 0 0 %d 0\n", idle))
			time.Sleep(interval)
			synctest.Wait()
		}
		is(3, "under load")
		time.Sleep(4*leastCalm + time.Second)
		is(1, "after the load")
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("it ended with %v", err)
		}
		is(3, "in the end")
	})
}

func ran(t *testing.T) time.Duration {
	total, err := processTime()
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// TestBound: who asks for no number gets what Go would use, and at most Most.
func TestBound(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	runtime.SetDefaultGOMAXPROCS()
	want := min(runtime.GOMAXPROCS(0), Most)
	runtime.GOMAXPROCS(2 * Most)
	New(0, hclog.NewNullLogger())
	if got := runtime.GOMAXPROCS(0); got != want {
		t.Errorf("%d processors, want %d", got, want)
	}
}
