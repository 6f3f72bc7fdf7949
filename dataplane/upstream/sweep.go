package upstream

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tick = 50 * time.Millisecond
	rest = time.Second
)

// attend wakes the sweep from its rest: something is busy again.
func (u *Upstream) attend() {
	if u.resting.Load() && u.resting.CompareAndSwap(true, false) {
		select {
		case u.wake <- struct{}{}:
		default:
		}
	}
}

// sweep runs while there are connections.
func (u *Upstream) sweep() {
	timer := time.NewTimer(tick)
	defer timer.Stop()
	var conns []*Conn
	for {
		select {
		case <-timer.C:
		case <-u.wake:
		}
		var expired []*Conn
		now := time.Now()
		if conns, expired = u.list(conns[:0], now); conns == nil {
			return
		}
		for _, c := range expired {
			c.sock.Close()
		}
		u.resting.Store(false)
		busy := look(conns, now)
		if !busy {
			u.resting.Store(true)
			busy = look(conns, now) // what became busy before that did not wake anybody
		}
		clear(conns)
		switch {
		case busy:
			u.resting.Store(false)
			timer.Reset(tick)
		case u.closed.Load(): // it has little left to wait for
			timer.Reset(tick)
		default:
			timer.Reset(rest)
		}
	}
}

func look(conns []*Conn, now time.Time) (busy bool) {
	for _, c := range conns {
		busy = c.look(now) || busy
	}
	return busy
}

// list collects all connections, and takes those out that have been idle for too long. A nil list ends the sweep.
func (u *Upstream) list(conns []*Conn, now time.Time) (all, expired []*Conn) {
	clock := u.clock()
	expired = u.weed(func(c *Conn) bool {
		// What has had no request for a second is looked at: the instance may have closed it.
		rested := clock - c.idleAt
		return rested < c.idleLimit && (rested < rest || c.sock.Quiet())
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range expired {
		delete(u.all, c)
	}
	if len(u.all) == 0 {
		u.swept = false
		for _, c := range expired {
			c.sock.Close()
		}
		return nil, nil
	}
	if conns == nil {
		conns = make([]*Conn, 0, len(u.all))
	}
	for c := range u.all {
		conns = append(conns, c)
	}
	return conns, expired
}

// look is the sweep's view of one connection. It reports whether it is busy.
func (c *Conn) look(now time.Time) bool {
	waits := [2]uint32{c.reads.Load(), c.writes.Load()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.busy {
		return false
	}
	if c.turn != c.seenTurn {
		c.seenTurn, c.waits, c.seenAt = c.turn, waits, now
		return true
	}
	if c.stop == nil { // the second look at this exchange: it is a slow one
		if c.sock.Ended() {
			// The instance had closed the connection before the request went out, so its edge is over.
			c.sock.Nudge()
		}
		turn, ctx := c.turn, c.ctx // by the time it runs the exchange may have ended
		c.stop = context.AfterFunc(ctx, func() { c.interrupt(turn, context.Cause(ctx)) })
	}
	waiting := (waits[0]|waits[1])&1 != 0
	client := c.paused.Load() > 0 || !waiting && waits == c.waits // is what it waits for
	if waits != c.waits || client {
		c.waits, c.seenAt = waits, now
	} else if c.timeout > 0 && now.Sub(c.seenAt) >= c.timeout {
		c.cut(ErrTimeout)
	}
	c.lookAtPlace(now, client)
	if c.up.ending.Err() != nil && c.answers(waits) {
		c.cut(ErrEnding)
		c.hangUp()
	}
	return true
}

// answers reports whether the body of an answer is on its way: it was waited for, or the client is waited for and the instance is
// not. A head that is still owed is no such thing; its instance may give it until it is killed. The lock is held.
func (c *Conn) answers(waits [2]uint32) bool {
	return !c.raw && (c.tenure.body.Load() == c.turn || waits[0]&1 == 0 && c.tenure.waits >= 2)
}

// hangUp tells the instance at once: whoever has the exchange may be waiting for a client that takes nothing.
func (c *Conn) hangUp() {
	c.sock.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}
