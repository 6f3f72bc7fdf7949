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

// queue is a line of two files, each first come, first served. It knows who has how many in it.
type queue struct {
	files  [2]list.List // of *waiter
	served int          // how many came in while somebody stood in both files
	shares map[standing]*share
	owing  int // of all
	most   int // no share is larger
}

// file is one of the two: strangers are those who are not known to be regulars.
type file int

const (
	forRegulars file = iota
	forStrangers
)

// One of so many places is for strangers while regulars wait as well.
const strangersTurn = 4

// standing is what is the same of all requests in a share.
type standing struct {
	Party
	file file
}

// share is what one party has in a file, the newest last.
type share struct {
	standing
	waiters list.List // of *waiter
}

func (q *queue) len() int { return q.files[forRegulars].Len() + q.files[forStrangers].Len() }

// next is who gets the next place, nil when nobody waits.
func (q *queue) next() *waiter {
	regular, stranger := q.files[forRegulars].Front(), q.files[forStrangers].Front()
	switch {
	case regular == nil && stranger == nil:
		return nil
	case stranger == nil:
		return regular.Value.(*waiter)
	case regular == nil:
		return stranger.Value.(*waiter)
	}
	if q.served++; q.served%strangersTurn == 0 {
		return stranger.Value.(*waiter)
	}
	return regular.Value.(*waiter)
}

// each calls f for everybody in line, who may be removed by it.
func (q *queue) each(f func(*waiter)) {
	for n := range q.files {
		for e := q.files[n].Front(); e != nil; {
			w := e.Value.(*waiter)
			e = e.Next()
			f(w)
		}
	}
}

// push puts w at the end of its file.
func (q *queue) push(w *waiter, at standing) {
	s := q.shares[at]
	if s == nil {
		if q.shares == nil {
			q.shares = map[standing]*share{}
		}
		s = &share{standing: at}
		q.shares[at] = s
	}
	w.share, w.inShare, w.element = s, s.waiters.PushBack(w), q.files[at.file].PushBack(w)
	q.most = max(q.most, s.waiters.Len())
	if at.Owing {
		q.owing++
	}
}

// remove takes w out.
func (q *queue) remove(w *waiter) {
	s := w.share
	q.files[s.file].Remove(w.element)
	s.waiters.Remove(w.inShare)
	w.share, w.inShare, w.element = nil, nil, nil
	if s.waiters.Len() == 0 {
		delete(q.shares, s.standing)
	}
	if s.Owing {
		q.owing--
	}
}

// surplus is who makes room for one more where the line is full: the newest of those with the largest share. They are of the
// other file where that has more than half of the line; otherwise of those that owe where these have more than half of it and
// the newcomer does not; otherwise of its own kind, with two more than it has. Nil is nobody.
func (q *queue) surplus(newcomer standing) *waiter {
	least, half := 1, q.len()/2
	candidate := func(s *share) bool { return s.file == newcomer.file && s.Owing == newcomer.Owing }
	switch {
	case q.files[1-newcomer.file].Len() > half:
		candidate = func(s *share) bool { return s.file != newcomer.file }
	case !newcomer.Owing && q.owing > half:
		candidate = func(s *share) bool { return s.Owing }
	default:
		if least = 2; q.shares[newcomer] != nil {
			least += q.shares[newcomer].waiters.Len()
		}
	}
	if q.most < least { // a crowd that is refused must not cost a search each
		return nil
	}
	var largest *share
	q.most = 0
	for _, s := range q.shares {
		n := s.waiters.Len()
		q.most = max(q.most, n)
		if candidate(s) && n >= least && (largest == nil || n > largest.waiters.Len()) {
			largest = s
		}
	}
	if largest == nil {
		return nil
	}
	return largest.waiters.Back().Value.(*waiter)
}
