package ingress

import (
	"net/http"
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
	slow    atomic.Bool // the body was cut

	stalled [2]stall // of the sweep alone

	mu    sync.Mutex
	ended bool // net/http has taken back what control stands for
}

// h2Streams are all of a listener.
type h2Streams struct {
	mu  sync.Mutex
	all map[*h2Stream]struct{}
}

func (s *h2Streams) begin(control *http.ResponseController) *h2Stream {
	stream := &h2Stream{control: control}
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

// look cuts the streams whose client has neither sent nor taken a byte for limit although it was its turn.
func (s *h2Streams) look(now time.Time, limit time.Duration) {
	var late []func()
	s.mu.Lock()
	for stream := range s.all {
		if stream.stalled[0].lasts(stream.reads.Load(), now, limit) {
			late = append(late, stream.cutBody)
		}
		if stream.stalled[1].lasts(stream.writes.Load(), now, limit) {
			late = append(late, stream.cutAnswer)
		}
	}
	s.mu.Unlock()
	for _, cut := range late {
		cut()
	}
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
