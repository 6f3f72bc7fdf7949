package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/socket"
)

// Conn is one exchange on a connection, between Upstream.Open and End or Discard. One goroutine sends, one receives;
// they may be the same.
type Conn struct {
	// Scratch belongs to whoever has the exchange: room for a request head, kept with the connection so that no
	// request has to allocate it.
	Scratch []byte

	up        *Upstream
	sock      *socket.Conn
	buffers   *socket.Pool
	lane      uint32
	idleAt    time.Duration // by the clock of up
	idleLimit time.Duration

	reused bool
	seen   bool // a byte of an answer has come
	answer h1.Response
	buf    *[]byte // what has been read, nil when nothing is left
	wide   []byte  // instead of buf, for a head that does not fit
	r, w   int
	body   body

	reads  atomic.Uint32 // odd while one waits for the instance
	writes atomic.Uint32
	paused atomic.Int32 // callers that wait for somebody else

	first   []byte // the request, while it has not been sent
	sendErr error  // why it did not go out whole

	mu      sync.Mutex // what follows is shared with the sweep
	busy    bool
	turn    uint64 // number of the exchange
	ctx     context.Context
	timeout time.Duration
	raw     bool
	stop    func() bool
	cause   error
	tenure  tenure

	seenTurn uint64 // of the sweep alone
	waits    [2]uint32
	seenAt   time.Time
}

// body is how the rest of the answer is framed.
type body struct {
	kind   bodyKind
	left   int64
	chunks h1.Chunks
}

type bodyKind uint8

const (
	bodyEnded bodyKind = iota
	bodyLength
	bodyChunked
	bodyUntilClose
	bodyRaw
)

func newConn(u *Upstream, nc net.Conn) *Conn {
	return &Conn{up: u, sock: socket.New(nc), buffers: u.buffers}
}

func (c *Conn) begin(ctx context.Context, timeout time.Duration, reused bool) {
	c.reused, c.seen, c.body.kind = reused, false, bodyEnded
	c.first, c.sendErr = nil, nil
	c.mu.Lock()
	c.busy, c.ctx, c.timeout, c.raw = true, ctx, timeout, false
	c.turn++
	c.mu.Unlock()
}

// Reused reports whether the connection has served an exchange before: it may have died of age meanwhile.
func (c *Conn) Reused() bool { return c.reused }

// Untouched reports whether not one byte of an answer has come.
func (c *Conn) Untouched() bool { return !c.seen }

// Send writes a piece of the request.
func (c *Conn) Send(p []byte) error {
	c.writes.Add(1)
	_, err := c.sock.Write(p)
	c.writes.Add(1)
	if err = c.reason(err); err != nil {
		c.sendErr = err
	}
	return err
}

// Start is Send for a request that is all there: p goes out with the wait for the answer, which ReceiveHead begins. p must stay
// as it is until that returns. Sent says what became of it.
func (c *Conn) Start(p []byte) { c.first, c.sendErr = p, nil }

// Sent reports why the request did not go out whole; what was received may be an answer all the same.
func (c *Conn) Sent() error { return c.sendErr }

// errPatience is the end of a limited wait for a head; nothing is lost by it.
var errPatience = errors.New("upstream: no head yet")

// IsPatience reports whether err is ReceiveHead's, that patience ended before a head came.
func IsPatience(err error) bool { return err == errPatience }

