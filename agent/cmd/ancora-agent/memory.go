package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What may be allocated on top of what is live before the worker collects: as much again, as Go has it, but no more than
// headroom, unless that were less than a quarter. What is live in numbers are buffers of clients that take their time;
// they cost next to nothing to collect, and twice their memory is what a crowd of them would take from applications.
const (
	headroom      = 32 << 20
	leastGrowth   = 25  // per cent
	defaultGrowth = 100 // per cent
)

// boundGarbage holds the worker to that from each collection to the next, unless GOGC says otherwise.
func boundGarbage(getenv func(string) string) {
	if getenv("GOGC") == "" {
		afterCollection(defaultGrowth)
	}
}

// afterCollection lets the next collection, which finds an object that nobody needs, set when the one after it is due.
func afterCollection(growth int) {
	type marker struct{ _ *byte } // what has no pointer may share its memory with others and live as long
	runtime.AddCleanup(new(marker), func(before int) {
		now := growthOf(liveHeap())
		if now != before {
			debug.SetGCPercent(now)
		}
		afterCollection(now)
	}, growth)
}

// growthOf is the per cent of live bytes that may be allocated on top of them.
func growthOf(live uint64) int {
	if live <= headroom {
		return defaultGrowth
	}
	return max(int(headroom*100/live), leastGrowth)
}

func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	if metrics.Read(sample); sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}
