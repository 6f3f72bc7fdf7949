package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// workload is one kind of traffic. It says what must be reached, as the ratio of CPU time per request to nginx's.
type workload struct {
	name   string
	quick  bool // part of -quick
	conns  int
	path   string
	body   int      // bytes of a POST; 0 is GET
	close  bool     // each request on a connection of its own
	scheme string   // http, https or h2
	fields []string // sent besides those of a browser
	rate   int      // requests a second; 0: as fast as the answers come
	idle   bool     // memory of idle connections instead of CPU
	own    bool     // asked by the benchmark itself, which can show a certificate, instead of wrk
	raw    bool     // wrk sends what it is given, which may begin with a PROXY header; only with close
	most   float64
	aim    float64
	// features are compared with the same agent without them, which gets the same requests.
	features []feature
}

// feature is something that can be switched on, as a way through the agent that has all of them (features.go).
type feature struct {
	name        string
	listener    string // empty: http or https, as the workload says
	host        string // empty: hostname
	greeting    string
	certificate bool
	scraped     bool
	accessLog   bool // of the site that is called like the feature
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

		{name: "access-log", conns: 64, path: "/1k", features: []feature{
			{name: "json", host: "json.test", accessLog: true}, {name: "combined", host: "combined.test", accessLog: true}, {name: "w3c", host: "w3c.test", accessLog: true},
		}},
		{name: "site", conns: 64, path: "/1k", features: []feature{
			{name: "generic", host: "generic.test"}, {name: "wildcard", host: "any.wildcard.test"},
			{name: "no-timeout", host: "no-timeout.test"}, {name: "h2c", listener: "h2c"},
		}},
		{name: "metrics", conns: 64, path: "/1k", features: []feature{{name: "scraped", scraped: true}}},
		{name: "forwarded", conns: 64, path: "/1k", fields: []string{"X-Forwarded-For: 203.0.113.7:40000", "X-Forwarded-Proto: https"},
			features: []feature{{name: "trusted-proxies", listener: "trusted"}}},
		{name: "connection", conns: 64, path: "/1k", close: true, raw: true, features: []feature{
			{name: "proxy-protocol", listener: "proxied", greeting: "PROXY TCP4 203.0.113.7 127.0.0.1 40000 80\r\n"},
			{name: "source-cap", listener: "capped"},
		}},
		{name: "client-tls", conns: 64, path: "/1k", scheme: "https", own: true, features: []feature{
			{name: "client-cert", host: "cert.test", certificate: true},
		}},
	}
}

// called says whether a name is that of the workload or of one of its features.
func (w *workload) called(name string) bool {
	return name == w.name || slices.ContainsFunc(w.features, func(f feature) bool { return f.name == name })
}

// request is what a client of one connection sends.
func (w *workload) request(host string) string {
	method := "GET"
	lines := append([]string{"Host: " + host}, w.headers()...)
	if w.body > 0 {
		method, lines = "POST", append(lines, fmt.Sprintf("Content-Length: %d", w.body))
	}
	return method + " " + w.path + " HTTP/1.1\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" + strings.Repeat("x", w.body)
}

// headers are the fields of a request but for the host.
func (w *workload) headers() []string {
	all := append(browser(), w.fields...)
	if w.close {
		all = append(all, "Connection: close")
	}
	return all
}

const hostname = "bench.test"

// browser is what a browser sends besides the host.
func browser() []string {
	return []string{
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
		"Accept-Language: en-US,en;q=0.5",
		"Accept-Encoding: gzip, deflate",
		"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
	}
}

// sample is one run of one contender.
type sample struct {
	requests  int
	errors    int    // answers that were not 200, not whole, or did not come
	wrong     string // why the answers together cannot have been right; empty: they can
	cpu       cpu    // of the contender's processes
	instance  cpu    // of the instance behind it
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
