package ingress

import (
	"sync"
	"time"
)

// complaintPause is how long a listener does not say the same thing again: whoever attacks it must not fill the log.
const complaintPause = 10 * time.Second

// complaints are what has been said, and how often it would have been since.
type complaints struct {
	mu   sync.Mutex
	said map[string]*complaint
}

type complaint struct {
	at     time.Time
	unsaid int
}

// complain warns of what keeps clients out.
func (l *Listener) complain(sentence string, pairs ...any) {
	now := time.Now()
	k := &l.complaints
	k.mu.Lock()
	if k.said == nil {
		k.said = map[string]*complaint{}
	}
	c := k.said[sentence]
	if c == nil {
		c = new(complaint)
		k.said[sentence] = c
	}
	if now.Sub(c.at) < complaintPause {
		c.unsaid++
		k.mu.Unlock()
		return
	}
	unsaid := c.unsaid
	*c = complaint{at: now}
	k.mu.Unlock()
	if unsaid > 0 {
		pairs = append(pairs, "unsaid", unsaid)
	}
	l.log.Warn(sentence, pairs...)
}
