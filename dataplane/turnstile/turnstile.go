// Package turnstile lets at most so many requests of one application through at once. Further ones stand in a line, which is
// bounded in length and in time: in one file the requests of clients that have taken a whole answer before, in another those
// of strangers, who get one place of four while both wait. In each, first come is first served.
//
// A request that finds a free place costs one atomic operation to enter and one to leave. The lock is for the line alone.
package turnstile

import (
	"container/list"
	"context"
	"errors"
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limits say how many requests, and how long.
type Limits struct {
	// Places is how many requests may be through at once, at least 1.
	Places int
	// Line is how many further ones may wait for a place; 0 is none. When it is full, the newest one of the client that has the
	// most in it makes room for one more of a client that has less, by two; where strangers have more than half of it, one of
	// them for a regular, and the other way round; and where those that owe have more than half of it, one of them for any that
	// does not.
	Line int
	// Patience is how long each of them may wait.
	Patience time.Duration
}

var (
	// ErrFull says that too many wait already.
	ErrFull = errors.New("turnstile: too many requests wait already")
	// ErrLate says that no place became free in time.
	ErrLate = errors.New("turnstile: no place within the time limit")
	// ErrClosed says that there is nothing to wait for: ask again what answers now.
	ErrClosed = errors.New("turnstile: closed")
)

// Turnstile counts the requests of one application. Make it with New.
type Turnstile struct {
	// word is how many places are taken, times two, and 1 while somebody stands in line. With that mark whoever leaves
	// goes through the lock, so that no waiting request is missed; and nobody enters past the line.
	word    atomic.Int64
	places  atomic.Int64
	yielded atomic.Int64

	full, late atomic.Uint64

	regulars regulars

	mu       sync.Mutex
	limits   Limits
	line     queue
	closed   bool
	starting int // who has a place and waits for an instance
}

const (
	mark = 1
	one  = 2
)

// waiter is one request in line.
type waiter struct {
	done     chan error // gets one value: nil is a place
	share    *share
	element  *list.Element // of its file; nil: it does not wait any more
	inShare  *list.Element
	timer    *time.Timer
	deadline time.Time
}

// New makes a turnstile that is open.
func New(limits Limits) *Turnstile {
	t := &Turnstile{limits: limits, regulars: regulars{seed: maphash.MakeSeed()}}
	t.places.Store(int64(limits.Places))
	return t
}

// Set changes the limits. Who is through stays so, who waits goes on waiting.
func (t *Turnstile) Set(limits Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limits = limits
	t.places.Store(int64(limits.Places))
	t.admit()
}

// Enter takes a place, which Leave gives back. It waits in line until there is one, or ctx ends; its error is ErrFull, ErrLate,
// ErrClosed, the cause of ctx, or what Started was told.
func (t *Turnstile) Enter(ctx context.Context, party Party) error {
	for {
		w := t.word.Load()
		if w&mark != 0 || w/one >= t.places.Load() {
			return t.wait(ctx, party)
		}
		if t.word.CompareAndSwap(w, w+one) {
			return nil
		}
	}
}

// Served says that the client has taken a whole answer, which makes it a regular.
func (t *Turnstile) Served(client netip.Addr) { t.regulars.add(client) }

// Leave gives a place back, to the first in line if there is one.
func (t *Turnstile) Leave() {
	for {
		w := t.word.Load()
		if w&mark != 0 {
			t.mu.Lock()
			t.word.Add(-one)
			t.admit()
			t.mu.Unlock()
			return
		}
		if t.word.CompareAndSwap(w, w-one) {
			return
		}
	}
}

// Yield gives a place back for as long as its request is owed nothing. The request is still counted as in flight.
func (t *Turnstile) Yield() {
	t.yielded.Add(1)
	t.Leave()
}

// Resume takes the place of Yield again. It does not wait: a request that is under way already would hold what it has
// from the application while it stood in line, and two of them could wait for each other. So the places may be exceeded,
// by no more than those who came back; until that is over nobody new is let in.
func (t *Turnstile) Resume() {
	t.word.Add(one)
	t.yielded.Add(-1)
}

// Start says that a request which has a place waits for an instance to start. Until as many calls of Started nobody's
// patience ends: the start has a limit of its own, and all wait for the same.
func (t *Turnstile) Start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starting++
}

// Started ends what Start began. A failure that is not nil is the answer to everybody in line, since they waited for the
// same start; otherwise their patience begins now.
func (t *Turnstile) Started(failure error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.starting--
	if failure != nil {
		t.dismiss(failure)
	}
	if t.starting == 0 {
		t.line.each(t.arm)
	}
}

// Close sends everybody in line away with ErrClosed, and whoever would stand in line until Open. Places are given out
// and taken back as before.
func (t *Turnstile) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.dismiss(ErrClosed)
}

// Open ends Close.
func (t *Turnstile) Open() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = false
}
