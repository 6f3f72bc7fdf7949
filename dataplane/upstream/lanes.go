package upstream

import "sync"

// Lanes is how many lanes there are. Requests of one lane tend to run on one processor, so what they touch stays in its cache:
// with one stack of idle connections for all, its lock and its connections would travel between processors with every request.
const Lanes = 4

// lanes are stacks of idle connections, the one used last on top.
type lanes [Lanes]lane

type lane struct {
	mu   sync.Mutex
	free []*Conn
	_    [96]byte // no two of them in one cache line, nor in a pair of them
}

// take gives a connection of a lane, or of another one when it has none; nil when there is none at all.
func (l *lanes) take(at uint32) *Conn {
	for i := range uint32(Lanes) {
		lane := &l[(at+i)%Lanes]
		lane.mu.Lock()
		var c *Conn
		if n := len(lane.free); n > 0 {
			c, lane.free[n-1] = lane.free[n-1], nil
			lane.free = lane.free[:n-1]
		}
		lane.mu.Unlock()
		if c != nil {
			return c
		}
	}
	return nil
}

// keep takes a connection back, unless refuse says no.
func (l *lanes) keep(at uint32, c *Conn, refuse func() bool) bool {
	lane := &l[at%Lanes]
	lane.mu.Lock()
	defer lane.mu.Unlock()
	if refuse() {
		return false
	}
	lane.free = append(lane.free, c)
	return true
}

// weed takes those out that stay says no of, and gives them.
func (l *lanes) weed(stay func(*Conn) bool) (gone []*Conn) {
	for i := range l {
		lane := &l[i]
		lane.mu.Lock()
		kept := lane.free[:0]
		for _, c := range lane.free {
			if stay(c) {
				kept = append(kept, c)
			} else {
				gone = append(gone, c)
			}
		}
		clear(lane.free[len(kept):])
		lane.free = kept
		lane.mu.Unlock()
	}
	return gone
}
