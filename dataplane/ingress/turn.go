package ingress

import (
	"errors"
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

	head h1.Request
	req  forward.Request
	path []byte // room for a path that had to be normalised
	body body
	out  writer
	seen sight
}

func (t *turn) begin(c *conn, buf *[]byte, n int) {
	t.c, t.buf, t.wide, t.r, t.w = c, buf, false, 0, n
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

// serve reads one head and serves its request. It reports whether the connection goes on.
func (t *turn) serve() bool {
	c := t.c
	if err := t.readHead(); err != nil {
		return t.refuse(err)
	}
	if !c.enter(phaseServe) {
		return t.refuse(errExpired)
	}
	if err := t.prepare(); err != nil {
		return t.refuse(err)
	}
	table := c.l.table.Load()
	door, base, ok := table.Lookup(c.l.name, t.req.Host, t.req.Path)
	if !ok {
		door = c.l.opt.NotFound
	}
	t.req.Base = base
	t.seen.begin(door)
	door.Serve(&t.req, &t.out)
	return t.finish()
}

// finish ends the answer and tells whether another request may follow.
func (t *turn) finish() bool {
	c := t.c
	err := t.out.finish()
	t.observed(err)
	c.l.watch.remove(c, false)
	switch {
	case t.out.aborted || t.out.state == raw:
		if t.out.cut {
			c.sock.Reset()
		}
		return false
	case err != nil || c.ctx.Err() != nil:
		return false
	case t.out.close:
		if !t.body.done.Load() || t.r < t.w {
			t.linger()
		}
		return false
	}
	if t.body.closed.Load() { // it was interrupted although it had come to its end
		c.sock.SetReadDeadline(time.Time{})
	}
	return c.enter(phaseHead)
}

// readHead finds a whole head at t.r.
func (t *turn) readHead() error {
	for {
		n, incomplete := h1.SkipEmptyLine((*t.buf)[t.r:t.w])
		if t.r += n; !incomplete {
			break
		}
		if err := t.more(); err != nil {
			return err
		}
	}
	settled := false
	for next := 0; ; {
		end, from, err := h1.Boundary((*t.buf)[t.r:t.w], next)
		if err != nil {
			return err
		}
		if end > 0 {
			if len(*t.buf)-t.r-end < roomBehind {
				t.widen()
			}
			head := (*t.buf)[t.r : t.r+end]
			t.r += end
			t.behind, t.seen.head = t.r, end
			return t.head.Parse(head)
		}
		next = from
		if !settled {
			if settled, err = h1.Check((*t.buf)[t.r:t.w]); err != nil {
				return err
			}
		}
		if err := t.more(); err != nil {
			return err
		}
	}
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
		h.Host = t.c.local // an HTTP/1.0 client that names none
	}
	t.out.reset(t)
	t.body.reset(t, h.Length)
	t.req = forward.Request{
		Method: h.Method, Path: path, Query: query, Host: h.Host, Fields: h.Fields,
		ContentLength: h.Length, Upgrade: h.Upgrade, Expect100: h.Expect,
		Client: t.c.client, Context: t.c.ctx,
	}
	if h.Length != 0 || h.Upgrade {
		t.req.Body = &t.body
	}
	if t.c.trusted {
		believe(&t.req)
	}
	return nil
}
