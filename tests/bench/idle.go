package main

import (
	"bufio"
	"fmt"
	"net"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// playIdle opens many connections, makes one request on each, waits, and divides what the processes have grown by.
func (b *bench) playIdle(w *workload, able []*contender) error {
	wait := 30 * time.Second
	if b.quick {
		wait = 5 * time.Second
	}
	for _, c := range able {
		pids := lab.Family(c.Pid())
		before, err := lab.Resident(pids...)
		if err != nil {
			return err
		}
		conns, err := openIdle(c, w)
		if err == nil {
			time.Sleep(wait)
			var after int64
			if after, err = lab.Resident(pids...); err == nil {
				fmt.Printf("%-14s %-8s %5.1f KB resident for each of %d idle connections after %v\n", w.name, c.name, float64(after-before)/1024/float64(w.conns), w.conns, wait)
			}
		}
		for _, nc := range conns {
			_ = nc.Close()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	fmt.Println()
	return nil
}

func openIdle(c *contender, w *workload) (conns []net.Conn, err error) {
	clients := newAsker(w, c)
	for range w.conns {
		nc, err := c.dial(w)
		if err != nil {
			return conns, err
		}
		conns = append(conns, nc)
		if err := clients.ask(nc, bufio.NewReaderSize(nc, 2048)); err != nil {
			return conns, err
		}
	}
	return conns, nil
}
