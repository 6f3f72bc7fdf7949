// Package supervise keeps the instances of one application alive: it starts one when a request needs it, lets requests
// in when it listens, counts its failures, and stops it without dropping what is in flight.
package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/meter"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// Config is one application as it is to run.
type Config struct {
	Site, Application string
	// Revision and Epoch are told with the status and kept with the instance.
	Revision, Epoch int64
	// Fingerprint differs when a running instance must not be kept.
	Fingerprint string
	// Command and Environ give argv and the whole environment of an instance that is to listen at an endpoint. Its files are those
	// of a copy, where copy is not empty.
	Command func(at process.Endpoint, copy string) []string
	Environ func(at process.Endpoint, token string) []string
	Dir     string
	// Copies gives instances copies of the application's folder to run from; nil: they run from the folder.
	Copies Copies
	// Disturbed names files of the folder that have changed since a moment, which an instance without a copy dies of; nil: none.
	Disturbed func(since time.Time) []string
	// Credential is nil for whom the agent runs as.
	Credential *process.Credential
	// Startup and Shutdown are startupTimeLimit and shutdownTimeLimit.
	Startup, Shutdown time.Duration
	// RapidFails is rapidFailsPerMinute; in-process it means nothing.
	RapidFails int
	// InProcess asks for the rules of the in-process model: a failed start stands for a while (D11), rapid fails are not
	// counted, events have its numbers.
	InProcess bool
	// Patient leaves an instance that is late alone: requests are told so, until it listens after all
	// (suppressRecycleOnStartupTimeout).
	Patient bool
	// Stack is the limit of its stacks in bytes; 0 is the agent's own.
	Stack uint64
	// Instances is how many there are at once; below 2 is one.
	Instances int
	// Retries is how many attempts to start may follow one that failed, for the same requests (HPH-2).
	Retries int
	// Always keeps all of them running without requests.
	Always bool
	// Alone says that what is replaced, or was stopped, ends before another starts in its place.
	Alone bool
	// Warmup is what a new instance is asked for before it gets requests.
	Warmup Warmup
	// Protocol is what instances speak; empty: the first answer tells.
	Protocol site.Protocol
	// SocketDir is where instances have their unix sockets; empty: they listen on ports.
	SocketDir string
	// Port is 0 for a drawn one. Token is empty for a made one.
	Port  uint16
	Token string
	// Paired says that the application checks the pairing token and takes the shutdown request below Base.
	Paired bool
	Base   string
	// Idle is how long a connection to the instance may rest.
	Idle time.Duration
	// Place is what each request holds of the application's concurrency, which the caller of Acquire has taken; it is
	// given back while the instance owes nothing. nil is nothing.
	Place upstream.Place
	// Secrets are never shown in its output.
	Secrets []string
	// Silent says that what instances print goes nowhere (LOG-9).
	Silent bool
	// Witness is told of runs and events; nil: nobody is.
	Witness Witness
	// RunDir gives the capture directory of a run.
	RunDir  func(run uint64) string
	Keeper  *process.Client
	Journal *journal.Journal
	Ports   *Ports
	// Meter counts starts and connections; nil: nobody does.
	Meter  *meter.Application
	Logger hclog.Logger
	// Changed is called after each change of status, never with a lock held.
	Changed func()
}

// Witness is told what happens to the runs of an application. It must not wait.
type Witness interface {
	// Began tells of a run whose process runs since started; adopted says that an earlier worker has started it.
	Began(run uint64, pid int, started time.Time, adopted bool)
	// Event tells of each event once it is in the event stream of a run.
	Event(run uint64, e journal.Event)
	// Ended tells that nothing of the run is left.
	Ended(run uint64)
}

// Claim is an instance taken for one request.
type Claim struct {
	Upstream *upstream.Upstream
	Token    string
	// Ending ends shortly before the instance is killed if it does not end by itself.
	Ending   context.Context
	pool     *Pool
	instance *instance
}

// Pool is the instances of one application under one configuration.
type Pool struct {
	config Config
	log    hclog.Logger
	slots  []slot        // one for each instance
	turn   atomic.Uint32 // counts the requests that were given a slot, where there are several

	mu      sync.Mutex
	window  window
	closed  bool
	retired sync.WaitGroup // instances not settled
}

// New makes a pool. An instance of this configuration that runs already may be given to Adopt before the first request.
func New(config Config) *Pool {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Changed == nil {
		config.Changed = func() {}
	}
	p := &Pool{config: config, log: config.Logger.With("site", config.Site, "application", config.Application), slots: make([]slot, max(config.Instances, 1))}
	for n := range p.slots {
		p.slots[n].number = uint32(n + 1)
	}
	return p
}

// TryAcquire takes the instance of a slot that Choose gave, if it is ready; it starts none and does not wait.
func (p *Pool) TryAcquire(at int) (Claim, bool) {
	s := &p.slots[at]
	if i := s.open.Load(); i != nil && i.enter() {
		return Claim{i.upstream, i.token, i.ending, p, i}, true
	}
	return Claim{}, false
}

