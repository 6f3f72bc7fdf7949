package forward

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/socket"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// DefaultBodyLimit is how many bytes a request body may have (FWD-15, the limit of IIS; the application may not
// enforce one itself, FWD-16).
const DefaultBodyLimit = 30_000_000

// continuePatience is how long an application may think about "Expect: 100-continue" before the body is sent anyway
// (RFC 9110 10.1.1: nobody waits for ever, since not every server answers).
const continuePatience = time.Second

// Options say how an application's requests are forwarded.
type Options struct {
	// Token is the pairing token (FWD-3), sent with every request and never shown to a client. Empty: none.
	Token string
	// Generic is for applications that know nothing of IIS: no field of its module, X-Forwarded-For without ports, and
	// X-Forwarded-Host, which is always the Host of the request.
	Generic bool
	// RequestTimeout is how long no byte may move between us and the instance (FWD-30); it is no limit of the whole
	// request. 0 is no limit. It does not hold for WebSockets (WS-4).
	RequestTimeout time.Duration
	// BodyLimit is in bytes; 0 means DefaultBodyLimit. Unlimited and NoBody are the two that no number of bytes says.
	BodyLimit int64
	// Add is put behind the fields of every final answer, NoServer takes Server out of them.
	Add      []Field
	NoServer bool
	// Ending ends when the instance is about to end: a WebSocket is told so, and an answer over HTTP/2 whose body still comes is cut.
	// Over HTTP/1.1 that of the Upstream cuts them. Nil: never.
	Ending context.Context
	// BodyRefused is called when the instance answers 413, for a limit or another reason of its own. Nil: nobody asks.
	BodyRefused func()
	// Cookie is a Set-Cookie of ours for the client, beside those of the answer; empty: none.
	Cookie string
}

const (
	// Unlimited as BodyLimit lets every body through.
	Unlimited = -1
	// NoBody as BodyLimit lets not one byte through.
	NoBody = -2
)

func (o *Options) bodyLimit() int64 {
	switch o.BodyLimit {
	case 0:
		return DefaultBodyLimit
	case NoBody:
		return 0
	}
	return o.BodyLimit
}

// TooLarge reports whether r says itself that its body is over the limit. Serve refuses it as well; who asks before
// needs no instance for that.
func (o *Options) TooLarge(r *Request) bool {
	limit := o.bodyLimit()
	return limit >= 0 && r.ContentLength > limit
}

// Serve sends r to an instance and its answer to w. It returns nil when the answer is complete. Otherwise the error is
// an *Error: with Sent unset nothing has gone to the client and the caller answers; with Sent set the answer has been
// aborted.
//
// A request is sent again, once and on a new connection, only if its method is idempotent, its body was not streamed,
// and the connection had been used before and ended without one byte of an answer: it had died of age (ERR-20).
func Serve(r *Request, w ResponseWriter, up *upstream.Upstream, opt Options) error {
	if opt.TooLarge(r) {
		return &Error{Kind: TooLarge}
	}
	if up.H2C() != nil {
		return serveH2C(r, w, up, opt, nil)
	}
	x := exchange{r: r, w: w, opt: opt}
	for fresh := false; ; fresh = true {
		c, err := up.Open(r.Context, r.Lane, opt.RequestTimeout, fresh)
		if err != nil {
			return &Error{Kind: dialKind(r.Context), Err: err}
		}
		again, err := x.try(c)
		if err == errOnlyH2 {
			return x.overH2C(up)
		}
		if !again || fresh {
			return err
		}
	}
}

func dialKind(ctx context.Context) Kind {
	if ctx.Err() != nil {
		return ClientGone
	}
	return Refused
}

// exchange is one request with its answer, over one connection or, after a retry, two.
type exchange struct {
	r   *Request
	w   ResponseWriter
	opt Options

	head   []byte // as it is sent, with the body when that was there already
	inline bool
	sent   bool // a head has gone to the client
	used   bool // of the body something was read that cannot be sent again
}

// errOnlyH2 says that the instance speaks HTTP/2 alone; it goes no further than Serve.
var errOnlyH2 = errors.New("forward: the instance speaks HTTP/2 only")

