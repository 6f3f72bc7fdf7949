package supervise

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/proctree"
	"github.com/ancora-fleet/ancora/dataplane/shadow"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

const (
	pollEvery = 50 * time.Millisecond
	// callLimit bounds one call of the keeper.
	callLimit = 30 * time.Second
	// startOutput is how much of the output of a failed start is kept, in characters (LOG-8).
	startOutput = 30_000
	// lastWordsLimit is how long the end of the output of a process that is gone is waited for.
	lastWordsLimit = 2 * time.Second
	// lastOutput is how much of the output of an exit is told upwards, in bytes.
	lastOutput = 4 << 10
)

// instance is one process of a pool. Its goroutine owns the machine; the pool's lock guards what requests touch.
type instance struct {
	pool  *Pool
	slot  *slot
	run   uint64
	at    process.Endpoint
	token string
	// second says that this is not the first attempt; attempts counts those before it.
	second   bool
	attempts int
	// retry is the attempt that follows on this one.
	retry *instance
	// after ends before it may start; nil: nothing does. drain is for what it replaces.
	after   <-chan struct{}
	drain   time.Duration
	process *process.Process
	started time.Time
	// listens is since when it has been ready, as far as that is known: of one that an earlier worker saw ready, since then.
	listens time.Time
	// copy is what it runs from; its Path is empty where that is the folder itself. starting ends when it is not wanted any more.
	copy     shadow.Copy
	starting context.Context
	abandon  func()
	// lost says that it had ended before this worker came.
	lost bool
	// elsewhere says where it listened instead when the start-up limit was over.
	elsewhere string

	ending context.Context // of requests that do not end by themselves
	finish context.CancelFunc

	parting sync.Once // notes that it is to end

	events  chan event
	over    chan struct{} // the goroutine has ended
	settled chan struct{} // ready or failed: failure says which
	once    sync.Once
	failure error

	// stopping changes under the pool's lock, before inFlight is looked at.
	stopping atomic.Bool
	inFlight atomic.Int64
	requests atomic.Uint64 // that it was given

	// Guarded by the pool's lock.
	ready    bool
	upstream *upstream.Upstream
	state    State
	// listener is the process that listens, when it is not the main one; left says that the main one has ended before it.
	listener proctree.Process
	left     bool
}

// note is what outlives the worker.
type note struct {
	Port        uint16    `json:"port,omitempty"`
	Socket      string    `json:"socket,omitempty"`
	Token       string    `json:"token"`
	Fingerprint string    `json:"fingerprint"`
	Revision    int64     `json:"revision"`
	Epoch       int64     `json:"epoch"`
	Ready       bool      `json:"ready"`
	Listens     time.Time `json:"listens,omitzero"`
	// Failed are failures in milliseconds of Unix time, the newest that may matter; Failures is how an earlier version wrote them.
	Failed   []int64     `json:"failed,omitempty"`
	Failures []time.Time `json:"failures,omitempty"`
	Started  time.Time   `json:"started"`
	Copy     shadow.Copy `json:"copy,omitzero"`
	// Shutdown is how long it may take to end.
	Shutdown time.Duration `json:"shutdown,omitempty"`
	// Leaving says that it is to end: it serves nobody any more.
	Leaving bool `json:"leaving,omitempty"`
}

func (n *note) failures() []time.Time {
	all := n.Failures
	for _, ms := range n.Failed {
		all = append(all, time.UnixMilli(ms))
	}
	return all
}

func (p *Pool) newInstance(s *slot) *instance {
	ending, finish := context.WithCancel(context.Background())
	starting, abandon := context.WithCancelCause(context.Background())
	return &instance{
		pool: p, slot: s, ending: ending, finish: finish, starting: starting, abandon: func() { abandon(ErrStopping) }, state: Starting, started: time.Now(),
		events: make(chan event, 16), over: make(chan struct{}), settled: make(chan struct{}),
	}
}

func (i *instance) settle(failure error) {
	i.once.Do(func() {
		i.failure = failure
		close(i.settled)
	})
}

func (i *instance) send(e event) {
	select {
	case i.events <- e:
	case <-i.over:
	}
}

// launch starts the process and lives with it until its end.
func (i *instance) launch() {
	defer close(i.over)
	defer i.finish()
	if !i.turn() {
		i.pool.ended(i, nil, ErrStopping, false)
		return
	}
	if err := i.start(); err != nil {
		i.letCopyGo()
		if errors.Is(err, ErrStopping) {
			i.pool.ended(i, nil, ErrStopping, false)
			return
		}
		failure := &StartError{Message: err.Error(), Err: err}
		if !i.pool.config.InProcess {
			i.record(journal.Event{ID: journal.EventStartAttemptFailed, Message: "an attempt to start failed", Reason: failure.Message})
		}
		i.record(i.startEvent(failure, ""))
		i.pool.log.Warn("instance does not start", "instance", i.slot.number, "run", i.run, "error", failure.Message)
		i.pool.ended(i, nil, failure, true)
		return
	}
	m := i.pool.machine()
	i.guarded(func() { m.Patient = m.Patient && i.slot.next != i }) // nobody waits for one that is to replace another
	i.live(m, process.Exit{})
}

