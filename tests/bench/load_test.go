package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	testConns  = 4
	testLength = 300 * time.Millisecond // wrk and h2load take a second
	rightFirst = 200                    // answers before the first wrong one, so that each load gets going
)

// wrongs are answers that no round with them may count.
func wrongs() map[string]string {
	right := reply("200 OK", 1024, 1024)
	return map[string]string{
		"none":              right,
		"404":               reply("404 Not Found", 1024, 1024),
		"another length":    reply("200 OK", 1000, 1000),
		"cut":               right[:len(right)-100],
		"cut in the head":   right[:20],
		"nothing":           "",
		"no content":        "HTTP/1.1 204 No Content\r\n\r\n",
		"a page of its own": reply("302 Found", 9, 9),
	}
}

func reply(status string, announced, sent int) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nServer: test\r\nContent-Length: %d\r\n\r\n%s", status, announced, strings.Repeat("x", sent))
}

// serve gives each connection to its own call of to, and waits for all of them at the end.
func serve(t *testing.T, to func(net.Conn)) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	t.Cleanup(func() {
		ln.Close()
		served.Wait()
	})
	served.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer nc.Close()
				to(nc)
			})
		}
	})
	return ln.Addr().String()
}

// liar serves HTTP/1.1 and gives every hundredth answer wrongly, once it has given many right ones. What is shorter than
// its head says ends the connection.
func liar(t *testing.T, wrong string) *contender {
	t.Helper()
	right := reply("200 OK", 1024, 1024)
	var count atomic.Int64
	return &contender{name: "liar", plain: serve(t, func(nc net.Conn) {
		for r := bufio.NewReader(nc); ; {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			answer := right
			if n := count.Add(1); n > rightFirst && n%100 == 0 {
				answer = wrong
			}
			if _, err := io.WriteString(nc, answer); err != nil || !strings.HasSuffix(answer, "\r\n\r\n") && len(answer) < len(right) && strings.HasPrefix(right, answer) {
				return
			}
		}
	})}
}

// played plays a workload as a round does.
func played(t *testing.T, w *workload, c *contender) (*sample, string) {
	t.Helper()
	b := &bench{options: &options{}, programs: &programs{dir: t.TempDir()}}
	var err error
	if w.scheme != "h2" {
		if c.size, err = weigh(w, c); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.load(w, c, testLength)
	if err != nil {
		t.Fatal(err)
	}
	if s.requests < rightFirst {
		t.Errorf("%d requests only", s.requests)
	}
	return &s, s.problem(w, &s)
}

func judge(t *testing.T, name, problem string) {
	t.Helper()
	if (problem != "") != (name != "none") {
		t.Errorf("answers that are wrong (%s): the round is judged %q", name, problem)
	}
}

// What looks at each answer tells each wrong one.
func TestOwnLoads(t *testing.T) {
	for name, wrong := range wrongs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &workload{conns: testConns, path: "/1k", own: true}
			_, problem := played(t, w, liar(t, wrong))
			judge(t, name, problem)

			c := liar(t, wrong)
			r, err := pace(c.plain, w.path, testConns, 2000, testLength)
			if err != nil {
				t.Fatal(err)
			}
			s := &sample{requests: r.Done, errors: r.Errors, elapsed: r.Elapsed}
			judge(t, name, s.problem(w, s))
		})
	}
}

// wrk looks at no length; its sums tell.
func TestWrk(t *testing.T) {
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Skip("wrk is not installed")
	}
	for name, wrong := range wrongs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problem := played(t, &workload{conns: testConns, path: "/1k"}, liar(t, wrong))
			judge(t, name, problem)
		})
	}
	t.Run("greeting", func(t *testing.T) {
		s, problem := played(t, &workload{conns: testConns, path: "/1k", close: true, raw: true}, greeted(t, "PROXY TCP4 203.0.113.7 127.0.0.1 40000 80\r\n"))
		if problem != "" {
			t.Errorf("%d requests: %s", s.requests, problem)
		}
	})
}

// greeted answers one request of each connection that begins with the greeting, and nobody else.
func greeted(t *testing.T, greeting string) *contender {
	t.Helper()
	return &contender{name: "greeted", greeting: greeting, plain: serve(t, func(nc net.Conn) {
		begin := make([]byte, len(greeting))
		r := bufio.NewReader(nc)
		if _, err := io.ReadFull(r, begin); err != nil || string(begin) != greeting {
			return
		}
		if _, err := http.ReadRequest(r); err == nil {
			_, _ = io.WriteString(nc, strings.Replace(reply("200 OK", 1024, 1024), "\r\n", "\r\nConnection: close\r\n", 1))
		}
	})}
}

// h2load looks at neither length nor, below 400, status; its sums tell.
func TestH2load(t *testing.T) {
	if _, err := exec.LookPath("h2load"); err != nil {
		t.Skip("h2load is not installed")
	}
	for name, wrong := range map[string]func(http.ResponseWriter){
		"none":           func(w http.ResponseWriter) { _, _ = io.WriteString(w, strings.Repeat("x", 1024)) },
		"404":            func(w http.ResponseWriter) { w.WriteHeader(404) },
		"302":            func(w http.ResponseWriter) { w.WriteHeader(302); _, _ = io.WriteString(w, strings.Repeat("x", 1024)) },
		"another length": func(w http.ResponseWriter) { _, _ = io.WriteString(w, "x") },
		"cut":            func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var count atomic.Int64
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if n := count.Add(1); n > rightFirst && n%20 == 0 {
					wrong(w)
					return
				}
				_, _ = io.WriteString(w, strings.Repeat("x", 1024))
			}))
			s.EnableHTTP2 = true
			s.StartTLS()
			defer s.Close()
			_, problem := played(t, &workload{conns: testConns, path: "/1k", scheme: "h2"}, &contender{name: "liar", tls: s.Listener.Addr().String()})
			judge(t, name, problem)
		})
	}
}
