// Package ingress accepts connections and serves the requests on them: one goroutine a connection, straight through to
// the application's door and back.
//
// HTTP/1.1 is the package's own loop over h1; HTTP/2 comes in through net/http (h2.go) and goes through the same doors.
// No timer belongs to a request or a connection: one sweep per listener keeps all time limits and notices clients that
// leave while their request is served.
package ingress

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/route"
	"github.com/ancora-fleet/ancora/dataplane/secure"
	"github.com/ancora-fleet/ancora/dataplane/socket"
	"github.com/hashicorp/go-hclog"
)

// Options of a listener; the zero value has the defaults.
type Options struct {
	// H2C lets clients speak HTTP/2 with prior knowledge beside HTTP/1.1.
	H2C bool
	// Drain is how long requests in flight may take once Run's context has ended; then they are cut. Default 30 s.
	Drain time.Duration
	// HeadLimit is how long a request head may take from its first byte, and a TLS handshake. Default 10 s.
	HeadLimit time.Duration
	// IdleLimit is how long a connection may wait for a request. Default 120 s.
	IdleLimit time.Duration
	// StallLimit is how long a client may take for the next byte of its body, or to accept one of its answer.
	// Default 60 s. It does not hold for WebSockets.
	StallLimit time.Duration
	// TrustedProxies are the networks whose connections are believed about the client: the last entry of X-Forwarded-For
	// is its address, the last of X-Forwarded-Proto its scheme. Default: none.
	TrustedProxies []netip.Prefix
	// ProxyProtocol makes every connection begin with a PROXY header, of version 1 or 2, that says who the client is; one
	// without it is closed. With TrustedProxies only they may connect, and those whose header proxyproto.Own made of Own.
	ProxyProtocol bool
	// Own is a secret of this process, for connections that it makes itself. Empty: there are none.
	Own string
	// MaxConnections is how many clients may be connected. One more takes the place of the connection that has waited
	// longest for a request, and is closed at once when none waits. Default: four tenths of the descriptors that the
	// process may have (RLIMIT_NOFILE), at least 1000.
	MaxConnections int
	// MaxConnectionsPerSource is how many connections one client may have, an IPv6 network of 64 bits being one; more are
	// closed at once. Trusted proxies may have any number. Default: no limit.
	MaxConnectionsPerSource int
	// LeastRate is how many bytes a second a client must send of its body while we wait for more (else 408), and take of
	// its answer while more waits (else it is cut); not for WebSockets, nor for bodies of calls of gRPC. Over HTTP/2 answers
	// are measured together, a connection. Default 240.
	LeastRate int
	// RateGrace is how long a client may be slower than that. Default 5 s.
	RateGrace time.Duration
	// TLS says how connections are secured; while it points to nothing they are not. It may be replaced at any time: a
	// connection keeps what its handshake has settled. Nil: never.
	TLS *atomic.Pointer[secure.Table]
	// NotFound answers requests for which the table has no door. As an Observer it is told of those that came over a connection
	// for another name (421), too. Default: a line of text with 404.
	NotFound forward.Door
	// Logger gets what an operator should know of the listener, nothing about requests. Default: none.
	Logger hclog.Logger
}

func (o *Options) fill() {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&o.Drain, 30 * time.Second}, {&o.HeadLimit, 10 * time.Second}, {&o.IdleLimit, 120 * time.Second}, {&o.StallLimit, 60 * time.Second}, {&o.RateGrace, 5 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = defaultMaxConnections()
	}
	if o.LeastRate <= 0 {
		o.LeastRate = 240
	}
	if o.NotFound == nil {
		o.NotFound = notFound{}
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
}

// Listener serves one listening socket under the name that sites know it by.
type Listener struct {
	name  string
	ln    net.Listener
	file  *os.File // the same socket, to accept from it directly; nil if that cannot be done
	table *atomic.Pointer[route.Table]
	opt   Options
	log   hclog.Logger

	small, large *socket.Pool // for heads and bodies that come in; large ones hold the largest head
	turns        sync.Pool
	lanes        atomic.Uint32
	date         atomic.Pointer[[]byte] // today's Date field, to the second
	watch        *watcher               // nil where the system has none
	h2           *h2Server              // nil without Options.H2C and Options.TLS

	life     context.Context // of requests: ends when draining has taken too long
	kill     context.CancelFunc
	ending   context.Context // of WebSockets: see Goodbye
	end      context.CancelFunc
	draining atomic.Bool
	resting  atomic.Bool
	wake     chan struct{}
	serving  sync.WaitGroup

	complaints complaints

	free   chan *conn    // to workers that have none; closed when no more are accepted
	retire chan struct{} // ends one of them
	idle   atomic.Int32  // how many have none

	mu    sync.Mutex
	conns map[*conn]struct{}
	crowd crowd
}

