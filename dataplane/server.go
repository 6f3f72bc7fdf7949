// Package dataplane is the proxy and supervisor of one host: a running set of sites that is made equal to a desired one.
// It knows nothing of gRPC or controllers.
package dataplane

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/dataplane/goodconfig"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/offline"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/route"
	"github.com/ancora-fleet/ancora/dataplane/secure"
	"github.com/ancora-fleet/ancora/dataplane/shadow"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/stdoutlog"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

const (
	// healFirst to healMost: how soon a site that was rejected for the host's own state is looked at again.
	healFirst = time.Second
	healMost  = 30 * time.Second
	// drainLimit is how long requests in flight may go on when a listener is closed.
	drainLimit = 90 * time.Second
)

// Config is for New.
type Config struct {
	Keeper  *process.Client
	Journal *journal.Journal
	Policy  Policy
	// DataDir holds the captures, the homes of applications and the web.config files they run with.
	DataDir string
	// Environ is the agent's own environment, of which applications inherit a few names (D15).
	Environ []string
	// Host is the name that tells this host from others of a fleet; empty: the machine's.
	Host string
	// Version is the agent's, for debug logs.
	Version string
	Logger  hclog.Logger
}

// Policy is the host's own limits.
type Policy struct {
	// Roots are the folders below which applications may live; none allows all.
	Roots []string
	// Users are whom applications may run as; none allows only DefaultUser and the agent's own user.
	Users       []string
	DefaultUser string
	// AllowRoot lets applications run as root, asked for by name.
	AllowRoot bool
	// Listeners maps names to addresses; Edges says of some how they treat those who connect.
	Listeners map[string]string
	Edges     map[string]Edge
	// Dotnet is where .NET is; empty: searched for.
	Dotnet string
}

// DesiredSite is one site as it should run.
type DesiredSite struct {
	Site         *site.Site
	Revision     int64
	Digest       []byte
	RecycleEpoch int64
	// LastGood is what to run when Site is refused: the revision applied before, after a restart.
	LastGood         *site.Site
	LastGoodRevision int64
}

// Desired is everything that should run; what it leaves out stops.
type Desired struct {
	Sites   []DesiredSite
	Notices []offline.Notice
}

// Server is the running set of sites.
type Server struct {
	config    Config
	log       hclog.Logger
	table     atomic.Pointer[route.Table]
	listeners *listeners
	ports     *supervise.Ports
	outputs   *stdoutlog.Logs
	good      *goodconfig.Store
	keepMu    sync.Mutex // one keepCurrent at a time; before mu
	debug     *debugLogs
	// probeCertificate lets the probes of notices through where clients need one, probeSecret where they need a PROXY header.
	probeCertificate *tls.Certificate
	probeSecret      string

	mu      sync.Mutex // one Apply at a time; also guards what follows
	policy  Policy
	desired Desired
	sites   map[string]*runningSite
	nowhere *observer              // of requests that no site claims
	logs    map[string]*runningLog // of sites that have, or had, one
	notices map[string]*noticeState
	orphans []*process.Process        // found at the start, not adopted yet
	copies  map[string]*shadow.Copies // by their directory
	// Nothing is applied before Run has been called, because what an application is told of its site depends on the listeners, nor
	// before Apply has.
	running, wanted bool
	first           bool // nothing was applied yet
	ended           bool // nothing is applied any more
	// sweepConfigs says that web.config files may be kept on disk whose applications are gone.
	sweepConfigs bool
	// witnesses counts them, so that the newer of two is known.
	witnesses uint64
	healAt    time.Time
	healIn    time.Duration
	apps      sync.WaitGroup
	closing   sync.WaitGroup
	logging   sync.WaitGroup

	wake    chan struct{}
	subMu   sync.Mutex
	changed map[chan struct{}]struct{}
}

