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

// slot is the number of the one instance an application has.
const slot = 1

// Config is one application as it is to run.
type Config struct {
	Site, Application string
	// Revision and Epoch are told with the status and kept with the instance.
	Revision, Epoch int64
	// Fingerprint differs when a running instance must not be kept.
	Fingerprint string
	// Command and Environ give argv and the whole environment of an instance that is to listen at an endpoint.
	Command func(at process.Endpoint) []string
	Environ func(at process.Endpoint, token string) []string
	Dir     string
	// Credential is nil for whom the agent runs as.
	Credential *process.Credential
	// Startup and Shutdown are startupTimeLimit and shutdownTimeLimit.
	Startup, Shutdown time.Duration
	// RapidFails is rapidFailsPerMinute.
	RapidFails int
	// Retries is how many attempts to start may follow one that failed, for the same requests (HPH-2).
	Retries int
	// Always keeps an instance running without requests.
	Always bool
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
	// Began tells of a run whose process runs since started, by this worker or an earlier one.
	Began(run uint64, pid int, started time.Time)
	// Event tells of each event once it is in the event stream of a run.
	Event(run uint64, e journal.Event)
	// Ended tells that nothing of the run is left.
	Ended(run uint64)
}

// ErrStopping says that the pool takes no requests any more; another may stand in its place already.
var ErrStopping = errors.New("supervise: the application is being stopped")

// RefusedError says that starts are refused because of rapid fails (1003).
type RefusedError struct {
	Failures, Limit int
	RetryAfter      time.Duration
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%d failures within a minute, %d are allowed: starts are refused for %v", e.Failures, e.Limit, e.RetryAfter.Round(time.Second))
}

// StartError says why an instance did not come up.
type StartError struct {
	Message string
	// Exit is set when the process ended before it listened.
	Exit *process.Exit
	// Err is set when it could not be started at all; errno is kept.
	Err error
	// Late says that startupTimeLimit was over.
	Late bool
	// Output is what it had said, at most 30,000 characters.
	Output []string
}

func (e *StartError) Error() string { return e.Message }
func (e *StartError) Unwrap() error { return e.Err }

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
	open   atomic.Pointer[instance] // current while it lets requests in; they come in without the lock

	mu       sync.Mutex
	current  *instance // starting or ready
	window   window
	closed   bool
	failure  error // of the newest start
	last     *ExitRecord
	restarts time.Duration
	retired  sync.WaitGroup // instances not settled
}

// New makes a pool. An instance of this configuration that runs already may be given to Adopt before the first request.
func New(config Config) *Pool {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Changed == nil {
		config.Changed = func() {}
	}
	return &Pool{config: config, log: config.Logger.With("site", config.Site, "application", config.Application)}
}

// TryAcquire takes an instance that is ready; it starts none and does not wait.
func (p *Pool) TryAcquire() (Claim, bool) {
	if i := p.open.Load(); i != nil && i.enter(p) {
		return Claim{i.upstream, i.token, i.ending, p, i}, true
	}
	return Claim{}, false
}

// Acquire takes a ready instance, starting one when there is none. It waits until ctx ends, and does not bound how many
// wait. Every waiting request of a start that fails gets its *StartError.
func (p *Pool) Acquire(ctx context.Context) (Claim, error) { return p.acquire(ctx, meter.Request) }

