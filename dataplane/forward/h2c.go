package forward

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/h2c"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// onlyH2 is what Kestrel says, with status 400, when its endpoint speaks HTTP/2 alone.
const onlyH2 = "An HTTP/1.x request was sent to an HTTP/2 only endpoint."

// speaksOnlyH2 reports whether an instance's first answer says so. Nothing of it is used up.
func speaksOnlyH2(answer *h1.Response, c *upstream.Conn) bool {
	return answer.Status == 400 && answer.Length == int64(len(onlyH2)) && string(c.Peek()) == onlyH2
}

// serveH2C is Serve for an instance that speaks HTTP/2. read is of the request's body what has been read already.
func serveH2C(r *Request, w ResponseWriter, up *upstream.Upstream, opt Options, read []byte) error {
	ctx, cancel := context.WithCancelCause(r.Context)
	defer cancel(nil)
	watch := newInactivity(opt.RequestTimeout, func() { cancel(upstream.ErrTimeout) })
	defer watch.stop()
	x := exchange{r: r, w: w, opt: opt}
	hold := &holding{place: up.Place()}
	request, body := h2cRequest(r, &opt, read, hold, watch)
	hints := &hints{x: &x, watch: watch}
	request.Interim = hints.take
	answer, err := up.H2C().Do(ctx, request)
	if failed := hints.finish(); failed != nil {
		if err == nil {
			_ = answer.Body.Close() // nobody is left who wants it
		}
		err = failed
	}
	if err == nil {
		if opt.Ending != nil && answer.Length != 0 {
			defer context.AfterFunc(opt.Ending, func() { cancel(upstream.ErrEnding) })()
		}
		err = x.deliverH2C(answer, up, hold, watch)
		_ = answer.Body.Close() // that it was cut is known
	}
	if err == nil {
		cancel(nil) // a body that is still being sent is of no use any more
		body.finish()
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cancel(err)
	body.finish()
	if failed := body.failed(); failed != nil {
		err = failed
	}
	failure := x.failure(err)
	if dial := (*h2c.DialError)(nil); errors.As(err, &dial) && failure.Kind == Reset {
		failure.Kind = Refused
	}
	if x.sent {
		w.Abort(failure)
	}
	return failure
}

// h2cRequest makes a request of the same head that HTTP/1.1 would have: it is read again, less what is about a connection.
func h2cRequest(r *Request, opt *Options, read []byte, hold *holding, watch *inactivity) (*h2c.Request, *h2cBody) {
	request := &h2c.Request{
		Method: string(r.Method), Target: string(r.Path) + string(r.Query), Host: string(r.Host), Length: r.ContentLength,
	}
	if r.Trailers != nil {
		request.Trailers = func() []Field { return filterTrailers(r.Trailers()) }
	}
	for _, f := range headFields(appendHead(nil, r, opt)) {
		switch {
		case h1.EqualFold(f.Name, "host"), h1.EqualFold(f.Name, "connection"), h1.EqualFold(f.Name, "upgrade"),
			h1.EqualFold(f.Name, "content-length"), h1.EqualFold(f.Name, "transfer-encoding"), h1.EqualFold(f.Name, "expect"),
			r.Upgrade && bytes.HasPrefix(bytes.ToLower(f.Name), []byte("sec-websocket-")):
		default:
			request.Fields = append(request.Fields, f)
		}
	}
	if takesTrailers(r.Fields) {
		request.Fields = append(request.Fields, Field{Name: []byte("Te"), Value: []byte("trailers")})
	}
	if r.Body == nil || r.Upgrade {
		request.Length = 0
		return request, nil
	}
	body := &h2cBody{from: r.Body, read: read, left: opt.bodyLimit(), hold: hold, watch: watch}
	request.Body = body
	return request, body
}

// headFields takes a head apart that we have written. There is no limit: the client's fields have been counted, ours have not.
func headFields(head []byte) (fields []Field) {
	_, lines, _ := bytes.Cut(head, []byte("\r\n"))
	for {
		line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
		name, value, ok := bytes.Cut(line, []byte(": "))
		if !ok {
			return fields
		}
		fields, lines = append(fields, Field{Name: name, Value: value}), rest
	}
}

// filterTrailers keeps what may pass behind a body: nothing that may not pass before it, and nothing that steers
// (RFC 9110 6.5.1).
func filterTrailers(fields []Field) []Field {
	kept := fields[:0]
	for _, f := range fields {
		if h1.IsToken(f.Name) && h1.IsValue(f.Value) && !dropsRequest(f.Name, true) && !h1.EqualFold(f.Name, "authorization") && !h1.EqualFold(f.Name, "cookie") {
			kept = append(kept, f)
		}
	}
	return kept
}

// takesTrailers reports whether the client says that trailers mean something to it (RFC 9110 10.1.4): gRPC insists on that.
func takesTrailers(fields []Field) bool {
	for _, f := range fields {
		if !h1.EqualFold(f.Name, "te") {
			continue
		}
		for list := f.Value; len(list) > 0; {
			var coding []byte
			if coding, list = h1.NextElement(list); h1.EqualFold(coding, "trailers") {
				return true
			}
		}
	}
	return false
}

// trailerer takes the fields behind an answer's body; who cannot drops them, as HTTP/1.1 does here.
type trailerer interface{ Trailer(fields []Field) }

// deliverH2C passes the answer on as it comes.
func (x *exchange) deliverH2C(answer *h2c.Response, up *upstream.Upstream, hold *holding, watch *inactivity) error {
	status, length := answer.Status, answer.Length
	x.noticed(status)
	fields := x.opt.dress(filterAnswer(&h1.Response{Fields: answer.Fields}, x.opt.Token))
	if h1.Bodiless(x.r.Method, status) && length < 0 {
		length = 0
	}
	x.sent = true
	if err := x.w.Head(status, fields, length); err != nil {
		return clientError{err}
	}
	if length < 0 && isStream(fields) {
		hold.giveBack()
		defer hold.takeAgain()
	}
	buf := up.Borrow()
	defer up.Return(buf)
	taking, silence := hold.lapse(clientPatience), hold.lapse(bodyPatience)
	if length != 0 { // an answer that ends with its head, as gRPC's errors do, is to end with it for the client as well
		if err := x.passH2C(nil, taking, watch); err != nil {
			return err
		}
	}
	for {
		watch.restart()
		silence.begin()
		n, err := answer.Body.Read(*buf)
		silence.end()
		watch.restart()
		if n > 0 {
			if err := x.passH2C((*buf)[:n], taking, watch); err != nil {
				return err
			}
		}
		if err == io.EOF {
			if t, ok := x.w.(trailerer); ok {
				t.Trailer(filterAnswer(&h1.Response{Fields: answer.Trailers()}, x.opt.Token))
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// passH2C hands a piece to the client. How long it takes is not the instance's fault.
func (x *exchange) passH2C(piece []byte, taking *lapse, watch *inactivity) error {
	watch.pause()
	defer watch.resume()
	taking.begin()
	defer taking.end()
	if _, err := x.w.Write(piece); err != nil {
		return clientError{err}
	}
	return nil
}

// isStream is isEventStream where calls of gRPC are streams too: how long one takes is not the application's debt.
func isStream(fields []Field) bool {
	for _, f := range fields {
		if h1.EqualFold(f.Name, "content-type") && bytes.HasPrefix(f.Value, []byte("application/grpc")) {
			return true
		}
	}
	return isEventStream(fields)
}

// h2cBody is the request's body as net/http reads it, on a goroutine of its own.
type h2cBody struct {
	from  io.Reader
	hold  *holding
	watch *inactivity

	stop atomic.Bool // what a read ends with from now on is our doing

	mu   sync.Mutex // over reading
	read []byte     // what has been read already
	left int64      // of the limit; below 0: none
	over bool       // nobody may touch the client's body any more
	err  error
}

func (b *h2cBody) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return 0, io.ErrClosedPipe
	}
	if len(b.read) > 0 {
		n = copy(p, b.read)
		b.read = b.read[n:]
		return n, nil
	}
	b.watch.pause() // what is waited for is the client
	b.hold.giveBack()
	n, err = b.from.Read(p)
	b.hold.takeAgain()
	b.watch.resume()
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			n, err = 0, errTooLarge
		}
	}
	if err != nil && err != io.EOF {
		if err != errTooLarge {
			err = clientError{err}
		}
		if !b.stop.Load() {
			b.err = err
		}
	}
	return n, err
}

// Close implements io.Closer. It says little: net/http may still be reading.
func (b *h2cBody) Close() error { return nil }

// failed is why the body could not be read. Nobody reads any more, or is waited for.
func (b *h2cBody) failed() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// finish ends a read that waits; from its return on nobody touches the client's body.
func (b *h2cBody) finish() {
	if b == nil {
		return
	}
	b.stop.Store(true)
	if !b.mu.TryLock() { // it is being read
		if closer, ok := b.from.(io.Closer); ok {
			_ = closer.Close() // it only interrupts
		}
		b.mu.Lock()
	}
	b.over = true
	b.mu.Unlock()
}

// holding is the place that an exchange has of its application's concurrency, as upstream.Conn keeps it for HTTP/1.1: given
// back while the client owes something, and by streams until they end.
type holding struct {
	place upstream.Place // nil: there is no bound
	mu    sync.Mutex
	back  int // reasons for which it is given back
}

func (h *holding) giveBack() {
	if h.place == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.back++; h.back == 1 {
		h.place.Yield()
	}
}

func (h *holding) takeAgain() {
	if h.place == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.back--; h.back == 0 {
		h.place.Resume()
	}
}

// How long the client may take for a piece of the answer, and the body of the answer may be silent, before the place is given
// back: about as long as the sweep of upstream needs to see it.
const (
	clientPatience = 100 * time.Millisecond
	bodyPatience   = time.Second
)

// lapse gives the place back while something takes longer than it may.
type lapse struct {
	hold  *holding
	limit time.Duration
	timer *time.Timer // nil: there is no bound
}

func (h *holding) lapse(limit time.Duration) *lapse {
	l := &lapse{hold: h, limit: limit}
	if h.place != nil {
		l.timer = time.AfterFunc(limit, h.giveBack)
		if !l.timer.Stop() { // the machine was asleep
			h.takeAgain()
		}
	}
	return l
}

func (l *lapse) begin() {
	if l.timer != nil {
		l.timer.Reset(l.limit)
	}
}

func (l *lapse) end() {
	if l.timer != nil && !l.timer.Stop() { // it has been given back, or is about to be: only the number of both counts
		l.hold.takeAgain()
	}
}

// inactivity calls back when the instance has been waited for without a byte for too long (FWD-30). Requests over HTTP/2 are
// few enough for a timer each.
type inactivity struct {
	limit time.Duration
	timer *time.Timer
	mu    sync.Mutex
	held  int // callers that wait for the client
}

func newInactivity(limit time.Duration, over func()) *inactivity {
	if limit <= 0 {
		return nil
	}
	return &inactivity{limit: limit, timer: time.AfterFunc(limit, over)}
}

func (i *inactivity) restart() { i.hold(0) }

func (i *inactivity) pause() { i.hold(1) }

func (i *inactivity) resume() { i.hold(-1) }

func (i *inactivity) stop() {
	if i != nil {
		i.timer.Stop()
	}
}

// hold starts the time anew, or stops it while somebody waits for the client.
func (i *inactivity) hold(by int) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.held += by; i.held > 0 {
		i.timer.Stop()
	} else {
		i.timer.Reset(i.limit)
	}
}