// New makes a listener; Run starts it. The table may be replaced at any time.
func New(name string, ln net.Listener, table *atomic.Pointer[route.Table], opt Options) *Listener {
	opt.fill()
	l := &Listener{
		name: name, ln: ln, table: table, opt: opt,
		log:   opt.Logger.Named("ingress").With("listener", name, "address", ln.Addr().String()),
		small: socket.NewPool(smallSize), large: socket.NewPool(largeSize),
		wake:  make(chan struct{}, 1),
		conns: make(map[*conn]struct{}),
		free:  make(chan *conn), retire: make(chan struct{}),
	}
	l.turns.New = func() any { return &turn{lane: l.lanes.Add(1)} }
	l.life, l.kill = context.WithCancel(context.Background())
	l.ending, l.end = context.WithCancel(context.Background())
	if opt.H2C || opt.TLS != nil {
		l.h2 = newH2Server(l)
	}
	l.open()
	return l
}

// FromFile makes a net.Listener of a listening socket that came as a file, from the keeper. The file is duplicated: the
// caller still owns it, and closing one does not close the other.
func FromFile(f *os.File) (net.Listener, error) { return net.FileListener(f) }

// Run accepts and serves until ctx ends. Then it stops accepting, tells clients with every answer that the connection
// closes, closes idle connections, and returns when the last request has been answered or Options.Drain is over. It
// returns an error only if the socket failed by itself.
func (l *Listener) Run(ctx context.Context) error {
	defer l.kill()
	var err error
	if l.watch, err = newWatcher(); err != nil {
		l.log.Warn("cannot watch for clients that leave early", "error", err)
	}
	l.stamp(time.Now())
	if l.h2 != nil {
		l.h2.start()
	}
	l.resting.Store(true)
	swept := make(chan struct{})
	go func() { defer close(swept); l.sweep() }()
	stop := context.AfterFunc(ctx, func() {
		l.draining.Store(true)
		l.shut()
		l.attend()
	})
	defer stop()

	err = l.accept()
	if ctx.Err() == nil {
		l.draining.Store(true)
		l.shut()
	} else {
		err = nil
	}
	close(l.free)
	l.drain()
	<-swept
	l.watch.close()
	return err
}

// drain waits for what is in flight, within its limit.
func (l *Listener) drain() {
	done := make(chan struct{})
	go func() {
		l.serving.Wait()
		if l.h2 != nil {
			l.h2.drain(l.life)
		}
		close(done)
	}()
	limit, words := time.NewTimer(l.opt.Drain), time.AfterFunc(l.opt.Drain-lastWords, l.Goodbye)
	defer limit.Stop()
	defer words.Stop()
	select {
	case <-done:
	case <-limit.C:
		l.log.Warn("requests cut, they took longer than the drain limit", "limit", l.opt.Drain)
		l.kill()
		l.interruptAll()
		<-done
	}
	l.kill()
	l.end()
}

// Goodbye tells both sides of every WebSocket that it ends (RFC 6455, 1001), between two frames. A drain does it by itself
// before its limit.
func (l *Listener) Goodbye() { l.end() }

// lastWords is how long before the limit of a drain the clients of WebSockets are told that they end.
const lastWords = 2 * time.Second

func (l *Listener) interruptAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		c.leave()
		c.sock.Interrupt()
	}
}

// attend wakes the sweep from its rest.
func (l *Listener) attend() {
	if l.resting.Load() && l.resting.CompareAndSwap(true, false) {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// notFound is the answer for unknown hosts and paths when nobody gives a page.
type notFound struct{}

func (notFound) Serve(_ *forward.Request, w forward.ResponseWriter) {
	const text = "404 Not Found\n"
	if w.Head(404, ours(404), int64(len(text))) == nil {
		w.Write([]byte(text))
	}
}
