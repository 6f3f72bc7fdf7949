// Package app is the front door of one application. What stands behind it at the moment, running, offline or failed, is
// one immutable door behind an atomic pointer: requests ask no flags.
package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/goodconfig"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/offline"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/recycle"
	"github.com/ancora-fleet/ancora/dataplane/route"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
	"github.com/ancora-fleet/ancora/dataplane/turnstile"
)

// Spec is an application as it is to run.
type Spec struct {
	// Pool says with InProcess that failed starts are answered by 500.3x.
	Pool supervise.Config
	// Root is its folder, where app_offline.htm and web.config are looked for.
	Root string
	// Texts are the web.config files that all this was made of.
	Texts []goodconfig.File
	// Drain is how long requests in flight may go on when an instance is replaced (SHD-7).
	Drain time.Duration
	// Pinned says that changes of web.config do not concern what runs (CFG-3).
	Pinned bool
	// Recycle says when instances are replaced, or stopped for want of requests.
	Recycle recycle.Rules
	// Alone says that no two instances may run at once: what is replaced ends first.
	Alone bool
	// RequestTimeout is inactivity (FWD-30); 0 is none.
	RequestTimeout time.Duration
	// BodyLimit is as in forward.Options; what Filter says of a place goes before it.
	BodyLimit int64
	// Limits bound the requests at once. They are the application's, whatever number of instances it has and whichever of
	// them is being replaced.
	Limits turnstile.Limits
	// Least gives a request to the instance with the fewest, not to each in turn.
	Least bool
	// Cookie brings visitors back to the instance that answered before.
	Cookie bool
	// Generic forwards in the manner of the generic profile.
	Generic bool
	Answers
}

// Answers is how an application has requests judged, and answered where no instance does.
type Answers struct {
	// Filter is what the application's web.config asks of requests and answers; nil: nothing.
	Filter *filter.Set
	// Handlers says which requests go to the application (SCH-6); nil: all. The others get 404.
	Handlers *route.Handlers
	// Mapped describes each of them; where Handlers is nil, the one that sends everything to the application, if there is one.
	Mapped []Mapped
	// PlainErrors leaves the page of a failed start out: its status is all there is (ERR-4).
	PlainErrors bool
	// Development shows visitors why it does not start.
	Development bool
	// ErrorLink is an address that pages of its errors lead to; empty: none.
	ErrorLink string
}

// same says that what runs as s serves as next too.
func (s *Spec) same(next *Spec) bool {
	return s.Pool.Fingerprint == next.Pool.Fingerprint && s.Pool.Epoch >= next.Pool.Epoch
}

// Refusal is why an application does not run as it is configured.
type Refusal struct {
	// Code is what visitors are answered with while nothing runs: 500.19, 500.0 or 502.5.
	Code string
	Err  error
	// Answers are those of what could be read.
	Answers
}

func (r *Refusal) Error() string { return r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }

// Start says that it is a start that fails, with the events of one (LCH-12, ERR-3): out of process, where the file is read well
// and what it names cannot be started.
func (r *Refusal) Start() bool { return r.Code == outOfProcess }

// App is one application.
type App struct {
	site, path string
	log        hclog.Logger
	offline    *offline.State
	pages      *errorPages
	door       atomic.Pointer[door]
	turnstile  *turnstile.Turnstile
	noInstance atomic.Uint64 // requests refused since no instance came up
	// bodyRefused notes that an instance has answered 413, told says when that was noted last, in seconds of Unix time.
	bodyRefused func()
	told        atomic.Int64
	changed     func()
	ruled       chan struct{} // gets a value when its rules may be others

	mu      sync.Mutex
	spec    *Spec
	pool    *supervise.Pool // nil while offline, failed or closed
	next    *swap           // a replacement that is not ready yet
	reason  *Refusal        // why there is no spec, or no newer one
	swapErr error           // why the newest replacement did not come up
	closed  bool
	retired []*supervise.Pool

	successor *successor // what the pool waits for before its first start; nil: nothing
}

type door struct{ forward.Door }

// swap is a pool that is to replace the current one once it is ready.
type swap struct {
	spec      *Spec
	pool, old *supervise.Pool
	cancel    context.CancelFunc
}

// New makes an application that has nothing to run yet: requests get 503 until Update or Fail.
func New(site, path, root string, log hclog.Logger, changed func()) *App {
	if log == nil {
		log = hclog.NewNullLogger()
	}
	a := &App{site: site, path: path, log: log.With("site", site, "application", path), turnstile: turnstile.New(turnstile.Limits{}), pages: newErrorPages(root), changed: changed, ruled: make(chan struct{}, 1)}
	a.bodyRefused = func() { a.noteBodyRefused(time.Now()) }
	state := offline.New(site, root, func() {
		if a.offline != nil {
			a.turn()
		}
	})
	a.offline = state
	a.turn()
	return a
}

