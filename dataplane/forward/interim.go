package forward

import (
	"sync"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// maxInterim is how many informational answers may come before the final one: each is passed on, and an application must
// not go on with that for ever.
const maxInterim = 16

var errInterim = &h1.Error{Status: 502, Text: "more than 16 informational answers"}

// interim passes an informational answer on, less what is about our connection to the instance.
func (x *exchange) interim(c *upstream.Conn, answer *h1.Response) error {
	c.Pause() // a client that does not take it is not the instance's fault
	defer c.Resume()
	return x.hint(answer)
}

func (x *exchange) hint(answer *h1.Response) error {
	fields := filterAnswer(answer, x.opt.Token)
	if reasoner, ok := x.w.(reasoner); ok {
		reasoner.Reason(answer.Reason)
	}
	if err := x.w.Head(answer.Status, fields, 0); err != nil {
		return clientError{err}
	}
	return nil
}

// hints are the informational answers of an instance that speaks HTTP/2. They come on the goroutine that reads for all requests
// of a connection, which must wait for no client, so they are passed on by another one, of which there is none without them.
type hints struct {
	x     *exchange
	watch *inactivity

	mu      sync.Mutex
	count   int
	waiting []*h1.Response
	running chan struct{} // closed when nothing waits any more; nil: nothing does
	over    bool          // nobody may touch the client's answer any more
	err     error
}

// take is h2c.Request's Interim.
func (h *hints) take(status int, fields []Field) error {
	h.watch.restart()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over || h.err != nil {
		return h.err
	}
	if h.count++; h.count > maxInterim {
		h.err = errInterim
		return h.err
	}
	if status <= 101 {
		return nil // 100 is for us, and 101 does not exist in HTTP/2
	}
	h.waiting = append(h.waiting, &h1.Response{Status: status, Fields: fields})
	if h.running == nil {
		h.running = make(chan struct{})
		go h.run(h.running)
	}
	return nil
}

func (h *hints) run(done chan struct{}) {
	defer close(done)
	for {
		h.mu.Lock()
		if h.err != nil || len(h.waiting) == 0 {
			h.running = nil
			h.mu.Unlock()
			return
		}
		answer := h.waiting[0]
		h.waiting = h.waiting[1:]
		h.mu.Unlock()
		if err := h.x.hint(answer); err != nil {
			h.mu.Lock()
			h.err = err
			h.mu.Unlock()
		}
	}
}

// finish waits until all have been passed on, and says why one was not. The time that a client takes is not the instance's.
func (h *hints) finish() error {
	h.mu.Lock()
	h.over = true
	running := h.running
	h.mu.Unlock()
	if running != nil {
		h.watch.pause()
		<-running
		h.watch.resume()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}
