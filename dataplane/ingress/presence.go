package ingress

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// presence is the context of a connection's requests: it ends when the client is gone. A context of the standard library
// would cost several allocations a connection and a lock of all; most requests never ask for anything of it.
type presence struct {
	gone  atomic.Bool
	mu    sync.Mutex           // what follows, and changes of gone
	done  chan struct{}        // made when asked for
	after map[*func()]struct{} // made when asked for
}

var _ context.Context = (*presence)(nil)

// leave ends it. What waits for that is called on goroutines of its own.
func (p *presence) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone.Load() {
		return
	}
	p.gone.Store(true)
	if p.done != nil {
		close(p.done)
	}
	for f := range p.after {
		go (*f)()
	}
	p.after = nil
}

// Deadline implements context.Context: there is none.
func (p *presence) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context: there are none.
func (p *presence) Value(any) any { return nil }

// Err implements context.Context.
func (p *presence) Err() error {
	if p.gone.Load() {
		return context.Canceled
	}
	return nil
}

// Done implements context.Context.
func (p *presence) Done() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.gone.Load() {
			close(p.done)
		}
	}
	return p.done
}

// AfterFunc is what context.AfterFunc and derived contexts use instead of a goroutine that waits for Done.
func (p *presence) AfterFunc(f func()) (stop func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone.Load() {
		go f()
		return func() bool { return false }
	}
	if p.after == nil {
		p.after = make(map[*func()]struct{})
	}
	p.after[&f] = struct{}{}
	return func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, waits := p.after[&f]
		delete(p.after, &f)
		return waits
	}
}