// Run watches for app_offline.htm and the ends of notices, and replaces and stops instances by the rules, until ctx ends.
func (a *App) Run(ctx context.Context) {
	var parts sync.WaitGroup
	parts.Go(func() { a.offline.Run(ctx) })
	parts.Go(func() { a.tend(ctx) })
	parts.Wait()
}

// Serve answers one request by what stands here now. A door that was retired meanwhile sends it to the next one.
func (a *App) Serve(r *forward.Request, w forward.ResponseWriter) {
	a.offline.Look()
	a.door.Load().Serve(r, w)
}

// Offline gives what holds the application offline; none: in service.
func (a *App) Offline() []string {
	if answer := a.offline.Answer(); answer != nil {
		return answer.Holders
	}
	return nil
}

// SetNotices says which notices there are. From its return on the doors are as they must be.
func (a *App) SetNotices(notices []offline.Notice) { a.offline.SetNotices(notices) }

// Record writes an event into the event stream of the application's newest run; false: there was never one.
func (a *App) Record(e journal.Event) bool {
	a.mu.Lock()
	pool := a.pool
	a.mu.Unlock()
	return pool != nil && pool.Record(e)
}

// noteBodyRefused writes an event, at most one a minute: it is a visitor who decides how often this comes.
func (a *App) noteBodyRefused(now time.Time) {
	last := a.told.Load()
	if now.Unix()-last < 60 || !a.told.CompareAndSwap(last, now.Unix()) {
		return
	}
	go a.Record(journal.Event{
		ID: journal.EventBodyRefused, Message: "an answer 413 is the application's own, not that of the limit here",
		Reason: "Kestrel has a limit of its own for bodies, 30,000,000 bytes unless MaxRequestBodySize of the application is another; or the application has its reasons",
	})
}

// Update says how the application is to run. What runs already is replaced only when the fingerprint or the epoch
// differs: the new instance is ready before the old one drains, and one that does not come up leaves the old one. What an earlier
// worker has started for it is given with the first spec, and is the application's from then on, before any is started; taken says
// that it is.
func (a *App) Update(spec *Spec, found ...*process.Process) (taken bool) {
	a.mu.Lock()
	defer a.after(a.mu.Unlock)
	if a.closed {
		return false
	}
	old := a.spec
	a.reason = nil
	if a.next != nil && a.next.spec.same(spec) { // it is on its way
		a.next.spec = spec
		if old.same(spec) {
			a.spec = spec
			a.setDoor(a.runningDoor())
		}
		return false
	}
	if a.pool == nil || old == nil {
		a.spec = spec
		a.dropPools(spec.Pool.Shutdown)
		if taken = a.inherit(found); !taken {
			a.turnLocked()
		}
		return taken
	}
	if old.same(spec) {
		a.cancelSwap()
		a.spec = spec
		a.setDoor(a.runningDoor())
		return false
	}
	a.replace(spec)
	return false
}

// Recycle replaces what runs by the same anew.
func (a *App) Recycle() {
	a.mu.Lock()
	defer a.after(a.mu.Unlock)
	if a.pool == nil || a.closed {
		return
	}
	spec := a.spec
	if a.next != nil { // what is to come, not what it replaces
		spec = a.next.spec
	}
	a.replace(spec)
}

// replace has instances of another spec come up in the place of the current ones; the lock is held.
func (a *App) replace(spec *Spec) { a.replaceBy(spec, supervise.New(a.poolConfig(spec))) }

