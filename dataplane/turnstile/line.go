package turnstile

import (
	"context"
	"time"
)

// wait stands in line.
func (t *Turnstile) wait(ctx context.Context, party Party) error {
	w, err := t.join(party)
	if w == nil {
		return err
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
	}
	t.mu.Lock()
	inLine := w.element != nil
	if inLine {
		t.remove(w)
	}
	t.mu.Unlock()
	if !inLine && <-w.done == nil {
		t.Leave() // a place came too late
	}
	return context.Cause(ctx)
}

// join takes a place, or stands at the end of the line: then the waiter is not nil.
func (t *Turnstile) join(party Party) (*waiter, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	for {
		word := t.word.Load()
		switch {
		case t.free(word):
			if t.word.CompareAndSwap(word, word+one) {
				return nil, nil
			}
		case t.lined() && !t.makeRoom(party):
			t.full.Add(1)
			return nil, ErrFull
		case word&mark != 0 || t.word.CompareAndSwap(word, word|mark):
			w := &waiter{done: make(chan error, 1)}
			t.line.push(w, t.standing(party))
			if t.starting == 0 {
				t.arm(w)
			}
			return w, nil
		}
	}
}

// free says that a request needs not wait; the lock is held.
func (t *Turnstile) free(word int64) bool { return t.line.len() == 0 && word/one < t.places.Load() }

// lined says that the line has no room; the lock is held.
func (t *Turnstile) lined() bool { return t.line.len() >= t.limits.Line }

func (t *Turnstile) standing(party Party) standing {
	if t.regulars.has(party.Client) {
		return standing{party, forRegulars}
	}
	return standing{party, forStrangers}
}

// makeRoom sends somebody else away; the lock is held.
func (t *Turnstile) makeRoom(party Party) bool {
	w := t.line.surplus(t.standing(party))
	if w == nil {
		return false
	}
	t.full.Add(1)
	t.remove(w)
	w.done <- ErrFull
	return true
}

// arm lets the patience of a waiter begin; the lock is held.
func (t *Turnstile) arm(w *waiter) {
	w.deadline = time.Now().Add(t.limits.Patience)
	if w.timer == nil {
		w.timer = time.AfterFunc(t.limits.Patience, func() { t.expire(w) })
		return
	}
	w.timer.Reset(t.limits.Patience)
}

// expire ends the patience of a waiter, unless it has begun anew meanwhile or a start is waited for.
func (t *Turnstile) expire(w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.element != nil && t.starting == 0 && !time.Now().Before(w.deadline) {
		t.late.Add(1)
		t.remove(w)
		w.done <- ErrLate
	}
}

// admit gives free places to those whose turn it is; the lock is held.
func (t *Turnstile) admit() {
	for t.line.len() > 0 && t.word.Load()/one < t.places.Load() {
		t.word.Add(one)
		w := t.line.next()
		t.remove(w)
		w.done <- nil
	}
}

// dismiss sends everybody in line away; the lock is held.
func (t *Turnstile) dismiss(reason error) {
	t.line.each(func(w *waiter) {
		t.remove(w)
		w.done <- reason
	})
}

// remove takes a waiter out of the line; the lock is held.
func (t *Turnstile) remove(w *waiter) {
	t.line.remove(w)
	if w.timer != nil {
		w.timer.Stop()
	}
	if t.line.len() == 0 {
		t.word.And(^int64(mark))
	}
}

// Load is how much there is to do.
type Load struct {
	// InFlight counts the requests that are with instances, whether they need a place at the moment or not.
	InFlight int
	// Places counts the places that are taken.
	Places int
	// Queued counts those that wait, for a place or for an instance.
	Queued int
	// Full and Late count the requests refused with ErrFull and ErrLate since the turnstile was made.
	Full, Late uint64
}

// Load tells how much there is to do now.
func (t *Turnstile) Load() Load {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.load()
}

func (t *Turnstile) load() Load {
	places := int(t.word.Load() / one)
	return Load{
		InFlight: max(places-t.starting+int(t.yielded.Load()), 0), Places: places, Queued: t.line.len() + t.starting,
		Full: t.full.Load(), Late: t.late.Load(),
	}
}

// Outlook is what a request would find that came now.
type Outlook struct {
	Load
	Limits Limits
	// Waits says that it would stand in line; Err is ErrFull when it could not, and ErrClosed when there is nothing to wait for.
	Waits bool
	Err   error
}

// Outlook tells what Enter would do. Nobody is let in or sent away.
func (t *Turnstile) Outlook(party Party) Outlook {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := Outlook{Load: t.load(), Limits: t.limits}
	switch {
	case t.free(t.word.Load()):
	case t.closed:
		o.Err = ErrClosed
	case t.lined() && t.line.surplus(t.standing(party)) == nil:
		o.Err = ErrFull
	default:
		o.Waits = true
	}
	return o
}