// ReceiveHead reads the next head of the answer to a request with this method. The head is valid until the next call
// of a method of c. With patience above 0 it waits only for so long, and can be called again.
func (c *Conn) ReceiveHead(method []byte, patience time.Duration) (*h1.Response, error) {
	if patience > 0 && c.allow(patience) {
		defer c.allow(0)
	}
	for next := 0; ; {
		end, from, err := h1.Boundary(c.window(), next)
		if err != nil {
			return nil, err
		}
		if end > 0 {
			if err := c.answer.Parse(c.window()[:end]); err != nil {
				return nil, err
			}
			c.r += end
			c.frame(method)
			return &c.answer, nil
		}
		next = from
		if err := c.more(); err != nil {
			if patience > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
				return nil, errPatience
			}
			if err == io.EOF && c.w > c.r {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// frame decides where the body of the answer ends (RFC 9112 6.3).
func (c *Conn) frame(method []byte) {
	a := &c.answer
	switch {
	case h1.Bodiless(method, a.Status):
		c.body = body{}
	case a.Chunked:
		c.body = body{kind: bodyChunked}
	case a.Length > 0:
		c.body = body{kind: bodyLength, left: a.Length}
	case a.Length == 0:
		c.body = body{}
	default:
		c.body = body{kind: bodyUntilClose}
	}
}

// Raw makes the rest of the connection plain bytes, without a time limit: after a 101.
func (c *Conn) Raw() {
	c.body = body{kind: bodyRaw}
	c.Yield()
	c.mu.Lock()
	c.timeout, c.raw = 0, true
	c.mu.Unlock()
}

// Peek gives what has been read and not used, without using it.
func (c *Conn) Peek() []byte { return c.window() }

// First reports whether nothing the instance has answered was in HTTP/1.1 so far: what it answers now tells what it speaks.
func (c *Conn) First() bool { return !c.up.answered.Load() }

// SpeaksH1 says that it has.
func (c *Conn) SpeaksH1() { c.up.SpeaksH1() }

// Poll returns the next piece of the answer's body among what has been read already, nil when only waiting will tell;
// otherwise it is Receive.
func (c *Conn) Poll() ([]byte, error) {
	for c.r < c.w && c.body.kind != bodyEnded {
		piece, n, err := c.body.next(c.window())
		c.r += n
		if err != nil || len(piece) > 0 {
			return piece, err
		}
	}
	if c.body.kind == bodyEnded {
		return nil, io.EOF
	}
	return nil, nil
}

// Receive returns the next piece of the answer's body, a view that is valid until the next call; io.EOF at its proper
// end, io.ErrUnexpectedEOF at any other. It waits without holding a buffer.
func (c *Conn) Receive() ([]byte, error) {
	for {
		if piece, err := c.Poll(); err != nil || len(piece) > 0 {
			return piece, err
		}
		c.tenure.body.Store(c.turn)
		if err := c.more(); err != nil {
			if err == io.EOF && (c.body.kind == bodyLength || c.body.kind == bodyChunked) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// leastSplice is from how many bytes on a body goes from socket to socket inside of the kernel. For less it does not pay: what
// comes in small pieces goes through the pipe in small pieces. 100 KiB cost 1.7 times what copying them does, 1 MiB 0.95 and
// 10 MiB 0.63.
const leastSplice = 1 << 20

// Splice gives a pipe for the rest of the answer's body, or nil where that is too short, has no known length, or comes over no
// socket of the system, or over one of very many: a pipe takes two descriptors for as long as a client takes for its answer. It goes back with Spliced.
func (c *Conn) Splice() *socket.Pipe {
	if c.buffers == c.up.narrow || c.body.kind != bodyLength || c.body.left < leastSplice || c.r < c.w || !c.sock.Direct() {
		return nil
	}
	p, err := c.up.pipes.Get()
	if err != nil {
		return nil // out of descriptors: copying needs none
	}
	return p
}

// Spliced takes the pipe back.
func (c *Conn) Spliced(p *socket.Pipe) { c.up.pipes.Put(p) }

// Fill waits for more of the body and moves it into the pipe, which is empty. Its errors are Receive's.
func (c *Conn) Fill(p *socket.Pipe) (int, error) {
	if c.body.left == 0 {
		return 0, io.EOF
	}
	c.tenure.body.Store(c.turn)
	c.reads.Add(1)
	n, err := c.sock.Fill(p, c.body.left)
	c.reads.Add(1)
	if c.body.left -= int64(n); c.body.left == 0 {
		c.body.kind = bodyEnded
	}
	if err == io.EOF {
		return 0, io.ErrUnexpectedEOF
	}
	return n, c.reason(err)
}

func (b *body) next(in []byte) (piece []byte, n int, err error) {
	switch b.kind {
	case bodyLength:
		n = int(min(b.left, int64(len(in))))
		if b.left -= int64(n); b.left == 0 {
			b.kind = bodyEnded
		}
		return in[:n], n, nil
	case bodyChunked:
		piece, n, err = b.chunks.Next(in)
		if b.chunks.Done() {
			b.kind = bodyEnded
		}
		return piece, n, err
	}
	return in, len(in), nil
}

func (c *Conn) window() []byte {
	switch {
	case c.wide != nil:
		return c.wide[c.r:c.w]
	case c.buf != nil:
		return (*c.buf)[c.r:c.w]
	}
	return nil
}

// more reads at least one byte behind what is there.
func (c *Conn) more() error {
	var n int
	var err error
	c.reads.Add(1)
	if c.first != nil {
		p := c.first
		c.first = nil
		c.release()
		c.buf, n, c.sendErr, err = c.sock.SendReceive(p, c.buffers)
		c.w = n
	} else if c.r == c.w {
		c.release()
		c.buf, n, err = c.sock.Receive(c.buffers)
		c.w = n
	} else {
		n, err = c.sock.Read(c.room())
		c.w += n
		if n > 0 {
			err = nil
		}
	}
	c.reads.Add(1)
	c.seen = c.seen || n > 0
	if err == nil {
		return nil
	}
	return c.reason(err)
}

// room is where to read behind a part of a head. A head larger than a buffer moves to one of its own; its upper bound
// is h1's.
func (c *Conn) room() []byte {
	if c.wide == nil {
		if c.w < len(*c.buf) {
			return (*c.buf)[c.w:]
		}
		c.wide = make([]byte, h1.MaxHead+bufferSize)
		c.w = copy(c.wide, (*c.buf)[c.r:c.w])
		c.r = 0
		c.buffers.Put(c.buf)
		c.buf = nil
	}
	return c.wide[c.w:]
}

func (c *Conn) release() {
	if c.buf != nil {
		c.buffers.Put(c.buf)
	}
	c.buf, c.wide, c.r, c.w = nil, nil, 0, 0
}

// Pause stops the clock of the time limit and gives the place back, until as many calls of Resume: what is waited for is not
// the instance.
func (c *Conn) Pause() {
	if c.paused.Add(1) == 1 {
		c.holdUnlessPaused()
	}
}

// Resume lets the clock run again, from zero, and takes the place again.
func (c *Conn) Resume() {
	if c.paused.Add(-1) == 0 {
		c.holdUnlessPaused()
	}
}

// Borrow lends a buffer of 64 KiB, or of 8 KiB where there are many connections, to be given back with Return.
func (c *Conn) Borrow() *[]byte { return c.buffers.Get() }

// Return takes it back.
func (c *Conn) Return(b *[]byte) { c.buffers.Put(b) }

// End ends the exchange. The connection is kept for another one if the request was sent whole and the answer ended
// where its framing says, with nothing behind it and no wish to close.
func (c *Conn) End(sent bool) {
	a := &c.answer
	reuse := sent && c.body.kind == bodyEnded && c.r == c.w && c.seen && !a.Close && a.Status >= 200
	c.idleLimit = c.up.idle
	if a.KeepAlive >= 0 { // the application's clock began before ours: a second less
		c.idleLimit = min(time.Duration(a.KeepAlive-1)*time.Second, IdleASPNETCore)
	}
	if c.finish() != nil || !reuse || c.idleLimit <= 0 {
		c.up.drop(c)
		return
	}
	c.idleAt = c.up.clock()
	c.up.keep(c)
}

// Discard ends the exchange and the connection.
func (c *Conn) Discard() {
	c.finish()
	c.up.drop(c)
}

// finish takes the exchange out of the sweep's hands and says why it was cut, if it was.
func (c *Conn) finish() error {
	c.release()
	c.mu.Lock()
	cause := c.cause
	if c.stop != nil && !c.stop() && cause == nil {
		cause = context.Canceled // it is on its way: its turn is over, but so is the client
	}
	c.busy, c.ctx, c.stop, c.cause = false, nil, nil, nil
	c.endPlace()
	c.mu.Unlock()
	return cause
}

// Interrupt ends whatever waits in this exchange, now and from now on; cause is what they return. The first one counts.
func (c *Conn) Interrupt(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut(cause)
}

func (c *Conn) interrupt(turn uint64, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy && c.turn == turn {
		c.cut(cause)
	}
}

func (c *Conn) cut(cause error) {
	if c.cause == nil {
		c.cause = cause
		c.sock.Interrupt()
	}
}

// allow limits the time of reads, 0 lifts the limit, unless the exchange was cut.
func (c *Conn) allow(d time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return false
	}
	var at time.Time
	if d > 0 {
		at = time.Now().Add(d)
	}
	c.sock.SetReadDeadline(at)
	return true
}

// reason replaces the error of an interrupted call by why it was interrupted. An end counts as one: it may be of our doing, and
// must not be taken for that of a body which ends with its connection.
func (c *Conn) reason(err error) error {
	if err == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return c.cause
	}
	return err
}