// machine gives the beginning of an instance's life.
func (p *Pool) machine() machine {
	m := start(time.Now(), p.config.Startup, p.config.Shutdown, p.config.Paired)
	m.Patient, m.Warm = p.config.Patient, len(p.config.Warmup.Requests) > 0
	return m
}

func (i *instance) start() error {
	c := &i.pool.config
	run, err := c.Journal.NextRun(c.Site, c.Application)
	if err != nil {
		return err
	}
	i.guarded(func() { i.run = run })
	if err := i.takeCopy(); err != nil {
		return err
	}
	at, err := i.endpoint(run)
	if err != nil {
		return err
	}
	token := c.Token
	if token == "" && c.Paired {
		token = newToken()
	}
	i.guarded(func() { i.at, i.token = at, token })
	secrets := c.Secrets
	if token != "" {
		secrets = append([]string{token}, secrets...)
	}
	if err := c.Journal.SetSecrets(c.Site, c.Application, run, secrets); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	i.pool.log.Debug("starting instance", "instance", i.slot.number, "run", run, "at", at)
	noted, err := i.noted(false, false)
	if err != nil {
		return err
	}
	started, err := c.Keeper.Start(ctx, process.Spec{
		Identity: process.Identity{Site: c.Site, Application: c.Application, Instance: i.slot.number, Run: run},
		Argv:     c.Command(at, i.copy.Path), Env: c.Environ(at, token), Dir: c.Dir, Credential: c.Credential, RunDir: c.RunDir(run),
		Silent: c.Silent, Stack: c.Stack, Note: noted,
	})
	if err != nil {
		return err
	}
	i.guarded(func() { i.process = started })
	i.keep(false) // a keeper of an earlier version has taken no note
	i.began(false)
	i.pool.config.Changed()
	return nil
}

func (i *instance) began(adopted bool) {
	if w := i.pool.config.Witness; w != nil {
		w.Began(i.run, i.process.Pid(), i.started, adopted)
	}
}

// endpoint says where the next process is to listen.
func (i *instance) endpoint(run uint64) (process.Endpoint, error) {
	c := &i.pool.config
	switch {
	case c.SocketDir != "":
		return process.Endpoint{Socket: fmt.Sprintf("%s/%d", c.SocketDir, run)}, nil
	case c.Port != 0:
		return process.Endpoint{Port: c.Port}, nil
	}
	port, err := c.Ports.Draw()
	return process.Endpoint{Port: port}, err
}

// guarded changes what others may look at.
func (i *instance) guarded(f func()) {
	i.pool.mu.Lock()
	defer i.pool.mu.Unlock()
	f()
}

// keep stores the note; an instance without one is not adopted by the next worker, but ended and started again.
func (i *instance) keep(ready bool) {
	if err := i.save(ready, false); err != nil {
		i.pool.log.Warn("note not kept", "run", i.run, "error", err)
	}
}

// noteLeaving notes that it is to end: a worker that comes meanwhile must not take it for the one that serves, and its end for a failure.
func (i *instance) noteLeaving() {
	i.parting.Do(func() {
		if err := i.save(!i.listens.IsZero(), true); err != nil {
			i.pool.log.Debug("note not kept", "run", i.run, "error", err)
		}
	})
}

// noted is what is known of it now.
func (i *instance) noted(ready, leaving bool) ([]byte, error) {
	c := &i.pool.config
	n := note{
		Port: i.at.Port, Socket: i.at.Socket, Token: i.token, Fingerprint: c.Fingerprint, Revision: c.Revision, Epoch: c.Epoch,
		Ready: ready, Listens: i.listens, Started: i.started, Copy: i.copy, Shutdown: c.Shutdown, Leaving: leaving,
	}
	i.pool.mu.Lock()
	defer i.pool.mu.Unlock()
	// A note has its bounds; older ones refuse nothing.
	times := i.pool.window.times
	for _, t := range times[max(0, len(times)-c.RapidFails-1):] {
		n.Failed = append(n.Failed, t.UnixMilli())
	}
	return json.Marshal(n)
}

func (i *instance) save(ready, leaving bool) error {
	data, err := i.noted(ready, leaving)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	return i.process.SetNote(ctx, data)
}

