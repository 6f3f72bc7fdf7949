package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// The more is live, the smaller is the part of it that may be allocated on top, within its limits.
func TestGrowth(t *testing.T) {
	for live, want := range map[uint64]int{0: 100, 1 << 20: 100, 32 << 20: 100, 64 << 20: 50, 100 << 20: 32, 128 << 20: 25, 4 << 30: 25} {
		if got := growthOf(live); got != want {
			t.Errorf("%d MiB: %d, want %d", live>>20, got, want)
		}
	}
}

// It follows what is live, up and down.
func TestGarbageBound(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	boundGarbage(func(string) string { return "" })
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	follows := func(want int) {
		t.Helper()
		for limit := time.Now().Add(10 * time.Second); percent() != want; runtime.GC() {
			if time.Now().After(limit) {
				t.Fatalf("%d per cent, want %d", percent(), want)
			}
		}
	}
	held := make([]byte, 200<<20)
	follows(25)
	runtime.KeepAlive(held)
	held = nil
	follows(100)
}
