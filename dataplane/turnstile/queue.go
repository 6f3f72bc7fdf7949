package turnstile

import (
	"container/list"
	"net/netip"
)

// Party is whom a request stands in line for.
type Party struct {
	// Client is where the request comes from.
	Client netip.Addr
	// Owing says that the client still owes bytes of the request. To owe costs a client nothing, so thousands can begin at once.
	Owing bool
}

// queue is a line, first come, first served. It knows who has how many in it.
type queue struct {
	waiters list.List // of *waiter
	shares  map[Party]*share
	owing   int // of them
	most    int // no share is larger
}

// share is what one party has in the line, the newest last.
type share struct {
	party   Party
	waiters list.List // of *waiter
}

func (q *queue) len() int { return q.waiters.Len() }

// push puts w at the end.
func (q *queue) push(w *waiter, party Party) {
	s := q.shares[party]
	if s == nil {
		if q.shares == nil {
			q.shares = map[Party]*share{}
		}
		s = &share{party: party}
		q.shares[party] = s
	}
	w.share, w.inShare, w.element = s, s.waiters.PushBack(w), q.waiters.PushBack(w)
	q.most = max(q.most, s.waiters.Len())
	if party.Owing {
		q.owing++
	}
}

// remove takes w out.
func (q *queue) remove(w *waiter) {
	s := w.share
	q.waiters.Remove(w.element)
	s.waiters.Remove(w.inShare)
	w.share, w.inShare, w.element = nil, nil, nil
	if s.waiters.Len() == 0 {
		delete(q.shares, s.party)
	}
	if s.party.Owing {
		q.owing--
	}
}

// surplus is who makes room for one more of the party where the line is full: the newest of those with the largest share. They
// are of those that owe where these have more than half of the line and the party is none of them, otherwise of its own kind,
// with two more than the party has. Nil is nobody.
func (q *queue) surplus(party Party) *waiter {
	owing, least := party.Owing, 2
	if !owing && q.owing > q.len()/2 {
		owing, least = true, 1
	} else if s := q.shares[party]; s != nil {
		least += s.waiters.Len()
	}
	if q.most < least { // a crowd that is refused must not cost a search each
		return nil
	}
	var largest *share
	q.most = 0
	for _, s := range q.shares {
		n := s.waiters.Len()
		q.most = max(q.most, n)
		if s.party.Owing == owing && n >= least && (largest == nil || n > largest.waiters.Len()) {
			largest = s
		}
	}
	if largest == nil {
		return nil
	}
	return largest.waiters.Back().Value.(*waiter)
}
