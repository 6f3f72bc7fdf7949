package ingress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/socket"
)

// preface is what every HTTP/2 client sends first (RFC 9113 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// peekPreface reports whether the connection begins with the preface. It consumes nothing, and waits only for as long
// as what has come could still become one.
func peekPreface(c *socket.Conn) (bool, error) {
	var buf [len(preface)]byte
	found := false
	err := c.Peek(buf[:], func(got []byte) bool {
		found = string(got) == preface
		return found || !strings.HasPrefix(preface, string(got))
	})
	return found, err
}

// h2Server serves the connections that speak HTTP/2. It is the only place where net/http is used.
type h2Server struct {
	l       *Listener
	server  http.Server
	streams h2Streams
	conns   chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func newH2Server(l *Listener) *h2Server {
	h := &h2Server{l: l, conns: make(chan net.Conn), done: make(chan struct{})}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	h.server = http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: l.opt.HeadLimit,
		IdleTimeout:       l.opt.IdleLimit,
		WriteTimeout:      l.opt.StallLimit, // of what net/http answers itself: ServeHTTP takes it away
		MaxHeaderBytes:    h1.MaxHead,
		// The least frame size there is: net/http's own 1 MiB would be the buffer of every connection that asks for it.
		HTTP2:       &http.HTTP2Config{MaxConcurrentStreams: 128, MaxReadFrameSize: 16 << 10, SendPingTimeout: 30 * time.Second, WriteByteTimeout: l.opt.StallLimit},
		BaseContext: func(net.Listener) context.Context { return l.life },
		ConnContext: withConn,
		ErrorLog:    l.log.StandardLogger(nil),
		// "OPTIONS *" is refused, as over HTTP/1.1: no site is asked, and net/http would say that all is well.
		DisableGeneralOptionsHandler: true,
		ConnState: func(nc net.Conn, state http.ConnState) {
			if c, ok := nc.(*handed); ok {
				c.resting(state == http.StateIdle)
			}
		},
	}
	return h
}

func (h *h2Server) start() { go h.server.Serve(h) }

// Accept, Close and Addr make the server's listener of the channel.
func (h *h2Server) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h *h2Server) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

func (h *h2Server) Addr() net.Addr { return h.l.ln.Addr() }

// take hands a connection over.
func (h *h2Server) take(c *conn) {
	nc := c.handOver()
	if c.sock.Share() != nil { // net/http closes while it still writes
		_ = nc.Close()
		return
	}
	select {
	case h.conns <- nc:
	case <-h.done:
		_ = nc.Close()
	}
}

// drain ends the server when its requests have been answered, or with ctx.
func (h *h2Server) drain(ctx context.Context) {
	if h.server.Shutdown(ctx) != nil {
		h.server.Close()
	}
}

// ServeHTTP adapts a request to the door.
func (h *h2Server) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	control := http.NewResponseController(w)
	stream := h.streams.begin(control, hr)
	defer h.streams.end(stream)
	_ = control.SetWriteDeadline(time.Time{}) // an answer may take its time; it knows deadlines: it is HTTP/2
	out := &h2Writer{w: w, flush: control.Flush, stream: stream, headed: hr.Method == http.MethodHead}
	r, err := h.request(hr)
	if err != nil {
		out.refuse(err)
		return
	}
	door := h.l.door(r, sessionOf(hr.Context()))
	body := &h2Body{Reader: hr.Body, control: control, stream: stream}
	if r.Body != nil {
		r.Body = body
	}
	seen := sight{}
	seen.begin(door, r)
	door.Serve(r, out)
	seen.endH2(r, hr, body, out)
	out.finish()
}

// h2Body is a body that can be closed while it is read: net/http's own is not made for that. It does not tell what has come,
// as net/http keeps that to itself; so it counts as owed (forward.Request.Owed), also when all of it is there already. Where
// the head was the end of the stream there is none.
type h2Body struct {
	io.Reader
	control *http.ResponseController
	stream  *h2Stream
	got     int64
}

func (b *h2Body) Read(p []byte) (int, error) {
	b.stream.reads.Add(1)
	n, err := b.Reader.Read(p)
	b.stream.reads.Add(1)
	b.got += int64(n)
	b.stream.came.Add(uint64(n))
	if err != nil && b.stream.slow.Load() {
		err = errSlow
	}
	return n, err
}

func (b *h2Body) Close() error { return b.control.SetReadDeadline(time.Unix(1, 0)) }

// h2Writer is the client's end of an answer over HTTP/2.
type h2Writer struct {
	w       http.ResponseWriter
	flush   func() error
	stream  *h2Stream
	headed  bool // the request was HEAD: an answer is its head
	head    bool
	status  int
	left    int64
	sent    int64
	detail  int // substatus
	aborted bool
}

func (o *h2Writer) Head(status int, fields []forward.Field, length int64) error {
	switch {
	case o.aborted:
		return errAborted
	case o.head:
		return errHeadTwice
	case status == 101:
		return errors.New("ingress: no upgrade in HTTP/2")
	case status == 100: // net/http sends it
		return nil
	}
	header := o.w.Header()
	for _, f := range fields {
		header.Add(string(f.Name), string(f.Value))
	}
	if status < 200 { // net/http sends it at once, and keeps the fields for the next head
		o.w.WriteHeader(status)
		clear(header)
		return nil
	}
	if header.Get("Content-Type") == "" {
		header["Content-Type"] = nil // no guessing: the application has sent none
	}
	if length >= 0 && status != 204 {
		header.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	o.head, o.status, o.left = true, status, length
	o.w.WriteHeader(status)
	return nil
}

func (o *h2Writer) Write(p []byte) (int, error) {
	if o.aborted {
		return 0, errAborted
	}
	if !o.head {
		return 0, errNoHead
	}
	if o.headed { // net/http would end the stream now, which looks as if the client had
		return len(p), nil
	}
	o.stream.writes.Add(1)
	defer o.stream.writes.Add(1)
	n, err := o.w.Write(p)
	o.sent += int64(n)
	if err == http.ErrBodyNotAllowed {
		return len(p), nil
	}
	if err == nil {
		err = o.flush()
	}
	return n, err
}

// Trailer is for applications that speak HTTP/2 as well.
func (o *h2Writer) Trailer(fields []forward.Field) {
	for _, f := range fields {
		o.w.Header().Add(http.TrailerPrefix+string(f.Name), string(f.Value))
	}
}

// last makes net/http say that the connection takes no more requests.
func (o *h2Writer) last() { o.w.Header().Set("Connection", "close") }

func (o *h2Writer) Abort(error) { o.aborted = true }

// refuse answers a request that is none. It is written here and not left to net/http, so that a client which does not
// take it is noticed.
func (o *h2Writer) refuse(err error) {
	status := 400
	if breach := (*h1.Error)(nil); errors.As(err, &breach) {
		status = breach.Status
	}
	text := []byte(reason(status) + "\n")
	if o.Head(status, ours(status), int64(len(text))) == nil {
		_, _ = o.Write(text) // nobody else is to be told
	}
}

// finish ends the stream, with RST_STREAM if the answer was cut.
func (o *h2Writer) finish() {
	if o.aborted {
		panic(http.ErrAbortHandler)
	}
	if !o.head {
		_ = o.Head(500, ours(500), 0) // a door without an answer
	}
}
