package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const (
	goodConnections = 16
	goodAnew        = 4 // of them are new ones for each request
	goodPerSecond   = 50

	wantServed = 0.999
	wantP99    = 250 * time.Millisecond
	wantMemory = 256 << 20 // bytes
)

// measureSlow asks at a steady rate, before and while thousands of connections are slow.
func measureSlow(a *agent, attack *attack) ([]figure, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Max < 3*slowConnections {
		return nil, fmt.Errorf("%d descriptors are allowed: %d are needed for each of attacker, agent and application", limit.Max, 3*slowConnections)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var visitors sync.WaitGroup
	var good tally
	const gap = time.Second * goodConnections / goodPerSecond
	for n := range goodConnections {
		v := visitor{url: "http://" + a.plain + "/pid", anew: n < goodAnew, gap: gap}
		visitors.Go(func() {
			lab.Wait(ctx, gap/goodConnections*time.Duration(n)) // one after the other, as a steady rate is
			v.visit(ctx, &good)
		})
	}
	time.Sleep(3 * gap) // all have been served when the attack begins
	good.forget()
	most := a.watch()
	said, err := assault(attack.name, a.plain, attack.length, false)
	cancel()
	visitors.Wait()
	peak := most()
	if err != nil {
		return nil, err
	}
	all, failed := len(good.times), good.failed()
	served := float64(all-failed) / float64(max(all, 1))
	wanted := int(1000 * attack.length / slowLength) // in a phase of the whole length
	got := fmt.Sprintf("%d of %d, %s", all-failed, all, said)
	if failed > 0 {
		got += fmt.Sprint(" ", good.failures)
	}
	p99 := good.p99()
	return []figure{
		{"good requests served", got, fmt.Sprintf(">= 99.9 %% of >= %d", wanted), all >= wanted && served >= wantServed},
		{"good requests, p99", p99.String(), "< " + wantP99.String(), p99 < wantP99},
		memory("memory, at most", peak, wantMemory),
	}, nil
}

func memory(what string, got, want int64) figure {
	return figure{what, fmt.Sprintf("%d MiB", got>>20), fmt.Sprintf("< %d MiB", want>>20), got < want}
}
