package main

import (
	"strconv"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// cpu is CPU time outside and inside of the kernel.
type cpu struct{ user, system time.Duration }

func (c cpu) total() time.Duration { return c.user + c.system }

func (c cpu) minus(d cpu) cpu { return cpu{c.user - d.user, c.system - d.system} }

// used is the CPU time that the processes have used so far.
func used(pids ...int) (cpu, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every architecture that Go runs on
	var ticks [2]int64
	for _, pid := range pids {
		fields, err := lab.Stat(pid)
		if err != nil {
			return cpu{}, err
		}
		for i, field := range fields[11:13] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return cpu{}, err
			}
			ticks[i] += n
		}
	}
	return cpu{time.Duration(ticks[0]) * tick, time.Duration(ticks[1]) * tick}, nil
}
