package session

import (
	"testing"
	"time"
)

// Pauses grow from 50 ms to 15 s and stay there; jitter takes at most half of one away.
func TestPauses(t *testing.T) {
	pause, steps := firstPause, 0
	for ; pause < mostPause; steps++ {
		next := longer(pause)
		if next <= pause || float64(next) > 1.6*float64(pause)+1 {
			t.Fatalf("%v after %v", next, pause)
		}
		pause = next
	}
	if pause != 15*time.Second || longer(pause) != 15*time.Second {
		t.Errorf("they end at %v, then %v", pause, longer(pause))
	}
	if steps != 13 {
		t.Errorf("%d steps from 50 ms to 15 s", steps)
	}
	for _, c := range []struct {
		at   float64
		want time.Duration
	}{{0, 5 * time.Second}, {0.5, 7500 * time.Millisecond}, {1, 10 * time.Second}} {
		if got := spread(10*time.Second, c.at); got != c.want {
			t.Errorf("spread at %v: %v, not %v", c.at, got, c.want)
		}
	}
}