// Acquire takes the instance of a slot that Choose gave, starting it when it does not run, or another one that is ready where that
// fails. It waits until ctx ends, and does not bound how many wait. Every waiting request of a start that fails gets its
// *StartError.
func (p *Pool) Acquire(ctx context.Context, at int) (Claim, error) {
	return p.acquire(ctx, &p.slots[at], meter.Request)
}

func (p *Pool) acquire(ctx context.Context, s *slot, why meter.Reason) (Claim, error) {
	for {
		p.mu.Lock()
		i, err := p.take(s, why)
		if err == nil && i.ready {
			i.inFlight.Add(1)
			if why == meter.Request {
				i.requests.Add(1)
			}
			p.mu.Unlock()
			return Claim{i.upstream, i.token, i.ending, p, i}, nil
		}
		p.mu.Unlock()
		if err == nil {
			err = p.wait(ctx, i)
		}
		if err == nil {
			continue
		}
		other := p.serving(s)
		if other == nil || ctx.Err() != nil || errors.Is(err, ErrStopping) || why != meter.Request {
			return Claim{}, err
		}
		s = other
	}
}

// wait returns nil when it is worth looking again.
func (p *Pool) wait(ctx context.Context, i *instance) error {
	select {
	case <-i.settled:
		return i.failure
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// take gives the current instance of a slot, started or not, or starts one; the lock is held.
func (p *Pool) take(s *slot, why meter.Reason) (*instance, error) {
	i, err := p.standing(s)
	if i != nil || err != nil {
		return i, err
	}
	if s.failure != nil {
		why = meter.Failure
	}
	p.config.Meter.Started(why)
	i = p.newInstance(s)
	if n := len(s.leaving); p.config.Alone && n > 0 {
		i.after = s.leaving[n-1].over
	}
	s.begin(i)
	p.retired.Add(1)
	go i.launch()
	return i, nil
}

// refused says why nothing may be started in a slot now; the lock is held.
func (p *Pool) refused(s *slot, now time.Time) error {
	if p.config.InProcess {
		if wait, stuck := s.sticky.refuses(now); stuck {
			return &StuckError{s.failure, wait, s.sticky.pause, s.sticky.until}
		}
		return nil
	}
	if wait, refused := p.window.refuses(p.config.RapidFails, now); refused {
		return &RefusedError{p.window.count(now), p.config.RapidFails, wait}
	}
	return nil
}

// Release gives an instance back.
func (c Claim) Release() {
	c.instance.leave()
}

// enter counts a request in, unless the instance lets none in any more. Counting comes first: who closes the pool either sees
// the request, or is seen by it.
func (i *instance) enter() bool {
	i.inFlight.Add(1)
	if i.slot.open.Load() == i {
		i.requests.Add(1)
		return true
	}
	i.leave()
	return false
}

func (i *instance) leave() {
	if i.inFlight.Add(-1) == 0 && i.stopping.Load() {
		i.send(event{kind: idle})
	}
}

// Start starts every instance that does not run, without waiting for them.
func (p *Pool) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for n := range p.slots {
		_, err := p.take(&p.slots[n], meter.Always)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Await starts the instances that are to replace those which run in another pool, the first where none does, all where they are
// kept running; it waits until they are ready, or one is not going to be.
func (p *Pool) Await(ctx context.Context, old *Pool) error {
	up := old.up(len(p.slots))
	if p.config.Always {
		up = p.all()
	}
	ends := make(chan error, len(up))
	for _, n := range up {
		go func() {
			claim, err := p.acquire(ctx, &p.slots[n], meter.Replace)
			if err == nil {
				claim.Release()
			}
			ends <- err
		}()
	}
	for range up {
		if err := <-ends; err != nil {
			return err
		}
	}
	return nil
}

// Close lets no more requests in; from its return on Acquire gives ErrStopping. What is in flight may go on for drain,
// then the shutdown limit begins, for all instances at once. Stopped waits for the end. It may be called again: the shorter drain
// counts, also for instances that were replaced before.
func (p *Pool) Close(drain time.Duration) { p.close(event{kind: stop, drain: drain}) }

// askAhead is how long before the end of a limit that is for requests and the stop together an instance is asked to end, at most:
// of a limit below twice that it is half.
const askAhead = 5 * time.Second

// End is Close where limit is for the requests in flight and the stop together: what is left then is killed.
func (p *Pool) End(limit time.Duration) {
	p.close(event{kind: stop, drain: limit - min(limit/2, askAhead), end: time.Now().Add(limit)})
}

func (p *Pool) close(e event) {
	var running []*instance
	p.mu.Lock()
	p.closed = true
	for n := range p.slots {
		s := &p.slots[n]
		s.open.Store(nil)
		for _, i := range append([]*instance{s.current, s.next}, s.leaving...) {
			if i != nil {
				i.stopping.Store(true)
				running = append(running, i)
			}
		}
	}
	p.mu.Unlock()
	for _, i := range running {
		i.stop(e)
	}
}

// stop sends the event that ends the instance, with what the machine has to know of requests in flight.
func (i *instance) stop(e event) {
	i.abandon()
	busyNow := i.inFlight.Load() > 0
	if busyNow {
		i.send(event{kind: busy})
	}
	i.send(e)
	// The last request may have ended between the look and the stop.
	if busyNow && i.inFlight.Load() == 0 {
		i.send(event{kind: idle})
	}
}

// Stopped waits until no process of the pool is left, or ctx ends.
func (p *Pool) Stopped(ctx context.Context) error {
	done := make(chan struct{})
	go func() { p.retired.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// becameReady lets the waiting requests in.
func (p *Pool) becameReady(i *instance) {
	p.mu.Lock()
	i.ready = true
	network, address := "tcp", fmt.Sprintf("127.0.0.1:%d", i.at.Port)
	if i.at.Socket != "" {
		network, address = "unix", i.at.Socket
	}
	i.upstream = upstream.New(network, address, upstream.Options{
		Idle: p.config.Idle, Connected: p.config.Meter.Connected, Place: p.config.Place,
		H2C: p.config.Protocol == site.ProtocolH2C, Ending: i.ending,
	})
	if p.config.Protocol == site.ProtocolHTTP1 {
		i.upstream.SpeaksH1()
	}
	var old *instance
	if !p.closed {
		if old = i.slot.takesOver(i); i.slot.current == i {
			i.slot.opened(i)
		}
	}
	i.settle(nil)
	i.slot.restarts = 0
	i.slot.failure = nil
	p.mu.Unlock()
	if old != nil {
		go old.dismiss(i.drain)
	}
	p.config.Changed()
}

// ended takes an instance out. failure is nil when its end was wanted.
func (p *Pool) ended(i *instance, record *ExitRecord, failure error, counts bool) {
	s := i.slot
	p.mu.Lock()
	own := s.left(i)
	s.open.CompareAndSwap(i, nil)
	if record != nil {
		s.last = record
	}
	var pause time.Duration
	if own {
		pause = s.nextPause()
	}
	if failure == nil && !i.listens.IsZero() && !short(i.listens, time.Now()) {
		s.sticky.lasted() // what failed before it was another time
	}
	var refusal *RefusedError
	if counts && (own || i.lost) { // one that was to replace another is no reason to refuse what that one serves
		var wait time.Duration
		wait, refusal = p.count(s, failure)
		pause = max(pause, wait)
	}
	i.ready = false
	i.settle(failure)
	again := own && p.config.Always && !p.closed
	p.mu.Unlock()
	if refusal != nil {
		p.record(i.run, journal.Event{ID: journal.EventRapidFails, Message: "starts are refused after rapid fails",
			Reason: fmt.Sprintf("%d failures within a minute, %d are allowed; again in %v", refusal.Failures, refusal.Limit, refusal.RetryAfter.Round(time.Second))})
	}
	if i.upstream != nil {
		i.upstream.Close()
	}
	if again {
		time.AfterFunc(pause, func() { p.startAgain(s) })
	}
	p.retired.Done()
	p.config.Changed()
}

func (p *Pool) startAgain(s *slot) {
	p.mu.Lock()
	_, _ = p.take(s, meter.Always) // who is refused has ended, and is started when that is over
	p.mu.Unlock()
	p.config.Changed()
}

// count counts a failure and says how long starts are refused because of it, for rapid fails with what is answered then; the lock
// is held.
func (p *Pool) count(s *slot, failure error) (time.Duration, *RefusedError) {
	now := time.Now()
	s.failure = failure
	_, start := errors.AsType[*StartError](failure)
	switch {
	case p.config.InProcess && start:
		pause := s.sticky.failed(now)
		s.bar(s.sticky.until)
		p.log.Warn("the failed start stands", "instance", s.number, "retries in", pause)
		time.AfterFunc(pause, p.config.Changed) // what is told of it is another thing then
		return pause, nil
	case p.config.InProcess:
		s.sticky.lasted()
		return 0, nil
	}
	p.window.add(now)
	wait, refused := p.window.refuses(p.config.RapidFails, now)
	if !refused {
		return 0, nil
	}
	p.log.Warn("starts refused after rapid fails", "failures", p.window.count(now))
	for n := range p.slots {
		p.slots[n].bar(now.Add(wait))
	}
	return wait, &RefusedError{p.window.count(now), p.config.RapidFails, wait}
}

// Record writes an event that is about no instance into the event stream of the newest run there is, whichever pool's it was or
// is. Without any there is no stream, and it gives false.
func (p *Pool) Record(e journal.Event) bool {
	newest := p.config.Journal.NewestRun(p.config.Site, p.config.Application)
	if newest != 0 {
		p.record(newest, e)
	}
	return newest != 0
}

func (p *Pool) record(run uint64, e journal.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	for line := range bytes.Lines(e.Encode()) {
		if err := p.config.Keeper.Append(ctx, p.config.RunDir(run), line); err != nil {
			p.log.Warn("event not kept", "run", run, "error", err)
			break
		}
	}
	if p.config.Witness != nil {
		p.config.Witness.Event(run, e)
	}
}
