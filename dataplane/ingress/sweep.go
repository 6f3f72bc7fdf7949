package ingress

import "time"

const (
	tick  = 50 * time.Millisecond // while requests are served
	rest  = time.Second           // while none is
	grace = 250 * time.Millisecond
)

// dateLayout is the only format of Date that is sent (RFC 9110 5.6.7).
const dateLayout = "Date: Mon, 02 Jan 2006 15:04:05 GMT\r\n"

// stamp renews the Date field. Answers copy it: formatting it for each would cost more than the rest of the head.
func (l *Listener) stamp(now time.Time) {
	date := []byte(now.UTC().Format(dateLayout))
	l.date.Store(&date)
}

// sweep keeps the time limits of all connections until the listener's life ends and no connection is left.
func (l *Listener) sweep() {
	timer := time.NewTimer(rest)
	defer timer.Stop()
	life := l.life.Done()
	second := time.Now().Unix()
	var drainedSince time.Time
	for {
		select {
		case <-timer.C:
		case <-l.wake:
		case <-life:
			life = nil
		}
		l.resting.Store(false)
		now := time.Now()
		if now.Unix() != second {
			second = now.Unix()
			l.stamp(now)
		}
		waits := false // HTTP/2 for a client
		if l.h2 != nil {
			waits = l.h2.streams.look(now, &l.opt)
			waits = l.paceHanded(now) || waits
		}
		draining := l.draining.Load()
		if draining && drainedSince.IsZero() {
			drainedSince = now
		}
		busy, left := l.look(now, draining && now.Sub(drainedSince) >= grace)
		if left == 0 && life == nil {
			return
		}
		if !busy && !draining {
			l.resting.Store(true)
			busy, _ = l.look(now, false) // what became busy before that did not wake anybody
		}
		if !busy {
			l.retireWorkers()
		}
		if busy || waits || draining {
			timer.Reset(tick)
		} else {
			timer.Reset(rest)
		}
	}
}

// look looks at every connection. With closeIdle, those that wait for a request are closed.
func (l *Listener) look(now time.Time, closeIdle bool) (busy bool, left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		busy = c.look(now, closeIdle) || busy
	}
	return busy, len(l.conns)
}

// look is the sweep's view of a connection: what has not changed since the first look at it has lasted since then.
func (c *conn) look(now time.Time, closeIdle bool) (busy bool) {
	mark := c.mark.Load()
	if mark != c.seenMark {
		c.seenMark, c.seenAt, c.watched, c.pace = mark, now, false, pace{}
	}
	age := now.Sub(c.seenAt)
	switch phaseOf(mark) {
	case phaseIdle:
		// The end of the client's sending that came together with its last request has had its edge.
		ended := age > 0 && !c.watched && c.sock.Ended()
		c.watched = age > 0
		if closeIdle || ended || age >= c.l.opt.IdleLimit {
			c.expire(mark)
		}
		return false
	case phaseHead:
		if age >= c.l.opt.HeadLimit {
			c.expire(mark)
		}
	case phaseShake:
		if age >= c.l.opt.HeadLimit && c.expire(mark) {
			c.sock.Interrupt() // it may wait for the client to take something
		}
	case phaseServe:
		if age >= tick/2 && !c.watched { // the second look at this request: it takes its time
			c.watched = true
			c.l.watch.add(c)
		}
		c.stalls(now)
		c.keepPace(now)
	}
	return true
}

// expire ends a wait, unless it has just ended by itself: then the mark is another one.
func (c *conn) expire(mark uint64) bool {
	if !c.mark.CompareAndSwap(mark, mark&^phaseMask|uint64(phaseExpired)) {
		return false
	}
	c.sock.InterruptRead()
	return true
}

// stalls cuts a connection whose client has neither sent nor taken a byte for too long although it was its turn. The
// counters are odd while a call waits.
func (c *conn) stalls(now time.Time) {
	for i, n := range [...]uint32{c.reads.Load(), c.writes.Load()} {
		if c.stalled[i].lasts(n, now, c.l.opt.StallLimit) {
			c.leave()
			c.sock.Interrupt()
		}
	}
}

// stall is a counter as it was seen, and since when.
type stall struct {
	count uint32
	since time.Time
}

// lasts reports whether a call that waits has done so for limit.
func (s *stall) lasts(n uint32, now time.Time, limit time.Duration) bool {
	if n != s.count {
		s.count, s.since = n, now
		return false
	}
	return n&1 != 0 && now.Sub(s.since) >= limit
}