func (p *Pool) acquire(ctx context.Context, why meter.Reason) (Claim, error) {
	for {
		p.mu.Lock()
		i, err := p.take(why)
		if err != nil {
			p.mu.Unlock()
			return Claim{}, err
		}
		if i.ready {
			i.inFlight.Add(1)
			p.mu.Unlock()
			return Claim{i.upstream, i.token, i.ending, p, i}, nil
		}
		p.mu.Unlock()
		if err := p.wait(ctx, i); err != nil {
			return Claim{}, err
		}
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

// take gives the current instance, started or not, or starts one; the lock is held.
func (p *Pool) take(why meter.Reason) (*instance, error) {
	if p.closed {
		return nil, ErrStopping
	}
	if p.current != nil {
		return p.current, nil
	}
	now := time.Now()
	if wait, refused := p.window.refuses(p.config.RapidFails, now); refused {
		return nil, &RefusedError{p.window.count(now), p.config.RapidFails, wait}
	}
	if p.failure != nil {
		why = meter.Failure
	}
	p.config.Meter.Started(why)
	p.current = p.newInstance()
	p.retired.Add(1)
	go p.current.launch()
	return p.current, nil
}

// Release gives an instance back.
func (c Claim) Release() {
	c.instance.leave()
}

// enter counts a request in, unless the instance lets none in any more. Counting comes first: who closes the pool either sees
// the request, or is seen by it.
func (i *instance) enter(p *Pool) bool {
	i.inFlight.Add(1)
	if p.open.Load() == i {
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

// Start starts an instance if there is none, without waiting for it.
func (p *Pool) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.take(meter.Always)
	return err
}

// Await starts an instance, to replace that of another pool, and waits until it is ready.
func (p *Pool) Await(ctx context.Context) error {
	claim, err := p.acquire(ctx, meter.Replace)
	if err == nil {
		claim.Release()
	}
	return err
}

// Close lets no more requests in; from its return on Acquire gives ErrStopping. What is in flight may go on for drain,
// then the shutdown limit begins. Stopped waits for the end.
func (p *Pool) Close(drain time.Duration) {
	p.mu.Lock()
	p.closed = true
	p.open.Store(nil)
	i := p.current
	busyNow := false
	if i != nil {
		i.stopping.Store(true)
		busyNow = i.inFlight.Load() > 0
	}
	p.mu.Unlock()
	if i == nil {
		return
	}
	if busyNow {
		i.send(event{kind: busy})
	}
	i.send(event{kind: stop, drain: drain})
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
		H2C: p.config.Protocol == site.ProtocolH2C,
	})
	if p.config.Protocol == site.ProtocolHTTP1 {
		i.upstream.SpeaksH1()
	}
	if !p.closed && p.current == i {
		p.open.Store(i)
	}
	i.settle(nil)
	p.restarts = 0
	p.failure = nil
	p.mu.Unlock()
	p.config.Changed()
}

// ended takes an instance out. failure is nil when its end was wanted.
func (p *Pool) ended(i *instance, record *ExitRecord, failure error, counts bool) {
	p.mu.Lock()
	if p.current == i {
		p.current = nil
	}
	p.open.CompareAndSwap(i, nil)
	if record != nil {
		p.last = record
	}
	now := time.Now()
	if counts {
		p.window.add(now)
		p.failure = failure
	}
	i.ready = false
	i.settle(failure)
	again := p.config.Always && !p.closed
	pause := p.nextPause()
	wait, refused := p.window.refuses(p.config.RapidFails, now)
	failures := p.window.count(now)
	if refused {
		p.log.Warn("starts refused after rapid fails", "failures", failures)
		pause = max(pause, wait)
	}
	p.mu.Unlock()
	if refused && counts {
		p.record(i.run, journal.Event{ID: journal.EventRapidFails, Message: "starts are refused after rapid fails",
			Reason: fmt.Sprintf("%d failures within a minute, %d are allowed; again in %v", failures, p.config.RapidFails, wait.Round(time.Second))})
	}
	if i.upstream != nil {
		i.upstream.Close()
	}
	if again {
		time.AfterFunc(pause, func() { _ = p.Start(); p.config.Changed() })
	}
	p.retired.Done()
	p.config.Changed()
}

// nextPause doubles from 1 s to 30 s; a start that succeeds begins anew. The lock is held.
func (p *Pool) nextPause() time.Duration {
	pause := p.restarts
	p.restarts = min(max(2*p.restarts, time.Second), 30*time.Second)
	return pause
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
