package supervise

import (
	"math"
	"sync/atomic"
	"time"
)

// slot is a place for one instance. Requests look at the atomic values only; the pool's lock guards the rest.
type slot struct {
	number   uint32
	open     atomic.Pointer[instance] // current while it lets requests in; they come in without the lock
	starting atomic.Bool              // current is there and not open
	barred   atomic.Int64             // until when nothing may be started, in nanoseconds of Unix time

	current  *instance   // starting or ready
	next     *instance   // comes up to replace current, which goes on until then
	leaving  []*instance // were current and are ending, the newest last
	recycled *Recycled
	failure  error // of the newest start
	sticky   sticky
	last     *ExitRecord
	restarts time.Duration
}

// begin makes an instance the current one; nil is none.
func (s *slot) begin(i *instance) {
	s.current = i
	s.starting.Store(i != nil)
}

// opened lets requests in.
func (s *slot) opened(i *instance) {
	s.open.Store(i)
	s.starting.Store(false)
}

func (s *slot) bar(until time.Time) { s.barred.Store(until.UnixNano()) }

// shut says that nobody answers here, and nothing may be started yet.
func (s *slot) shut() bool {
	if s.open.Load() != nil || s.starting.Load() {
		return false
	}
	until := s.barred.Load()
	return until != 0 && time.Now().UnixNano() < until
}

// nextPause doubles from 1 s to 30 s; a start that succeeds begins anew. The lock is held.
func (s *slot) nextPause() time.Duration {
	pause := s.restarts
	s.restarts = min(max(2*s.restarts, time.Second), 30*time.Second)
	return pause
}

// load orders slots by what one more request would find there: the requests of an instance that is ready, twice; one that does
// not run stands behind all that have nothing to do; then one that comes up; then one that may not be started.
func (s *slot) load() int64 {
	if i := s.open.Load(); i != nil {
		return 2 * i.inFlight.Load()
	}
	switch {
	case s.starting.Load():
		return math.MaxInt64 - 1
	case s.shut():
		return math.MaxInt64
	}
	return 1
}

// Choose gives the place of the slot that a request is for. wanted is the number of the slot it asks for; with none, or one that is
// not there, it is the next one's turn (LCH-14), or with least that of the one with the fewest requests. A slot where nothing runs
// and nothing may be started is passed over while another one answers.
func (p *Pool) Choose(wanted uint32, least bool) int {
	n := uint32(len(p.slots))
	if n == 1 {
		return 0
	}
	turn := uint32(0)
	if wanted == 0 || wanted > n {
		turn = p.turn.Add(1)
	}
	return p.choose(wanted, least, turn)
}

// choose is Choose where turn counts the requests that asked for no slot, this one among them.
func (p *Pool) choose(wanted uint32, least bool, turn uint32) int {
	n := uint32(len(p.slots))
	at := wanted - 1
	switch {
	case wanted > 0 && wanted <= n:
	case least:
		return p.least(turn)
	default:
		at = (turn + n - 1) % n
	}
	if s := &p.slots[at]; s.shut() {
		if other := p.serving(s); other != nil {
			return int(other.number) - 1
		}
	}
	return int(at)
}

// least gives the first slot with the lowest load, beginning with another one each time.
func (p *Pool) least(turn uint32) int {
	n := len(p.slots)
	from, best, lowest := int(turn%uint32(n)), 0, int64(math.MaxInt64)
	for k := range n {
		at := (from + k) % n
		if load := p.slots[at].load(); k == 0 || load < lowest {
			best, lowest = at, load
		}
	}
	return best
}

// serving gives the next slot behind s that answers; nil: none does.
func (p *Pool) serving(s *slot) *slot {
	n := len(p.slots)
	for k := 1; k < n; k++ {
		if other := &p.slots[(int(s.number)-1+k)%n]; other.open.Load() != nil {
			return other
		}
	}
	return nil
}

// Serving says whether any instance answers. It takes no lock.
func (p *Pool) Serving() bool {
	for n := range p.slots {
		if p.slots[n].open.Load() != nil {
			return true
		}
	}
	return false
}

// up gives the places of the slots that have an instance, of the first n; where there is none, the first.
func (p *Pool) up(n int) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var places []int
	for at := range min(n, len(p.slots)) {
		if p.slots[at].current != nil {
			places = append(places, at)
		}
	}
	if len(places) == 0 {
		return []int{0}
	}
	return places
}

func (p *Pool) all() []int {
	places := make([]int, len(p.slots))
	for at := range places {
		places[at] = at
	}
	return places
}

// Slot is the number of the slot of the instance that was taken.
func (c Claim) Slot() uint32 { return c.instance.slot.number }
