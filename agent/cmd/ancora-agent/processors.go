package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// mostProcessors is how many the worker uses unless it is told otherwise: what it costs to find the next goroutine grows
// with every processor that looks for one, and four forward more than most hosts have applications for.
const mostProcessors = 4

// processors is the flag that bounds the processors of the worker.
type processors int

func (p *processors) flags(c *cobra.Command) {
	c.Flags().IntVar((*int)(p), "processors", 0, fmt.Sprintf("how many processors to use at most; 0: all of the host or of its cgroup, up to %d, or GOMAXPROCS where that is set", mostProcessors))
}

func (p processors) check() error {
	const most = 1024
	if p < 0 || p > most {
		return usageError{fmt.Errorf("--processors %d is not in 0 to %d", p, most)}
	}
	return nil
}

// use puts the bound in force.
func (p processors) use(getenv func(string) string) {
	switch {
	case p > 0:
		runtime.GOMAXPROCS(int(p))
	case getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) > mostProcessors:
		runtime.GOMAXPROCS(mostProcessors)
	}
}
