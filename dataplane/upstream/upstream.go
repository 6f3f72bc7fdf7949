// Package upstream keeps connections to one instance of an application and speaks HTTP/1.1 over them: one exchange at a
// time on each, used again only when the last one ended exactly at its framing.
//
// There are no timers per request. One goroutine per Upstream looks at the busy connections every 50 ms: it enforces
// the time limit without bytes, and only for exchanges that take longer than a look it watches the client's context.
package upstream

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/h2c"
	"github.com/ancora-fleet/ancora/dataplane/socket"
)

// How long an idle connection is used again, by profile. Kestrel keeps idle connections for 130 s; other programs
// commonly for 5 s.
const (
	IdleASPNETCore = 60 * time.Second
	IdleGeneric    = 4 * time.Second
)

// Options of an Upstream; the zero value has the defaults.
type Options struct {
	// Idle is how long a connection without a request is kept. Default IdleASPNETCore. An application that says
	// "Keep-Alive: timeout=N" is believed: N less one second, up to IdleASPNETCore.
	Idle time.Duration
	// Connect limits the time to connect. Default 10 s.
	Connect time.Duration
	// Connected is told of every connection that was opened; nil: nobody.
	Connected func()
	// Place is what each exchange holds while the instance owes something; nil is nothing.
	Place Place
	// H2C says that the instance speaks HTTP/2 with prior knowledge, and nothing else.
	H2C bool
	// Ending ends when the instance is about to end: answers over HTTP/1.1 whose bodies still come are cut then, with ErrEnding, and
	// so is every later one that takes its time. Raw connections are not, they have their own way to end. Nil: never.
	Ending context.Context
}

// Why an exchange was ended from outside.
var (
	ErrTimeout = errors.New("upstream: no byte within the time limit")
	ErrClosed  = errors.New("upstream: closed")
	ErrEnding  = errors.New("upstream: the instance ends")
)

// fresh is how long a connection that rests is used again without a look at it: a system call that a busy application need
// not pay for. An end that a look would have seen the sweep finds. Bytes that nobody has asked for, and that came within this
// time, would be taken for the answer; only an application that breaks HTTP sends any, and every proxy that waits for events
// is as late to see them.
const fresh = 10 * time.Millisecond

// bufferSize is what is read at once from an instance.
const bufferSize = 64 << 10

// Where there are many connections, clients that take their time hold many buffers: those that are opened beyond wideMost
// read less at once. Bodies cost more system calls there, everything else fits. They are used only while the others are busy.
const (
	wideMost   = 256
	narrowSize = 8 << 10
)

// Upstream is the connections to one instance.
type Upstream struct {
	network string
	address string
	dialer  net.Dialer
	idle    time.Duration
	place   Place
	ending  context.Context
	pipes   socket.Pipes
	buffers *socket.Pool
	narrow  *socket.Pool
	opened  func()

	free   lanes // idle connections
	spare  lanes // those of them that read less at once: used when there are no others
	closed atomic.Bool

	mu    sync.Mutex
	all   map[*Conn]struct{}
	swept bool // the goroutine runs

	resting atomic.Bool // it rests for a second, since nothing is busy
	wake    chan struct{}
	born    time.Time

	answered atomic.Bool // by a first head
	h2c      atomic.Pointer[h2c.Client]
}

// H2C gives the client for an instance that speaks HTTP/2 only; nil: it speaks HTTP/1.1, or nobody knows yet.
func (u *Upstream) H2C() *h2c.Client { return u.h2c.Load() }

// SpeakH2C makes every later request use HTTP/2.
func (u *Upstream) SpeakH2C() {
	if u.h2c.Load() == nil {
		u.h2c.CompareAndSwap(nil, h2c.New(u.network, u.address, h2c.Options{Idle: u.idle, Connect: u.dialer.Timeout, Connected: u.opened}))
	}
}

// SpeaksH1 says that the instance speaks HTTP/1.1, whatever its answers look like.
func (u *Upstream) SpeaksH1() { u.answered.Store(true) }

// Place gives what Options had.
func (u *Upstream) Place() Place { return u.place }

// Borrow lends a buffer of 64 KiB, to be given back with Return.
func (u *Upstream) Borrow() *[]byte { return u.buffers.Get() }

// Return takes it back.
func (u *Upstream) Return(b *[]byte) { u.buffers.Put(b) }

// clock is the time since New: half of what time.Now has to ask for.
func (u *Upstream) clock() time.Duration { return time.Since(u.born) }