// overH2C remembers that the instance speaks HTTP/2 and sends the request again, if that can be done.
func (x *exchange) overH2C(up *upstream.Upstream) error {
	up.SpeakH2C()
	if x.used {
		return &Error{Kind: Malformed, Err: errOnlyH2}
	}
	var read []byte // of the body, which went with the head
	if x.r.Body != nil && x.inline {
		read = append(read, x.head[len(x.head)-int(max(x.r.ContentLength, 0)):]...)
	}
	return serveH2C(x.r, x.w, up, x.opt, read)
}

// try makes the exchange on c and ends c in any case. The error is nil or an *Error.
func (x *exchange) try(c *upstream.Conn) (again bool, err error) {
	if x.head == nil {
		x.head, x.inline = appendRequest(c.Scratch[:0], x.r, &x.opt)
	}
	c.Scratch = x.head[:0]
	var p *pump
	if streams := x.r.Body != nil && !x.inline && !x.r.Upgrade; !streams {
		c.Start(x.head)
	} else if c.Send(x.head) == nil && !x.r.Expect100 {
		p = x.pump(c)
	}
	answer, err := x.receive(c, &p)
	if err != nil {
		err = p.explain(err)
		streamed := p.stop(c, x.r.Body)
		again = !streamed && c.Reused() && c.Untouched() && isGone(err) && idempotent(x.r.Method)
		c.Discard()
		return again, x.failure(err)
	}
	if c.First() {
		if speaksOnlyH2(answer, c) {
			x.used = p.stop(c, x.r.Body)
			c.Discard()
			return false, errOnlyH2
		}
		c.SpeaksH1()
	}
	if answer.Status == 101 {
		return false, x.tunnel(c, answer)
	}
	if err = x.deliver(c, answer); err != nil {
		err = p.explain(err)
		p.stop(c, x.r.Body)
		failed := x.failure(err)
		if x.sent { // the client may be in no hurry to take what it is to have still
			c.Pause()
			x.w.Abort(failed)
			c.Resume()
		}
		c.Discard()
		return false, failed
	}
	// A body that could not be sent whole is no failure once the answer is complete, but it ends the connection.
	if !p.whole() || p == nil && (c.Sent() != nil || x.r.Body != nil && !x.inline && !x.r.Upgrade) {
		p.stop(c, x.r.Body)
		c.Discard()
		return false, nil
	}
	c.End(true)
	return false, nil
}

func (x *exchange) pump(c *upstream.Conn) *pump {
	return startPump(c, x.r.Body, x.r.ContentLength, x.opt.bodyLimit())
}

// receive waits for the final head, or a 101 that was asked for. An error while sending is not looked at: an
// application that refuses a body may have answered before it closed, and otherwise reading fails as well.
func (x *exchange) receive(c *upstream.Conn, p **pump) (*h1.Response, error) {
	waiting := x.r.Expect100 && x.r.Body != nil
	for interim := 0; ; {
		var patience time.Duration
		if waiting {
			patience = continuePatience
		}
		answer, err := c.ReceiveHead(x.r.Method, patience)
		switch {
		case err != nil && !upstream.IsPatience(err):
			return nil, err
		case err != nil: // it says nothing, and gets the body
		case answer.Status >= 200:
			return answer, nil
		case answer.Status == 101:
			if !x.r.Upgrade || !accepts(x.r, answer) {
				return nil, errUpgrade
			}
			return answer, nil
		default:
			if interim++; interim > maxInterim {
				return nil, errInterim
			}
			if answer.Status > 100 {
				if err := x.interim(c, answer); err != nil {
					return nil, err
				}
				continue
			}
		}
		if waiting {
			*p = x.pump(c)
			waiting = false
		}
	}
}

var errUpgrade = &h1.Error{Status: 502, Text: "101 that was not asked for or does not match the handshake"}

// noticed tells of an answer that operators should know of.
func (x *exchange) noticed(status int) {
	if status == 413 && x.opt.BodyRefused != nil {
		x.opt.BodyRefused()
	}
}

