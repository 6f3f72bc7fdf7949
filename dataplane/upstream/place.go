package upstream

import (
	"sync/atomic"
	"time"
)

// Place is what every exchange of an Upstream holds of its application's concurrency. It is given back while the
// instance owes nothing, and taken again without waiting; both may be called with a lock held.
//
// While the client owes bytes of its body the place is given back at once: who sends slowly, or thousands who do, must not
// fill an application. Otherwise the exchange does not call them, since most waits for a client are shorter than a look of
// the sweep: the sweep sees which exchanges wait, so a request that waits for nobody pays nothing. A place is given back
// when two looks in a row have found the exchange waiting for the client to take its answer, or when the answer's body has
// been silent for a second; the first look that finds neither takes it again. Between the two the instance may be at work
// for it already: by so many exchanges, and no more, an application may be busier than it should be.
type Place interface {
	Yield()
	Resume()
}

// silence is how long an answer's body may pause before its exchange is taken for one that waits for events.
const silence = time.Second

// tenure is what the sweep knows of the place of an exchange; the lock of Conn guards it, but for body.
type tenure struct {
	body    atomic.Uint64 // number of the exchange that has waited for a body
	yielded bool
	forGood bool // ... until the end of the exchange
	waits   int  // looks in a row that found it waiting for the client
}

// Yield gives the place back until the end of the exchange: what follows is an event stream, or no HTTP any more.
func (c *Conn) Yield() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tenure.forGood = true
	c.hold(false)
}

// lookAtPlace is the sweep's; the lock is held. client says that the exchange waits for it.
func (c *Conn) lookAtPlace(now time.Time, client bool) {
	t := &c.tenure
	if client {
		t.waits++
	} else {
		t.waits = 0
	}
	c.hold(c.paused.Load() == 0 && t.waits < 2 && (t.body.Load() != c.turn || now.Sub(c.seenAt) < silence))
}

// holdUnlessPaused makes the place what the newest Pause or Resume asks for.
func (c *Conn) holdUnlessPaused() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hold(c.paused.Load() == 0)
}

// endPlace gives the caller of Open back what it had; the lock is held.
func (c *Conn) endPlace() {
	c.tenure.forGood, c.tenure.waits = false, 0
	c.hold(true)
}

// hold takes the place or gives it back; the lock is held.
func (c *Conn) hold(needed bool) {
	t := &c.tenure
	needed = needed && !t.forGood
	if c.up.place == nil || needed == !t.yielded {
		return
	}
	t.yielded = !needed
	if needed {
		c.up.place.Resume()
	} else {
		c.up.place.Yield()
	}
}
