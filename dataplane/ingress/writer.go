package ingress

import (
	"errors"
	"strconv"
	"sync"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/socket"
)

// writer is the client's end of an HTTP/1.1 answer. It implements forward.ResponseWriter, and besides Reason and Hold.
type writer struct {
	t      *turn
	state  writerState
	status int
	buf    []byte // what is held back
	phrase []byte

	sent    int64 // bytes of the answer that were passed to the socket
	payload int64 // bytes of its body
	detail  int   // substatus
	headed  bool  // the method is HEAD: the answer has no body, whatever its fields say
	bodied  bool  // a body follows the head
	chunked bool  // ... in chunks
	left    int64 // ... of so many bytes; -1: as many as come
	close   bool  // the connection ends after this answer
	aborted bool
	cut     bool // nothing but a reset tells the client that the answer is not whole

	mu    sync.Mutex // between the goroutine that reads the body and the one that answers
	asked bool       // 100 Continue has gone, or it is too late for it
	vecs  [3][]byte  // for one gathering write
}

type writerState uint8

const (
	blank   writerState = iota
	started             // the final head is in buf or has gone
	raw                 // 101: bytes pass as they are
)

var (
	errHeadTwice = errors.New("ingress: a second head")
	errNoHead    = errors.New("ingress: a body without a head")
	errOverrun   = errors.New("ingress: more bytes than the head has announced")
	errShort     = errors.New("ingress: fewer bytes than the head has announced")
	errAborted   = errors.New("ingress: the answer was aborted")
)

// keepHeld is the size up to which pieces are gathered; larger ones go out without being copied.
const keepHeld = 16 << 10

func (w *writer) reset(t *turn) {
	buf := w.buf[:0]
	if cap(buf) > 2*keepHeld {
		buf = nil
	}
	w.t, w.buf, w.phrase, w.state = t, buf, nil, blank
	w.close, w.aborted, w.cut, w.asked = false, false, false, false
	w.sent, w.payload, w.detail = 0, 0, 0
	w.headed = t != nil && string(t.head.Method) == "HEAD"
}

// proceed sends 100 Continue, unless it has been sent or the answer has begun.
func (w *writer) proceed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.asked {
		w.asked = true
		w.write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
	}
}

// last makes the connection end with this answer.
func (w *writer) last() { w.close = true }

// Reason sets the phrase of the next Head; it is a view that must live until then.
func (w *writer) Reason(phrase []byte) { w.phrase = phrase }

// Head implements forward.ResponseWriter. A final head goes to the buffer only.
func (w *writer) Head(status int, fields []forward.Field, length int64) error {
	switch {
	case w.aborted:
		return errAborted
	case w.state != blank:
		return errHeadTwice
	case status < 200 && status != 101:
		return w.interim(status, fields)
	}
	t := w.t
	if t.head.Expect {
		w.mu.Lock()
		w.asked = true
		w.mu.Unlock()
	}
	w.state, w.status = started, status
	w.begin(status, fields)
	w.buf = append(w.buf, *t.c.l.date.Load()...)
	w.frame(length)
	w.connection()
	w.buf = append(w.buf, '\r', '\n')
	return nil
}

// begin writes the status line and the fields of a head.
func (w *writer) begin(status int, fields []forward.Field) {
	w.buf = append(w.buf, "HTTP/1.1 "...)
	w.buf = strconv.AppendInt(w.buf, int64(status), 10)
	w.buf = append(w.buf, ' ')
	if len(w.phrase) > 0 {
		w.buf = append(w.buf, w.phrase...)
	} else {
		w.buf = append(w.buf, reason(status)...)
	}
	w.buf = append(w.buf, '\r', '\n')
	for _, f := range fields {
		w.buf = append(w.buf, f.Name...)
		w.buf = append(w.buf, ':', ' ')
		w.buf = append(w.buf, f.Value...)
		w.buf = append(w.buf, '\r', '\n')
	}
}

// interim sends an informational head at once, not into the middle of 100 Continue; that one is sent by proceed alone. A
// client of HTTP/1.0 knows none (RFC 9110 15.2).
func (w *writer) interim(status int, fields []forward.Field) error {
	defer w.Reason(nil)
	if status <= 101 || w.t.head.Minor == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begin(status, fields)
	w.buf = append(w.buf, '\r', '\n')
	return w.flush()
}