// New makes an Upstream for the instance that listens at an address of network tcp or unix, as net.Dial has them. Nothing is
// dialled before the first request.
func New(network, address string, opt Options) *Upstream {
	if opt.Idle <= 0 {
		opt.Idle = IdleASPNETCore
	}
	if opt.Connect <= 0 {
		opt.Connect = 10 * time.Second
	}
	if opt.Connected == nil {
		opt.Connected = func() {}
	}
	if opt.Ending == nil {
		opt.Ending = context.Background()
	}
	u := &Upstream{
		network: network, address: address,
		dialer:  net.Dialer{Timeout: opt.Connect, KeepAlive: -1},
		idle:    opt.Idle,
		place:   opt.Place,
		ending:  opt.Ending,
		buffers: socket.NewPool(bufferSize),
		narrow:  socket.NewPool(narrowSize),
		opened:  opt.Connected,
		all:     make(map[*Conn]struct{}),
		wake:    make(chan struct{}, 1),
		born:    time.Now(),
	}
	if network == "tcp" {
		u.dialer.Control = local
	}
	if opt.H2C {
		u.SpeakH2C()
	}
	return u
}

// segment is how many bytes an instance sends in one: with what the kernel adds, as many as fit into 8 KiB.
const segment = 7 << 10

// local makes of a connection what is best for one that does not leave this machine.
//
// The simplest congestion control does, as there is no path to find out about; others, like BBR, spend a timer on every send.
//
// How far the kernel lets an instance write ahead it reckons in segments, and one of the loopback has 64 KiB: an answer that its
// client does not take would hold megabytes of the kernel's memory, and thousands of them all that it has for TCP, at which it
// drops what others send. Shorter ones cost nothing that can be measured up to 1 MiB, and a tenth at 10 MiB, since the loopback
// never cuts what is sent.
func local(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// Every system has them, and without them all goes on as well.
		_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, segment)
	})
}

// Open begins an exchange, on an idle connection or, when there is none or anew asks for it, on a new one. It ends
// with Conn.End or Conn.Discard. The exchange is interrupted when ctx ends, and when no byte moves for timeout; 0 is
// no limit. An idle connection is taken from the given lane first, and goes back there.
func (u *Upstream) Open(ctx context.Context, lane uint32, timeout time.Duration, anew bool) (*Conn, error) {
	for !anew {
		if u.closed.Load() {
			return nil, ErrClosed
		}
		c := u.free.take(lane)
		if c == nil {
			c = u.spare.take(lane)
		}
		if c == nil {
			break
		}
		c.lane = lane
		if rested := u.clock() - c.idleAt; rested < c.idleLimit && (rested < fresh || c.sock.Quiet()) {
			c.begin(ctx, timeout, true)
			u.attend()
			return c, nil
		}
		u.drop(c)
	}
	nc, err := u.dialer.DialContext(ctx, u.network, u.address)
	if err != nil {
		return nil, err
	}
	u.opened()
	c := newConn(u, nc)
	c.lane = lane
	c.begin(ctx, timeout, false)
	u.mu.Lock()
	if u.closed.Load() {
		u.mu.Unlock()
		nc.Close()
		return nil, ErrClosed
	}
	if len(u.all) >= wideMost {
		c.buffers = u.narrow
	}
	u.all[c] = struct{}{}
	if !u.swept {
		u.swept = true
		go u.sweep()
	}
	u.mu.Unlock()
	u.attend()
	return c, nil
}

// Close closes the idle connections now, the busy ones at the end of their exchange, and refuses new exchanges.
func (u *Upstream) Close() {
	u.mu.Lock()
	u.closed.Store(true)
	u.mu.Unlock()
	for _, c := range u.weed(func(*Conn) bool { return false }) {
		u.drop(c)
	}
	if h := u.H2C(); h != nil {
		h.Close()
	}
	u.attend()
}

// keep puts a connection back for the next exchange.
func (u *Upstream) keep(c *Conn) {
	idle := &u.free
	if c.buffers == u.narrow {
		idle = &u.spare
	}
	if !idle.keep(c.lane, c, u.closed.Load) {
		u.drop(c)
	}
}

// weed takes the idle connections out that stay says no of, and gives them.
func (u *Upstream) weed(stay func(*Conn) bool) []*Conn {
	return append(u.free.weed(stay), u.spare.weed(stay)...)
}

func (u *Upstream) drop(c *Conn) {
	u.mu.Lock()
	delete(u.all, c)
	u.mu.Unlock()
	c.sock.Close()
}
