package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/agent/processors"
)

// mostProcessors is the flag that bounds the processors of the worker.
type mostProcessors int

func (m *mostProcessors) flags(c *cobra.Command) {
	c.Flags().IntVar((*int)(m), "processors", 0, fmt.Sprintf("how many processors to use at most; 0: all of the host or of its cgroup, up to %d, or GOMAXPROCS where that is set. They follow the load: one while that is enough", processors.Most))
}

func (m mostProcessors) check() error {
	const most = 1024
	if m < 0 || m > most {
		return usageError{fmt.Errorf("--processors %d is not in 0 to %d", m, most)}
	}
	return nil
}

// bound is the flag, or else what the environment says; 0: neither.
func (m mostProcessors) bound(getenv func(string) string) int {
	if m == 0 && getenv("GOMAXPROCS") != "" {
		return runtime.GOMAXPROCS(0)
	}
	return int(m)
}
