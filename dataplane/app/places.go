package app

import (
	"context"
	"errors"
	"net/netip"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
	"github.com/ancora-fleet/ancora/dataplane/turnstile"
)

// options are those of a request; the token is the instance's.
func (d *running) options(is rules) forward.Options {
	opt := forward.Options{Generic: d.spec.Generic, RequestTimeout: d.spec.RequestTimeout, BodyLimit: d.spec.BodyLimit, BodyRefused: d.app.bodyRefused}
	is.apply(&opt)
	return opt
}

// enter takes a place, or stands in line for one.
func (a *App) enter(r *forward.Request, client netip.Addr) error {
	return a.turnstile.Enter(r.Context, turnstile.Party{Client: client, Owing: r.Owed()})
}

// claim takes an instance for a request that has a place already. The door may be replaced while it waits; it keeps its
// place then and waits at the next one, which is returned.
func (d *running) claim(ctx context.Context, wanted uint32) (*running, supervise.Claim, error) {
	for {
		claim, err := d.acquire(ctx, d.pool.Choose(wanted, d.spec.Least))
		if errors.Is(err, supervise.ErrStopping) {
			if next, runs := d.app.door.Load().Door.(*running); runs && next != d {
				d = next
				continue
			}
		}
		return d, claim, err
	}
}

// acquire waits for the instance in a slot if it is not ready. While none is, the wait is bounded by the start alone, also for those
// who have no place yet: if it fails, or starts are refused, that is the answer to them as well.
func (d *running) acquire(ctx context.Context, at int) (supervise.Claim, error) {
	if claim, ok := d.pool.TryAcquire(at); ok {
		return claim, nil
	}
	if d.pool.Serving() { // they do not wait for this start
		return d.pool.Acquire(ctx, at)
	}
	d.app.turnstile.Start()
	err := d.after.wait(ctx)
	var claim supervise.Claim
	if err == nil {
		claim, err = d.pool.Acquire(ctx, at)
	}
	if err == nil || errors.Is(err, supervise.ErrStopping) || ctx.Err() != nil { // nothing that concerns anybody else
		d.app.turnstile.Started(nil)
	} else {
		d.app.turnstile.Started(err)
	}
	return claim, err
}

// leave gives back the instance, then the place: who comes in next never finds one request more than is allowed.
func (a *App) leave(claim supervise.Claim) {
	claim.Release()
	a.turnstile.Leave()
}

// Load is how much an application has to do, and how many requests it refused since the agent's worker started.
type Load struct {
	// InFlight counts the requests that are with instances, Queued those that wait for a place or an instance.
	InFlight, Queued int
	// QueueFull and QueueTimeout count the requests that met limits.queue and limits.queueTimeout; NoInstance those that
	// waited for a start that failed, or came while starts were refused.
	QueueFull, QueueTimeout, NoInstance uint64
}

// Load tells how much there is to do now.
func (a *App) Load() Load {
	l := a.turnstile.Load()
	return Load{InFlight: l.InFlight, Queued: l.Queued, QueueFull: l.Full, QueueTimeout: l.Late, NoInstance: a.noInstance.Load()}
}
