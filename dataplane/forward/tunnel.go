package forward

import (
	"context"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
	"github.com/ancora-fleet/ancora/dataplane/wsframe"
)

// goodbye is how long both sides of a WebSocket may take to end it once they were told that it ends.
const goodbye = time.Second

// tunnel passes the bytes of a WebSocket both ways. It reads them only to know where frames end, so that it can say goodbye
// between two of them when the application, or all of the agent, is going away.
type tunnel struct {
	c    *upstream.Conn
	pump *pump

	down, up stream
}

// stream is one direction.
type stream struct {
	mu    sync.Mutex // also over writing: a goodbye must not come between the bytes of a frame
	track wsframe.Tracker
	write func(p []byte) error
	close []byte // what to say goodbye with, once it is time
	said  bool   // nothing may follow
}

// tunnel passes bytes both ways until one side ends. Neither side gets a half-close: Kestrel takes it for an abort, and a
// WebSocket has its own way to say goodbye.
func (x *exchange) tunnel(c *upstream.Conn, answer *h1.Response) error {
	defer c.Discard()
	x.sent = true
	if err := x.w.Head(101, x.opt.dress(filterAnswer(answer, x.opt.Token)), -1); err != nil {
		return x.failure(clientError{err})
	}
	if _, err := x.w.Write(nil); err != nil {
		return x.failure(clientError{err})
	}
	c.Raw()
	w := x.w // the exchange itself must not escape: it would be an allocation for every request
	t := &tunnel{c: c, pump: &pump{c: c, body: x.r.Body, done: make(chan struct{})}}
	t.down.write = func(p []byte) error { _, err := w.Write(p); return err }
	t.up.write = c.Send
	go t.pump.runRaw(&t.up)
	defer t.pump.stop(c, x.r.Body)
	defer t.up.shut()
	for _, ending := range []context.Context{x.opt.Ending, x.r.Ending} {
		if ending != nil {
			defer context.AfterFunc(ending, t.sayGoodbye)()
		}
	}
	err := t.run()
	if t.down.shut(); err != io.EOF {
		w.Abort(err)
	}
	return nil // a tunnel has no other end than this
}

// run passes what the application sends, and gives the error that ends it.
func (t *tunnel) run() error {
	for {
		piece, err := t.c.Receive()
		if err != nil {
			return t.pump.explain(err)
		}
		if err := t.down.pass(piece); err != nil {
			return err
		}
	}
}

// sayGoodbye tells both sides that the other is going away, each between two frames of its own, and ends the tunnel when they
// have had time to answer.
func (t *tunnel) sayGoodbye() {
	time.AfterFunc(goodbye, func() { t.c.Interrupt(io.EOF) })
	t.down.end(wsframe.AppendClose(nil, wsframe.GoingAway))
	t.up.end(wsframe.AppendMaskedClose(nil, wsframe.GoingAway, rand.Uint32()))
}

// pass writes what may still be written: all, or up to the end of a frame when it is time to say goodbye.
func (s *stream) pass(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for n < len(p) && !s.said && !s.track.Closed() {
		n += s.track.Advance(p[n:])
		s.said = s.close != nil && s.track.Boundary()
	}
	if n == 0 {
		return nil
	}
	if err := s.write(p[:n]); err != nil || !s.said || s.track.Closed() {
		return err
	}
	return s.write(s.close)
}

// end says goodbye now, or as soon as the frame that is being sent has ended.
func (s *stream) end(close []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.close != nil || s.said {
		return
	}
	if s.close = close; s.track.Boundary() && !s.track.Closed() {
		s.said = true
		_ = s.write(close) // who does not get it sees the end of the connection
	}
}

// shut lets nothing pass from now on: whoever says goodbye late must find nobody.
func (s *stream) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = true
}

// runRaw passes what the client sends.
func (p *pump) runRaw(s *stream) {
	defer close(p.done)
	buf := p.c.Borrow()
	defer p.c.Return(buf)
	for {
		n, err := p.body.Read(*buf)
		if n > 0 {
			if sendErr := s.pass((*buf)[:n]); sendErr != nil {
				err = sendErr
			}
		}
		if err != nil {
			p.err = err
			p.c.Interrupt(io.EOF) // the client has left: so does the other side
			return
		}
	}
}
