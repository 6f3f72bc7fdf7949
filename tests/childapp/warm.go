package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// remembered is how many requests /first tells of.
const remembered = 20

// first remembers what the process was asked for first, in order.
type first struct {
	n     atomic.Int64
	mu    sync.Mutex
	lines []string
}

// guarded is the whole application. What carries no token is no request of it.
func (f *first) guarded(o options, asked chan<- struct{}) http.Handler {
	return guard(o, asked, f.watch(routes(o, f)))
}

func (f *first) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.n.Add(1) <= remembered {
			f.mu.Lock()
			f.lines = append(f.lines, fmt.Sprintf("%s %s host=%s proto=%s agent=%s", r.Method, r.RequestURI, r.Host, r.Header.Get("X-Forwarded-Proto"), r.UserAgent()))
			f.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

func (f *first) answer(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range f.lines {
		fmt.Fprintln(w, line)
	}
}

// work reads a body, takes a while, and answers who did it and how much there was: /work?d=5ms.
func work(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	d, _ := time.ParseDuration(r.URL.Query().Get("d"))
	time.Sleep(d)
	fmt.Fprintf(w, "%d %d\n", os.Getpid(), n)
}

// grow takes memory that stays taken: /grow?n=BYTES.
func grow() http.HandlerFunc {
	var mu sync.Mutex
	var held [][]byte
	return func(w http.ResponseWriter, r *http.Request) {
		block := make([]byte, number(r, "n", 1<<20))
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		mu.Lock()
		defer mu.Unlock()
		held = append(held, block)
		fmt.Fprintln(w, os.Getpid())
	}
}
