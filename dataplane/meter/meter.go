// Package meter counts what happens at sites and their applications. Counting is a few atomic additions on values that
// whoever counts has a pointer to; a snapshot says where the counters stand.
package meter

import (
	"sync"
	"sync/atomic"
	"time"
)

// Buckets are the upper bounds of the duration histogram, in seconds. There is one more bucket, without a bound.
func Buckets() []float64 {
	bounds := make([]float64, len(limits))
	for i, limit := range limits {
		bounds[i] = limit.Seconds()
	}
	return bounds
}

// limits is read for every request and never written.
var limits = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, 60 * time.Second,
}

const (
	bucketCount = len(limits) + 1
	classCount  = 5
	upgraded    = 0 // class 1xx
)

// Site counts the requests of one site. All methods may be called from any goroutine. One is made with New.
type Site struct {
	lanes [laneCount]lane

	mu           sync.Mutex
	applications map[string]*Application
}

// laneCount: requests of one lane tend to run on one processor, and their counters stay in its cache.
const laneCount = 4

type lane struct {
	begun atomic.Uint64
	// ended counts by class of status and duration at once, so that a request costs one addition for both.
	ended    [classCount][bucketCount]atomic.Uint64
	nanos    atomic.Uint64 // of those that were no upgrades
	received atomic.Uint64
	sent     atomic.Uint64
	aborted  atomic.Uint64
	_        [96]byte // no two of them in one cache line, nor in a pair of them
}

// NewSite makes counters at zero.
func NewSite() *Site { return &Site{applications: map[string]*Application{}} }

// Begin counts a request that is in flight from now on. Any lane will do, if End gets the same.
func (s *Site) Begin(lane uint32) { s.lanes[lane%laneCount].begun.Add(1) }

// End counts the same request as over. A status that is not 100 to 599 is that of a client which left before an answer; it
// counts as 4xx.
func (s *Site) End(lane uint32, status int, took time.Duration, received, sent int64, aborted bool) {
	class := status/100 - 1
	if class < 0 || class >= classCount {
		class = 3
	}
	bucket := 0
	for bucket < len(limits) && took > limits[bucket] {
		bucket++
	}
	l := &s.lanes[lane%laneCount]
	if class != upgraded {
		l.nanos.Add(uint64(max(took, 0)))
	}
	l.received.Add(uint64(received))
	l.sent.Add(uint64(sent))
	if aborted {
		l.aborted.Add(1)
	}
	l.ended[class][bucket].Add(1) // last: who sees the request ended sees all of it
}

// Application gives the counters of one application, the same ones for the same path.
func (s *Site) Application(path string) *Application {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.applications[path]
	if a == nil {
		a = &Application{}
		s.applications[path] = a
	}
	return a
}

// Counts is where the counters of a site stood at one moment. They start at zero with the worker.
type Counts struct {
	// Classes are requests that ended, by the first digit of their status less one.
	Classes [classCount]uint64
	// InFlight are the requests that have begun and not ended, WebSockets among them.
	InFlight uint64
	// Durations are requests by time from the end of the head to the end of the answer, not cumulated, in the order of
	// Buckets and one more. Upgraded connections (1xx) are not among them: they last as long as they like.
	Durations []uint64
	// Took is the sum of those times.
	Took time.Duration
	// Received and Sent are bytes of clients, Aborted the answers that did not reach them whole.
	Received, Sent, Aborted uint64
}

// Counts gives a snapshot.
func (s *Site) Counts() Counts {
	c := Counts{Durations: make([]uint64, bucketCount)}
	for i := range s.lanes {
		s.lanes[i].addTo(&c)
	}
	return c
}

func (l *lane) addTo(c *Counts) {
	ended := uint64(0)
	for class := range l.ended {
		for bucket := range l.ended[class] {
			n := l.ended[class][bucket].Load()
			c.Classes[class] += n
			ended += n
			if class != upgraded {
				c.Durations[bucket] += n
			}
		}
	}
	c.InFlight += l.begun.Load() - ended // read later, so never less
	c.Took += time.Duration(l.nanos.Load())
	c.Received += l.received.Load()
	c.Sent += l.sent.Load()
	c.Aborted += l.aborted.Load()
}
