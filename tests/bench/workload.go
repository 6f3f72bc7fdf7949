package main

import "time"

// workload is one kind of traffic. It says what must be reached, as the ratio of CPU time per request to nginx's.
type workload struct {
	name   string
	quick  bool // part of -quick
	conns  int
	path   string
	body   int    // bytes of a POST; 0 is GET
	close  bool   // each request on a connection of its own
	scheme string // http, https or h2
	rate   int    // requests a second; 0: as fast as the answers come
	idle   bool   // memory of idle connections instead of CPU
	most   float64
	aim    float64
}

func workloads() []*workload {
	return []*workload{
		{name: "get-1k-64", quick: true, conns: 64, path: "/1k", most: 0.85, aim: 0.75},
		{name: "get-1k-512", conns: 512, path: "/1k", most: 0.85, aim: 0.75},
		{name: "post-4k-64", conns: 64, path: "/post", body: 4096, most: 0.85, aim: 0.75},
		{name: "get-100k-64", conns: 64, path: "/100k", most: 0.80, aim: 0.70},
		{name: "tls-1k-64", conns: 64, path: "/1k", scheme: "https", most: 0.85, aim: 0.70},
		{name: "unix-1k-64", conns: 64, path: "/unix/1k", most: 0.80, aim: 0.70},
		{name: "close-1k-64", quick: true, conns: 64, path: "/1k", close: true, most: 1.2, aim: 1.0},
		{name: "rate-20000-64", quick: true, conns: 64, path: "/1k", rate: 20000, most: 0.90, aim: 0.80},
		{name: "h2-1k-64x10", conns: 64, path: "/1k", scheme: "h2"},
		{name: "idle-5000", conns: 5000, path: "/1k", idle: true},
		{name: "idle-tls-5000", conns: 5000, path: "/1k", idle: true, scheme: "https"},
	}
}

// sample is one run of one contender.
type sample struct {
	requests  int
	errors    int
	cpu       cpu // of the contender's processes
	instance  cpu // of the instance behind it
	elapsed   time.Duration
	p50, p99  time.Duration
	ratePaced float64 // what share of a fixed rate was held
}

func (s *sample) perRequest() float64 { return s.each(s.cpu.total()) }

// each is what d comes to for one request, in microseconds.
func (s *sample) each(d time.Duration) float64 {
	return float64(d.Microseconds()) / float64(max(s.requests, 1))
}

func (s *sample) perSecond() float64 { return float64(s.requests) / s.elapsed.Seconds() }
