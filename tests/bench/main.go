// Command bench compares the CPU time per request of ancora with that of nginx, HAProxy and Caddy, as Debian ships them, on
// the same machine and with the same instance behind all of them.
//
//	go run ./tests/bench bin             every workload, 7 rounds
//	go run ./tests/bench -quick bin      the most important ones, in less than two minutes
//	go run ./tests/bench -gate bin       no times: system calls a request, which every machine agrees on
//
// ancora runs as it is shipped: keeper and worker, a real site, pairing token, forwarded headers, journal. The peers are set
// to their best and write no log. In each round every contender runs once, one after the other; what counts is the ratio to
// nginx within a round, of which median and quartiles are printed. Absolute times say more about the machine than about a
// proxy. The floor is no proxy: it passes the bytes on with the four system calls that none can do without, and costs what the
// system asks for.
//
// What can be switched is compared with the same agent without it, in the same rounds and with the same requests: each form of
// the access log, trusted proxies, PROXY headers of version 1, the cap of connections by source, certificates of clients
// (required; where they are only requested, a client without one pays in its handshake alone), the profile generic, wildcards,
// no limit of time, h2c beside HTTP/1.1, and somebody who asks for the counters once a second. TLS and unix sockets are
// workloads of their own. Least rates, limits, places in an application and the counters themselves are in every figure.
//
// A run counts only when every answer was 200 and whole, as far as its load can tell, and when it held the fixed rate or, over
// HTTP/1.1, 0.95 of nginx's requests a second; of features only the ratio to nginx asks for the latter. How far a load can tell:
// the fixed rate and the certificates of clients have one of our own, which looks at status and length of each answer. wrk tells
// statuses from 400 on, connections that end in mid-answer and answers later than 2 s; besides, it must have read as many bytes
// as its answers have when all are like one that was looked at before, give or take what was under way at the end, at most an
// answer for each connection. h2load must have had as many of the class 2xx as it made requests, and the bytes of their bodies.
// What the bodies say is not compared.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] { // what the benchmark starts of itself
		case "instance":
			exit(serveInstance())
		case "floor":
			exit(serveFloor(os.Args[2]))
		case "steady":
			exit(steady(os.Args[2:]))
		}
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 7, "rounds of each workload")
	flag.BoolVar(&o.quick, "quick", false, "few workloads, 5 short rounds, nginx alone beside ancora")
	flag.StringVar(&o.only, "only", "", "names of workloads, features and contenders, separated by commas; empty: all")
	flag.DurationVar(&o.length, "length", 0, "length of a run; 0: 2s, with -quick 1s")
	gates := flag.Bool("gate", false, "count system calls a request instead, and fail when they are too many")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: bench [flags] DIRECTORY-OF-PROGRAMS")
		os.Exit(2)
	}
	o.fill(flag.Arg(0))
	if *gates {
		exit(gate(&o))
	}
	exit(run(&o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run starts all contenders once and plays the workloads.
func run(o *options) error {
	for _, tool := range []string{"wrk", "nginx"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is needed: apt-get install nginx-light haproxy wrk nghttp2-client", tool)
		}
	}
	started, err := newPrograms()
	if err != nil {
		return err
	}
	b := &bench{options: o, programs: started}
	defer b.stop()
	if err := b.start(); err != nil {
		return err
	}
	b.describe()
	for _, w := range workloads() {
		if !o.wants(w) {
			continue
		}
		if err := b.play(w); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// describe says what was compared.
func (b *bench) describe() {
	for _, c := range b.contenders {
		fmt.Printf("%-8s %s\n", c.name, c.version)
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	fmt.Printf("kernel   %s, %d rounds of %v\n\n", strings.TrimSpace(string(kernel)), b.rounds, b.length)
}

// self is the benchmark's own binary where an unprivileged user can execute it.
func (b *bench) self() string { return filepath.Join(b.dir, "bench") }
