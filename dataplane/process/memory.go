package process

import (
	"sync"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/proctree"
)

// censusAge is how old a process table may be when memory is measured: all applications of a host share one.
const censusAge = 4 * time.Second

// census is the process table, read again when it is too old.
type census struct {
	mu    sync.Mutex
	at    time.Time
	table proctree.Table
}

func (c *census) read() (proctree.Table, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.table != nil && time.Since(c.at) < censusAge {
		return c.table, nil
	}
	table, err := proctree.Scan()
	if err == nil {
		c.table, c.at = table, time.Now()
	}
	return table, err
}

// Memory gives the private memory of the tree in bytes, as proctree.PrivateMemory has it, by who was in it a few seconds ago.
func (p *Process) Memory() (int64, error) {
	table, err := p.client.census.read()
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, pid := range table.Members(proctree.Instance{PID: p.pid, Start: p.start, Mark: p.mark}, p.client.keeper) {
		total += proctree.PrivateMemory(pid)
	}
	return total, nil
}