// live feeds the machine until the instance has ended, then settles it.
func (i *instance) live(m machine, exit process.Exit) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	done := i.process.Done()
	m, effects := i.look(m)
	for {
		i.guarded(func() { i.state = m.State })
		if (m.State == Draining || m.State == Stopping) && i.stopping.Load() {
			i.noteLeaving()
		}
		for _, e := range effects {
			if e == settle {
				i.end(m, exit)
				return
			}
			if e == announce || e == warm {
				i.findListener()
			}
			if e == warm {
				go i.warmUp(m.Deadline)
			}
			i.perform(e, m.Deadline)
		}
		timer := time.NewTimer(until(m.Deadline))
		select {
		case e := <-i.events:
			m, effects = step(m, e, time.Now())
		case <-done:
			done, exit = nil, i.process.Exit()
			e := event{kind: exited, exit: exit}
			if i.outlives(m.State, exit) {
				i.launched(exit)
				e = event{kind: launcherEnd}
			}
			m, effects = step(m, e, time.Now())
		case now := <-timer.C:
			m, effects = step(m, event{kind: tick}, now)
		case now := <-poll.C:
			m, effects = i.poll(m, exit, now)
			if len(effects) == 0 {
				// On a busy host a look can take longer than the pause between two: the timer above would never get its turn.
				m, effects = step(m, event{kind: tick}, time.Now())
			}
		}
		timer.Stop()
	}
}

// until is how long to wait for a deadline; none is an hour, after which nothing happens.
func until(deadline time.Time) time.Duration {
	if deadline.IsZero() {
		return time.Hour
	}
	return max(time.Until(deadline), time.Millisecond)
}

// look asks whether the process tree listens.
func (i *instance) look(m machine) (machine, []effect) {
	if m.State != Starting {
		return m, nil
	}
	pid, err := i.process.Listener(i.at)
	if err != nil {
		i.pool.log.Warn("listening sockets not readable", "error", err)
	}
	if pid != 0 {
		return step(m, event{kind: listening}, time.Now())
	}
	return m, nil
}

// poll looks at what tells nobody of itself.
func (i *instance) poll(m machine, exit process.Exit, now time.Time) (machine, []effect) {
	if m, effects := i.look(m); len(effects) > 0 {
		return m, effects
	}
	switch {
	case i.left && !i.remains():
		return step(m, event{kind: exited, exit: exit}, now)
	case !i.left && (m.State == Ready || m.State == Warming) && i.listener.PID != 0 && !i.remains():
		return step(m, event{kind: listenerEnd}, now)
	}
	return m, nil
}

// findListener finds out which process it is that listens.
func (i *instance) findListener() {
	pid, err := i.process.Listener(i.at)
	if err != nil {
		pid = 0
	}
	i.heard(pid)
}

// listensElsewhere names other addresses of the tree: an application that calls UseUrls in code beats the given port.
func (i *instance) listensElsewhere() string {
	addresses, err := i.process.ListensOn()
	if err != nil || len(addresses) == 0 {
		return ""
	}
	return fmt.Sprintf("; it listens on %v instead", addresses)
}

// perform does what the machine says; deadline is when the machine goes on without waiting any longer.
func (i *instance) perform(e effect, deadline time.Time) {
	switch e {
	case announce:
		if i.listens.IsZero() { // else an earlier worker has said so
			i.listens = time.Now()
			id := journal.EventStarted
			if i.pool.config.InProcess {
				id = journal.EventStartedInProcess
			}
			i.record(journal.Event{ID: id, Message: fmt.Sprintf("started, process %d listens on %v", i.process.Pid(), i.at)})
		}
		i.keep(true)
		i.pool.log.Info("instance ready", "instance", i.slot.number, "run", i.run, "pid", i.process.Pid(), "at", i.at)
		i.pool.becameReady(i)
	case tell:
		failure := i.startFailure(machine{Late: true}, process.Exit{}, i.listensElsewhere())
		i.record(i.startEvent(failure, ""))
		i.pool.late(i, failure)
	case hurry:
		i.sayGoodbyeLater(deadline)
	case ask:
		i.sayGoodbyeLater(deadline)
		go i.ask()
	case term:
		i.sayGoodbyeLater(deadline)
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		if err := errors.Join(i.process.Signal(ctx, syscall.SIGTERM), i.terminate()); err != nil {
			i.pool.log.Warn("instance not signalled", "run", i.run, "error", err)
		}
		i.pool.config.Changed()
	case kill:
		i.finish()
		i.elsewhere = i.listensElsewhere()
		go i.kill()
		i.pool.config.Changed()
	}
}

// lastWords is how long before the shutdown limit ends what is still open is ended: one WebSocket, or one answer without an end,
// holds a .NET application for 30 s, and once that is gone the application ends by itself. Of a limit below 4 s it is half.
const lastWords = 2 * time.Second

// sayGoodbyeLater leaves it to the application to end its streams first.
func (i *instance) sayGoodbyeLater(deadline time.Time) {
	left := time.Until(deadline)
	time.AfterFunc(left-min(lastWords, left/2), i.finish)
}

func (i *instance) kill() {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	if err := i.process.Kill(ctx); err != nil {
		i.pool.log.Error("instance not killed", "run", i.run, "pid", i.process.Pid(), "error", err)
	}
}

// record writes an event into the run's event stream.
func (i *instance) record(e journal.Event) { i.pool.record(i.run, e) }

// newToken makes a pairing token: a lower-case UUID, as the module's (ENV-3).
func newToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