// deliver passes the answer on as it comes. What has been read already is looked at before the head goes out, so that
// an answer which is broken from the start can still become a page.
func (x *exchange) deliver(c *upstream.Conn, answer *h1.Response) error {
	if s, ok := x.w.(stopper); ok { // a client that does not take its answer is not the instance's fault
		s.Stop(c)
		defer s.Stop(nil)
	}
	status, length := answer.Status, answer.Length
	x.noticed(status)
	fields := x.opt.dress(filterAnswer(answer, x.opt.Token))
	piece, err := c.Poll()
	if err != nil && err != io.EOF {
		return err
	}
	if reasoner, ok := x.w.(reasoner); ok {
		reasoner.Reason(answer.Reason)
	}
	x.sent = true
	if err := x.w.Head(status, fields, length); err != nil {
		return clientError{err}
	}
	for first := true; err == nil; {
		if len(piece) == 0 { // what is held back must not wait for a body that takes its time
			if err = x.pass(nil); err != nil {
				return clientError{err}
			}
			if first && isEventStream(fields) {
				c.Yield()
			}
			first = false
			if err = x.splice(c); err != nil {
				break
			}
			if piece, err = c.Receive(); err != nil {
				break
			}
		}
		if err = x.pass(piece); err != nil {
			return clientError{err}
		}
		piece, err = c.Poll()
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// splice passes the rest of a long body from socket to socket, where both sides are sockets and nobody has to see the bytes.
// Nothing was done when it returns nil.
func (x *exchange) splice(c *upstream.Conn) error {
	drainer, ok := x.w.(drainer)
	if !ok || !drainer.Drains() {
		return nil
	}
	pipe := c.Splice()
	if pipe == nil {
		return nil
	}
	defer c.Spliced(pipe)
	for {
		n, err := c.Fill(pipe)
		if err != nil {
			return err
		}
		if err := drainer.Drain(pipe, n); err != nil {
			return clientError{err}
		}
	}
}

// pass hands a piece to the client; none makes it take what was held back. It may be in no hurry: the time limit counts only
// while the instance is waited for.
func (x *exchange) pass(piece []byte) error {
	if holder, ok := x.w.(holder); ok && len(piece) > 0 {
		return holder.Hold(piece)
	}
	_, err := x.w.Write(piece)
	return err
}

// What a writer may be able to do besides. Both save something for HTTP/1.1 and mean nothing to others.
type (
	// reasoner takes the reason phrase of the next Head (FWD-20).
	reasoner interface{ Reason(phrase []byte) }
	// stopper stops a clock whenever it has to wait for the client.
	stopper interface{ Stop(socket.Clock) }
	// drainer takes n bytes of the body out of a pipe, if it can.
	drainer interface {
		Drains() bool
		Drain(p *socket.Pipe, n int) error
	}
	// holder takes a piece of the body that may be held back: a Write, also one without bytes, or the end follows.
	holder interface{ Hold(p []byte) error }
)

// clientError marks an error of the client's side.
type clientError struct{ error }

func (e clientError) Unwrap() error { return e.error }

// failure classifies what ended an exchange.
func (x *exchange) failure(err error) *Error {
	kind := Reset
	var malformed *h1.Error
	var client clientError
	switch {
	case errors.Is(err, errTooLarge):
		kind = TooLarge
	case errors.As(err, &client):
		switch kind = ClientGone; {
		case !errors.As(err, &malformed):
		case malformed.Status == 408:
			kind = TooSlow
		default:
			kind = BadRequest
		}
	case x.r.Context.Err() != nil:
		kind = ClientGone
	case errors.As(err, &malformed):
		kind = Malformed
	case errors.Is(err, upstream.ErrTimeout):
		kind = Timeout
	case errors.Is(err, upstream.ErrEnding):
		kind = Ended
	}
	return &Error{Kind: kind, Err: err, Sent: x.sent}
}

// isGone reports whether the connection ended, as opposed to being cut by us or speaking nonsense.
func isGone(err error) bool {
	var malformed *h1.Error
	var client clientError
	return !errors.As(err, &malformed) && !errors.As(err, &client) && !errors.Is(err, upstream.ErrTimeout) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, errTooLarge)
}

// idempotent methods may be sent twice (RFC 9110 9.2.2).
func idempotent(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "PUT", "DELETE":
		return true
	}
	return false
}