// New makes a server that serves nothing yet. What the keeper holds is adopted once both Run and Apply have been called.
func New(config Config) *Server {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Host == "" {
		config.Host, _ = os.Hostname() // without one it is like others that have none
	}
	s := &Server{
		config: config, log: config.Logger, policy: config.Policy, ports: supervise.NewPorts(),
		sites: map[string]*runningSite{}, logs: map[string]*runningLog{}, nowhere: newObserver(), notices: map[string]*noticeState{},
		copies: map[string]*shadow.Copies{}, first: true, healIn: healFirst, good: goodconfig.New(goodConfigs(config.DataDir)), orphans: config.Keeper.Processes(),
		wake: make(chan struct{}, 1), changed: map[chan struct{}]struct{}{}, probeSecret: rand.Text(),
	}
	s.listeners = newListeners(s)
	s.listeners.held = config.Keeper.Listeners()
	s.outputs = stdoutlog.New(stdoutlog.Config{Journal: config.Journal, Captures: Captures(config.DataDir), Warn: s.warnStdout, Logger: config.Logger})
	s.debug = s.newDebugLogs()
	var err error
	if s.probeCertificate, err = secure.NewProbe(); err != nil {
		panic(err) // there is no randomness, or crypto/x509 does not know what it was asked for
	}
	return s
}

// Captures is where the output of applications is kept below a data directory.
func Captures(dataDir string) string { return filepath.Join(dataDir, "captures") }

// Run serves until ctx ends, then drains, stops every instance and returns.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	s.listeners.start(ctx)
	s.running = true
	s.applyLocked()
	s.mu.Unlock()
	s.apps.Go(func() { s.keepConfigs(ctx) })
	s.notify()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		s.mu.Lock()
		wait := time.Hour
		if !s.healAt.IsZero() {
			wait = max(time.Until(s.healAt), 0)
		}
		s.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return s.shutdown()
		case <-s.wake:
		case <-timer.C:
			s.heal()
		}
	}
}

// shutdown drains and stops everything.
func (s *Server) shutdown() error {
	s.keepCurrent() // what became ready a moment ago
	s.mu.Lock()
	s.ended = true
	for _, n := range s.notices { // what is not proven by now will not be
		n.cancel()
	}
	var longest time.Duration
	for _, r := range s.sites {
		longest = max(longest, r.shutdown())
	}
	s.endOrphans()
	all := s.sites
	s.sites = map[string]*runningSite{}
	s.mu.Unlock()
	// The listeners stop accepting first, so that requests on their way find an application still.
	s.listeners.stop(longest)
	for _, r := range all {
		s.retire(r, func(*runningApp) time.Duration { return longest })
	}
	s.closing.Wait()
	s.apps.Wait()
	s.settleCopies()
	s.endLogs()
	s.outputs.Close()
	s.debug.close()
	return nil
}

// Subscribe gives a channel that gets a value after changes of status, coalesced, until ctx ends.
func (s *Server) Subscribe(ctx context.Context) <-chan struct{} {
	ch := make(chan struct{}, 1)
	s.subMu.Lock()
	s.changed[ch] = struct{}{}
	s.subMu.Unlock()
	context.AfterFunc(ctx, func() {
		s.subMu.Lock()
		defer s.subMu.Unlock()
		delete(s.changed, ch)
	})
	return ch
}

// notify tells subscribers that something changed; it may be called with any lock held.
func (s *Server) notify() {
	s.subMu.Lock()
	defer s.subMu.Unlock()
	for ch := range s.changed {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// SetPolicy puts another policy in force; sites that were refused are looked at again.
func (s *Server) SetPolicy(p Policy) {
	s.mu.Lock()
	s.policy = p
	s.healIn = healFirst
	s.applyLocked()
	s.mu.Unlock()
	s.notify()
}

// heal looks again at what was rejected for the host's own state.
func (s *Server) heal() {
	s.mu.Lock()
	s.healIn = min(2*s.healIn, healMost)
	s.applyLocked()
	s.mu.Unlock()
	s.notify()
}

func (s *Server) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// retire closes a site's applications and waits beside for their end.
func (s *Server) retire(r *runningSite, drainOf func(*runningApp) time.Duration) {
	r.unwatch()
	for _, a := range r.apps {
		drain := drainOf(a)
		a.cancel()
		a.app.Close(drain)
		s.closing.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), drain+a.shutdown+time.Minute)
			defer cancel()
			if err := a.app.Stopped(ctx); err != nil {
				s.log.Error("application does not end", "site", r.name, "application", a.path, "error", err)
			}
		})
	}
}
