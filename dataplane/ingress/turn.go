package ingress

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/route"
)

// roomBehind is how much room the framing of a body needs behind its head.
const roomBehind = 1 << 10

// turn is what a connection needs while it has requests: buffers, the parsed head, the two ends of the door. Turns are
// reused, by whichever connection has something to read.
type turn struct {
	c    *conn
	buf  *[]byte
	wide bool // buf is a large one
	r, w int  // what has been read and not used

	// behind is where the head ends. Its bytes stay as they are until the request is over, since everything that was
	// parsed is a view of them; a body is read into the room behind them.
	behind int

	stage   stage
	scanned int  // how far behind r the end of the head was looked for
	settled bool // the beginning of the head has been looked at
	readErr error

	head h1.Request
	req  forward.Request
	lane uint32 // turns stay with a processor
	path []byte // room for a path that had to be normalised
	body body
	out  writer
	seen sight
}

// stage is where a turn stands between two steps.
type stage uint8

const (
	stageHead   stage = iota // looks for a head
	stageServe               // has one, and serves it next
	stageLinger              // has answered, and reads what the client still sends
)

// step is what a turn wants next.
type step uint8

const (
	stepOn   step = iota // another step
	stepRead             // to read: its next step may wait for the client
	stepIdle             // nothing: there is no byte left, another request may come
	stepOver             // nothing: the connection ends
)

func (t *turn) begin(c *conn, buf *[]byte, n int) {
	t.c, t.buf, t.wide, t.r, t.w = c, buf, false, 0, n
	t.stage, t.scanned, t.settled, t.readErr = stageHead, 0, false, nil
}

func (t *turn) end() {
	c := t.c
	t.release()
	t.out.reset(nil)
	t.body.reset(nil, 0)
	t.req = forward.Request{}
	t.c = nil
	c.l.turns.Put(t)
}

func (t *turn) release() {
	if t.wide {
		t.c.l.large.Put(t.buf)
	} else {
		t.c.l.small.Put(t.buf)
	}
	t.buf, t.wide, t.r, t.w = nil, false, 0, 0
}

// step does what can be done without reading from the client, unless it may read because stepRead was given before.
func (t *turn) step() step {
	switch t.stage {
	case stageHead:
		return t.parse()
	case stageServe:
		return t.serve()
	}
	t.linger()
	return stepOver
}

// read is called where reading may wait, when a step has asked for it. A head needs more bytes; what else asked reads by
// itself.
func (t *turn) read() {
	if t.stage == stageHead {
		t.readErr = t.more()
	}
}

// parse looks for a whole head at t.r and makes the request of it.
func (t *turn) parse() step {
	c := t.c
	found, err := t.find()
	switch {
	case err != nil:
		return t.refuse(err)
	case t.readErr != nil:
		return t.refuse(t.readErr)
	case !found && t.r == t.w && t.scanned == 0:
		return stepIdle
	case !found:
		if phaseOf(c.mark.Load()) == phaseIdle && !c.enter(phaseHead) {
			return stepOver
		}
		return stepRead
	}
	if !c.enter(phaseServe) {
		return t.refuse(errExpired)
	}
	if err := t.prepare(); err != nil {
		return t.refuse(err)
	}
	t.stage = stageServe
	if t.req.Body != nil && (t.body.Buffered() == 0 || int64(t.body.Buffered()) < t.head.Length) {
		return stepRead
	}
	return stepOn
}

// serve lets the application answer.
func (t *turn) serve() step {
	c := t.c
	door := c.l.door(&t.req, c.session)
	t.seen.begin(door, &t.req)
	door.Serve(&t.req, &t.out)
	return t.finish()
}

// finish ends the answer and tells whether another request may follow.
func (t *turn) finish() step {
	c := t.c
	err := t.out.finish()
	t.observed(err)
	if c.ticket.Load() != 0 {
		c.l.watch.remove(c)
	}
	switch {
	case t.out.aborted || t.out.state == raw:
		if t.out.cut {
			c.cut.Store(true)
		}
		return stepOver
	case err != nil || c.presence.Err() != nil:
		return stepOver
	case t.out.close:
		if t.body.done.Load() && t.r == t.w {
			return stepOver
		}
		t.stage = stageLinger
		return stepRead
	}
	if t.body.closed.Load() { // it was interrupted although it had come to its end
		if c.sock.SetReadDeadline(time.Time{}) != nil {
			return stepOver
		}
	}
	t.stage, t.scanned, t.settled = stageHead, 0, false
	if t.r == t.w {
		return stepIdle
	}
	if !c.enter(phaseHead) {
		return stepOver
	}
	return stepOn
}

// find looks for a whole head at t.r and parses it.
func (t *turn) find() (found bool, err error) {
	if t.scanned == 0 {
		n, incomplete := h1.SkipEmptyLine((*t.buf)[t.r:t.w])
		if t.r += n; incomplete {
			return false, nil
		}
	}
	end, from, err := h1.Boundary((*t.buf)[t.r:t.w], t.scanned)
	if err != nil {
		return false, err
	}
	if end > 0 {
		if len(*t.buf)-t.r-end < roomBehind {
			t.widen()
		}
		head := (*t.buf)[t.r : t.r+end]
		t.r += end
		t.behind, t.seen.head = t.r, end
		return true, t.head.Parse(head)
	}
	t.scanned = from
	if !t.settled {
		t.settled, err = h1.Check((*t.buf)[t.r:t.w])
	}
	return false, err
}

// more reads behind what is there. A head that outgrows the buffer moves to a large one.
func (t *turn) more() error {
	if t.r > 0 && t.w == len(*t.buf) {
		t.w = copy(*t.buf, (*t.buf)[t.r:t.w])
		t.r = 0
	}
	if t.w == len(*t.buf) {
		t.widen()
	}
	n, err := t.c.sock.Read((*t.buf)[t.w:])
	if t.w += n; n > 0 {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errExpired
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// widen moves what is unread to the start of a large buffer.
func (t *turn) widen() {
	large := t.c.l.large.Get()
	r, w := t.r, t.w
	w = copy(*large, (*t.buf)[r:w])
	t.release()
	t.buf, t.wide, t.w = large, true, w
}

// prepare makes the request of the head.
func (t *turn) prepare() error {
	h := &t.head
	if cap(t.path) < len(h.Target) {
		t.path = make([]byte, 0, max(len(h.Target), 256))
	}
	path, query, err := route.Normalise(t.path[:0], h.Target)
	if err != nil {
		return &h1.Error{Status: 400, Text: err.Error()}
	}
	if len(h.Host) == 0 {
		h.Host = []byte(t.c.sock.LocalAddr().String()) // an HTTP/1.0 client that names none
	}
	t.out.reset(t)
	t.body.reset(t, h.Length)
	t.req = forward.Request{
		Method: h.Method, Path: path, Query: query, Host: h.Host, Fields: h.Fields,
		ContentLength: h.Length, Upgrade: h.Upgrade, Expect100: h.Expect,
		Client: t.c.client, Context: &t.c.presence, Ending: t.c.l.ending, Lane: t.lane,
	}
	if c := t.c; c.session != nil {
		t.req.Secure, t.req.ClientCertificate = true, c.session.ClientCertificate
	}
	if h.Length != 0 || h.Upgrade {
		t.req.Body = &t.body
	}
	if t.c.trusted {
		believe(&t.req)
	}
	return nil
}
