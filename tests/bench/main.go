// Command bench compares the CPU time per request of ancora with that of nginx, HAProxy and Caddy, as Debian ships them, on
// the same machine and with the same instance behind all of them.
//
//	go run ./tests/bench bin             every workload, 7 rounds
//	go run ./tests/bench -quick bin      the most important ones, in less than two minutes
//	go run ./tests/bench -gate bin       no times: system calls a request, which every machine agrees on
//
// ancora runs as it is shipped: keeper and worker, a real site, pairing token, forwarded headers, journal. The peers are set
// to their best and write no log. In each round every contender runs once, one after the other; what counts is the ratio to
// nginx within a round, of which median and quartiles are printed. A run counts only when every answer was whole and 200.
// Absolute times say more about the machine than about a proxy.
package main

import (
	"errors"
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
		case "steady":
			exit(steady(os.Args[2:]))
		}
	}
	var o options
	flag.IntVar(&o.rounds, "rounds", 7, "rounds of each workload")
	flag.BoolVar(&o.quick, "quick", false, "few workloads, 5 short rounds, nginx alone beside ancora")
	flag.StringVar(&o.only, "only", "", "names of workloads and contenders, separated by commas; empty: all")
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
	dir, err := os.MkdirTemp("", "ancora-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir}
	defer b.stop()
	if err := errors.Join(os.Chmod(dir, 0o755), b.start()); err != nil {
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