// replaceBy starts a pool beside the current one; the lock is held.
func (a *App) replaceBy(spec *Spec, next *supervise.Pool) {
	a.cancelSwap()
	starting, ready := a.pool.Running()
	if spec.Alone && (starting || ready || a.pool.Ending() || a.successor.pending()) {
		a.succeed(spec, next)
		return
	}
	if !starting && !ready && !spec.Pool.Always {
		// Nothing runs, so there is nothing to keep while the new one comes up.
		old := a.pool
		a.setPool(spec, next, nil)
		a.setDoor(a.runningDoor())
		a.retire(old, 0)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &swap{spec, next, a.pool, cancel}
	a.next = s
	go a.finish(ctx, s)
}

// finish puts a replacement in place once it is ready.
func (a *App) finish(ctx context.Context, s *swap) {
	defer s.cancel()
	err := s.pool.Await(ctx, s.old)
	a.mu.Lock()
	defer a.after(a.mu.Unlock)
	if a.next != s || a.closed {
		a.retire(s.pool, 0)
		return
	}
	a.next = nil
	if err != nil {
		err = beside(err)
		a.swapErr = err
		a.log.Warn("replacement does not start, the old one goes on", "error", err)
		a.retire(s.pool, 0)
		return
	}
	old, drain := a.pool, a.spec.Drain
	a.setPool(s.spec, s.pool, nil)
	a.setDoor(a.runningDoor())
	a.retire(old, drain)
}

// Fail says why the application cannot run at all. What runs goes on.
func (a *App) Fail(reason *Refusal) {
	a.mu.Lock()
	defer a.after(a.mu.Unlock)
	if a.closed {
		return
	}
	a.reason = reason
	if a.spec == nil {
		a.turnLocked()
	}
}

// Close ends everything: requests in flight may go on for drain.
func (a *App) Close(drain time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.dropPools(drain)
	for _, p := range a.retired { // what was replaced before may not take longer
		p.Close(drain)
	}
	a.setDoor(stopped{})
}

// Stopped waits until no process is left, or ctx ends.
func (a *App) Stopped(ctx context.Context) error {
	a.mu.Lock()
	pools := a.retired
	a.mu.Unlock()
	var errs []error
	for _, p := range pools {
		errs = append(errs, p.Stopped(ctx))
	}
	return errors.Join(errs...)
}

// turn makes door and pools agree with the offline state.
func (a *App) turn() {
	a.mu.Lock()
	defer a.after(a.mu.Unlock)
	a.turnLocked()
}

func (a *App) turnLocked() {
	switch answer := a.offline.Answer(); {
	case a.closed:
	case answer != nil:
		a.setDoor(&away{answer, a.answers()})
		if pool := a.pool; pool != nil && slices.Contains(answer.Holders, offline.Local) {
			go pool.Record(journal.Event{ID: journal.EventRecycleFile, Message: "stopped", Reason: "app_offline.htm is in the folder"})
		}
		limit := time.Duration(0)
		if a.spec != nil {
			limit = a.spec.Pool.Shutdown
		}
		a.dropPools(limit)
		for _, p := range a.retired { // what was replaced before has no more time either
			p.End(limit)
		}
	case a.spec == nil:
		a.setDoor(&failed{a, a.reason})
	case a.pool == nil:
		a.begin(supervise.New(a.poolConfig(a.spec)))
	}
}

// answers are those that hold now, as far as they are known; the lock is held.
func (a *App) answers() *Answers {
	switch {
	case a.spec != nil:
		return &a.spec.Answers
	case a.reason != nil:
		return &a.reason.Answers
	}
	return &Answers{}
}

func (a *App) runningDoor() *running {
	d := &running{app: a, pool: a.pool, spec: a.spec, after: a.successor}
	if n := a.spec.Pool.Instances; a.spec.Cookie && n > 1 {
		d.affinity = newAffinity(a.site, a.path, n)
	}
	return d
}

// after runs unlock and tells of the change.
func (a *App) after(unlock func()) {
	unlock()
	if a.changed != nil {
		a.changed()
	}
}

// setDoor puts another door in place. Whoever waits for a place behind a door that runs nothing any more is sent to the
// new one; the line is open again before a door that runs something stands there.
func (a *App) setDoor(d forward.Door) {
	r, runs := d.(*running)
	if runs {
		a.turnstile.Set(r.spec.Limits)
		a.turnstile.Open()
	}
	a.door.Store(&door{d})
	select {
	case a.ruled <- struct{}{}:
	default:
	}
	if !runs {
		a.turnstile.Close()
	}
}

// dropPools retires all there is; the lock is held.
func (a *App) dropPools(drain time.Duration) {
	a.cancelSwap()
	if a.pool != nil {
		a.retire(a.pool, drain)
		a.pool = nil
		a.setSuccessor(nil)
	}
}

func (a *App) cancelSwap() {
	if a.next != nil {
		a.next.cancel()
		a.retire(a.next.pool, 0)
		a.next = nil
	}
}

// retire closes a pool: from its return on the pool lets no request in.
func (a *App) retire(p *supervise.Pool, drain time.Duration) {
	p.Close(drain)
	kept := a.retired[:0]
	for _, old := range a.retired {
		ctx, cancel := context.WithTimeout(context.Background(), 0)
		if old.Stopped(ctx) != nil {
			kept = append(kept, old)
		}
		cancel()
	}
	a.retired = append(kept, p)
}

func (a *App) poolConfig(spec *Spec) supervise.Config {
	c := spec.Pool
	c.Changed, c.Place, c.Alone = a.changed, a.turnstile, spec.Alone
	return c
}
