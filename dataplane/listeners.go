package dataplane

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/ingress"
	"github.com/ancora-fleet/ancora/dataplane/proxyproto"
	"github.com/ancora-fleet/ancora/dataplane/secure"
)

// listenLimit bounds one call of the keeper for a socket.
const listenLimit = 10 * time.Second

// listeners are the policy's listeners. One that cannot be bound is tried again; it never ends the agent.
type listeners struct {
	server *Server

	mu      sync.Mutex
	ctx     context.Context
	held    map[string]string // by the keeper, since an earlier worker; nil once that is settled
	open    map[string]*openListener
	failed  map[string]string
	tls     map[string]*atomic.Pointer[secure.Table] // by listener; each outlives its listener
	running sync.WaitGroup
}

type openListener struct {
	wanted, address string
	edge            Edge
	cancel          context.CancelFunc
	goodbye         func() // to WebSockets
	serve           func() // nil once it is served
}

func newListeners(s *Server) *listeners {
	return &listeners{server: s, open: map[string]*openListener{}, failed: map[string]string{}, tls: map[string]*atomic.Pointer[secure.Table]{}}
}

// start lets reopen open sockets, which are served until stop.
func (l *listeners) start(ctx context.Context) {
	l.mu.Lock()
	l.ctx = context.WithoutCancel(ctx)
	l.mu.Unlock()
}

// reopen makes the open sockets those of the policy; nobody is let in by a new one before serve.
func (l *listeners) reopen(policy Policy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, o := range l.open {
		if policy.Listeners[name] != o.wanted || !policy.Edges[name].Same(o.edge) {
			o.cancel()
			delete(l.open, name)
			l.unlisten(name, policy)
		}
	}
	// What an earlier worker has listened on and nobody wants any more: connections would wait there for ever.
	for name := range l.held {
		l.unlisten(name, policy)
	}
	l.held = nil
	clear(l.failed)
	for name, address := range policy.Listeners {
		if l.open[name] == nil {
			l.bind(name, address, policy.Edges[name])
		}
	}
}

// unlisten has the keeper close a socket, unless the policy has a listener of that name, which may go on with it; the lock is held.
func (l *listeners) unlisten(name string, policy Policy) {
	if _, wanted := policy.Listeners[name]; wanted {
		return
	}
	ctx, cancel := context.WithTimeout(l.ctx, listenLimit)
	defer cancel()
	_ = l.server.config.Keeper.Unlisten(ctx, name)
}

// bind gets a socket from the keeper; the lock is held.
func (l *listeners) bind(name, address string, edge Edge) {
	ctx, cancel := context.WithTimeout(l.ctx, listenLimit)
	defer cancel()
	socket, bound, err := l.server.config.Keeper.Listen(ctx, name, address)
	if err != nil {
		l.failed[name] = err.Error()
		l.server.log.Warn("listener not bound", "listener", name, "address", address, "error", err)
		return
	}
	log := l.server.log.Named("ingress")
	options := edge.options()
	options.Drain, options.NotFound, options.Logger = drainLimit, &watchedDoor{app.NotFound{}, l.server.nowhere}, log
	options.TLS, options.Own = l.secured(name), l.server.probeSecret
	serving := ingress.New(name, socket, &l.server.table, options)
	run, stop := context.WithCancel(l.ctx)
	l.open[name] = &openListener{wanted: address, address: bound, edge: edge, cancel: stop, goodbye: serving.Goodbye, serve: func() {
		if err := serving.Run(run); err != nil {
			log.Error("listener ended", "listener", name, "error", err)
		}
	}}
	l.server.log.Info("listening", "listener", name, "address", bound)
}

// secured is where a listener finds how its connections are secured; the lock is held.
func (l *listeners) secured(name string) *atomic.Pointer[secure.Table] {
	if l.tls[name] == nil {
		l.tls[name] = &atomic.Pointer[secure.Table]{}
	}
	return l.tls[name]
}

// secure puts tables in force, and then, by publish, the routes; only then a listener that has no table any more does
// without TLS. So nothing that is for TLS alone is found without it.
func (l *listeners) secure(tables map[string]*secure.Table, publish func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, table := range tables {
		l.secured(name).Store(table)
	}
	publish()
	for name, at := range l.tls {
		if tables[name] == nil {
			at.Store(nil)
		}
	}
}

// serve lets clients in by what reopen has opened. Call it once there is a table: who is let in must find his site.
func (l *listeners) serve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.open {
		if o.serve != nil {
			l.running.Go(o.serve)
			o.serve = nil
		}
	}
}

// stop ends all of them: no new connection, answers in flight end within the limit. WebSockets do not end by themselves, and
// nothing is left here for them.
func (l *listeners) stop(limit time.Duration) {
	l.mu.Lock()
	for _, o := range l.open {
		o.cancel()
		o.goodbye()
	}
	l.mu.Unlock()
	done := make(chan struct{})
	go func() { l.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(max(limit, time.Second)):
	}
}

// problem says why a listener cannot be used; empty: it can.
func (l *listeners) problem(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[name] != nil {
		return ""
	}
	if reason, tried := l.failed[name]; tried {
		return "listener " + name + ": " + reason
	}
	return "listener " + name + " is not declared in this host's policy"
}

// address is what a listener is bound to; empty: not bound.
func (l *listeners) address(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.open[name]; o != nil {
		return o.address
	}
	return ""
}

// preface is what a connection to a listener has to begin with, for our own.
func (l *listeners) preface(name string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.open[name]; o != nil && o.edge.ProxyProtocol {
		return proxyproto.Own(l.server.probeSecret)
	}
	return nil
}

// table says how connections to a listener are secured; nil: they are not.
func (l *listeners) table(name string) *secure.Table {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := l.tls[name]; at != nil {
		return at.Load()
	}
	return nil
}

// list gives all of them in the order of their names.
func (l *listeners) list() []Listener {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Listener
	for name, o := range l.open {
		all = append(all, Listener{Name: name, Address: o.address})
	}
	for _, name := range slices.Sorted(maps.Keys(l.failed)) {
		all = append(all, Listener{Name: name, Error: l.failed[name]})
	}
	slices.SortFunc(all, func(a, b Listener) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return all
}