// frame says where the body ends (RFC 9112 6.3): none after HEAD, 204 and 304, else a length, chunks, or, for a client
// that knows neither, the end of the connection.
func (w *writer) frame(length int64) {
	w.bodied = !w.headed && w.status >= 200 && w.status != 204 && w.status != 304
	w.chunked, w.left = false, length
	switch {
	case w.status == 101:
		w.state = raw
		w.t.c.tunnel.Store(true)
	case w.status == 204:
	case length >= 0:
		w.buf = append(w.buf, "Content-Length: "...)
		w.buf = strconv.AppendInt(w.buf, length, 10)
		w.buf = append(w.buf, '\r', '\n')
	case !w.bodied:
	case w.t.head.Minor == 1:
		w.chunked = true
		w.buf = append(w.buf, "Transfer-Encoding: chunked\r\n"...)
	default:
		w.close, w.cut = true, true
	}
}

// connection says whether another request may follow. It may not if the client has not sent all of this one by now: it
// is not known whether it ever will.
func (w *writer) connection() {
	t := w.t
	if w.state == raw {
		w.buf = append(w.buf, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
		return
	}
	w.close = w.close || t.head.Close || !t.body.done.Load() || t.c.l.draining.Load()
	if w.close {
		w.buf = append(w.buf, "Connection: close\r\n"...)
	} else if t.head.Minor == 0 {
		w.buf = append(w.buf, "Connection: keep-alive\r\n"...)
	}
}

// Write implements forward.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	if len(p) > 0 {
		if err := w.Hold(p); err != nil {
			return 0, err
		}
	}
	return len(p), w.flush()
}

// Hold takes a piece of the body that may wait for the next Write or for the end of the answer.
func (w *writer) Hold(p []byte) error {
	switch {
	case w.aborted:
		return errAborted
	case w.state == blank:
		return errNoHead
	case w.state == raw:
		return w.gather(nil, p, nil)
	case !w.bodied || len(p) == 0:
		return nil
	case w.chunked:
		w.payload += int64(len(p))
		var line [20]byte
		return w.gather(h1.AppendChunk(line[:0], len(p)), p, crlf)
	case w.left >= 0:
		if int64(len(p)) > w.left {
			return errOverrun
		}
		w.left -= int64(len(p))
	}
	w.payload += int64(len(p))
	return w.gather(nil, p, nil)
}

var crlf = []byte("\r\n")

// gather keeps what fits and sends the rest with what was kept, in one call.
func (w *writer) gather(before, p, after []byte) error {
	if len(w.buf)+len(before)+len(p)+len(after) <= keepHeld {
		w.buf = append(append(append(w.buf, before...), p...), after...)
		return nil
	}
	w.buf = append(w.buf, before...)
	w.vecs = [3][]byte{w.buf, p, after}
	w.sent += int64(len(w.buf) + len(p) + len(after))
	c := w.t.c
	c.writes.Add(1)
	err := c.sock.Gather(w.vecs[:]...)
	c.writes.Add(1)
	w.buf, w.vecs = w.buf[:0], [3][]byte{}
	return err
}

// Stop makes a clock stop while the client is waited for.
func (w *writer) Stop(clock socket.Clock) { w.t.c.sock.Stop(clock) }

// Drains reports whether the rest of the body may come through a pipe.
func (w *writer) Drains() bool {
	return w.state == started && !w.aborted && w.bodied && !w.chunked && w.left > 0 && len(w.buf) == 0 && w.t.c.sock.Direct()
}

// Drain is Write for n bytes that a pipe has.
func (w *writer) Drain(p *socket.Pipe, n int) error {
	if int64(n) > w.left {
		return errOverrun
	}
	w.left -= int64(n)
	w.sent += int64(n)
	w.payload += int64(n)
	c := w.t.c
	c.writes.Add(1)
	err := c.sock.Drain(p)
	c.writes.Add(1)
	return err
}

func (w *writer) flush() error {
	if w.aborted || len(w.buf) == 0 {
		return nil
	}
	err := w.write(w.buf)
	w.buf = w.buf[:0]
	return err
}

func (w *writer) write(p []byte) error {
	c := w.t.c
	w.sent += int64(len(p))
	c.writes.Add(1)
	_, err := c.sock.Write(p)
	c.writes.Add(1)
	return err
}

// Abort implements forward.ResponseWriter.
func (w *writer) Abort(error) {
	w.flush() // what the client was to have, it may have
	w.aborted = true
}

// finish completes the answer.
func (w *writer) finish() error {
	switch {
	case w.aborted:
		return errAborted
	case w.state == blank:
		w.Head(500, ours(500), 0) // a door without an answer
	case w.state == raw:
		return nil
	case !w.bodied:
	case w.chunked:
		w.buf = append(w.buf, "0\r\n\r\n"...)
	case w.left > 0:
		w.flush()
		w.aborted = true
		return errShort
	}
	return w.flush()
}
