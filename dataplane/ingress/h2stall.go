package ingress

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// h2Stream is what the sweep sees of a request over HTTP/2. A client that gives its streams no window, and answers pings,
// would hold requests, and places in applications, for as long as it likes: net/http limits only writes to the connection.
type h2Stream struct {
	control *http.ResponseController
	reads   atomic.Uint32 // of the body, odd while one waits
	writes  atomic.Uint32
	came    atomic.Uint64 // bytes of the body
	slow    atomic.Bool   // the body was cut
	calls   bool          // a call of gRPC, whose client may be silent while it listens, as with a WebSocket

	stalled [2]stall // of the sweep alone
	pace    pace

	mu    sync.Mutex
	ended bool // net/http has taken back what control stands for
}

// h2Streams are all of a listener.
type h2Streams struct {
	mu  sync.Mutex
	all map[*h2Stream]struct{}
}

func (s *h2Streams) begin(control *http.ResponseController, hr *http.Request) *h2Stream {
	stream := &h2Stream{control: control, calls: strings.HasPrefix(hr.Header.Get("Content-Type"), "application/grpc")}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*h2Stream]struct{}{}
	}
	s.all[stream] = struct{}{}
	return stream
}

func (s *h2Streams) end(stream *h2Stream) {
	s.mu.Lock()
	delete(s.all, stream)
	s.mu.Unlock()
	stream.mu.Lock()
	defer stream.mu.Unlock()
	stream.ended = true
}

// look cuts the streams whose client has neither sent nor taken a byte for too long although it was its turn, and those whose
// body comes more slowly than the least rate. How fast an answer is taken is measured of the connection (paceHanded): a stream's
// window is opened by as much at once as its client likes, at the least rate after minutes. It reports whether a body is
// waited for.
func (s *h2Streams) look(now time.Time, opt *Options) (busy bool) {
	var late []func()
	s.mu.Lock()
	for stream := range s.all {
		reads := stream.reads.Load()
		busy = busy || reads&1 != 0
		slow := stream.pace.late(now, reads, stream.came.Load(), opt) && !stream.calls
		if stream.stalled[0].lasts(reads, now, opt.StallLimit) || slow && !stream.slow.Load() {
			late = append(late, stream.cutBody)
		}
		if stream.stalled[1].lasts(stream.writes.Load(), now, opt.StallLimit) {
			late = append(late, stream.cutAnswer)
		}
	}
	s.mu.Unlock()
	for _, cut := range late {
		cut()
	}
	return busy
}

// paceHanded is paceOut for the connections that net/http has. It reports whether one of them waits for its client.
func (l *Listener) paceHanded(now time.Time) (busy bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for h := range l.crowd.handed {
		busy = busy || h.c.writes.Load()&1 != 0
		h.c.paceOut(now)
	}
	return busy
}

// cutBody ends a Read that waits; the client may still be told.
func (s *h2Stream) cutBody() {
	s.slow.Store(true)
	s.unlessEnded(s.control.SetReadDeadline)
}

// cutAnswer resets the stream.
func (s *h2Stream) cutAnswer() { s.unlessEnded(s.control.SetWriteDeadline) }

func (s *h2Stream) unlessEnded(deadline func(time.Time) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		_ = deadline(time.Unix(1, 0)) // it knows deadlines: it is HTTP/2
	}
}
