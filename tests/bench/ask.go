package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// asker is a load of the benchmark's own: dearer than wrk, but it can show a certificate, and it looks at each answer.
type asker struct {
	w       *workload
	c       *contender
	request string
}

func newAsker(w *workload, c *contender) *asker { return &asker{w, c, w.request(c.hostname())} }

// times makes n requests, spread over the connections.
func (a *asker) times(n int) error {
	_, _, err := a.all(func(i int) bool { return i < n/a.w.conns })
	return err
}

// during makes requests for a while. The handshakes are in it, as with wrk.
func (a *asker) during(length time.Duration) (sample, error) {
	begin := time.Now()
	took, failed, err := a.all(func(int) bool { return time.Since(begin) < length })
	if len(took) == 0 {
		return sample{}, errors.Join(err, errors.New("no answers"))
	}
	slices.Sort(took)
	s := sample{requests: len(took), errors: failed, elapsed: time.Since(begin), p50: took[len(took)/2], p99: took[len(took)*99/100]}
	if err != nil {
		s.wrong = err.Error()
	}
	return s, nil
}

// all keeps every connection busy as long as more says so of the number of its requests. A connection ends with the first
// answer that is not right; how many did so comes with what one of them saw.
func (a *asker) all(more func(int) bool) (took []time.Duration, failed int, err error) {
	var mu sync.Mutex
	var busy sync.WaitGroup
	for range a.w.conns {
		busy.Go(func() {
			one, oneErr := a.over(more)
			mu.Lock()
			defer mu.Unlock()
			took = append(took, one...)
			if oneErr != nil {
				failed, err = failed+1, oneErr
			}
		})
	}
	busy.Wait()
	return took, failed, err
}

func (a *asker) over(more func(int) bool) (took []time.Duration, err error) {
	nc, err := a.c.dial(a.w)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	r := bufio.NewReader(nc)
	for more(len(took)) {
		begin := time.Now()
		if err := a.ask(nc, r); err != nil {
			return took, err
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}

func (a *asker) ask(nc net.Conn, r *bufio.Reader) error {
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, a.request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	size, err := io.Copy(io.Discard, answer.Body)
	if err != nil || int(size) != bodySize(a.w.path) || answer.StatusCode != 200 {
		return errors.Join(fmt.Errorf("%s answers %d with a body of %d bytes", a.c.name, answer.StatusCode, size), err)
	}
	return nil
}

// weigh says how many bytes one whole answer has, which has to be right.
func weigh(w *workload, c *contender) (int, error) {
	nc, err := c.dial(w)
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	counted := &scale{Reader: nc}
	err = newAsker(w, c).ask(nc, bufio.NewReader(counted))
	return counted.n, err
}

// scale weighs what is read through it.
type scale struct {
	io.Reader
	n int
}

func (s *scale) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.n += n
	return n, err
}
