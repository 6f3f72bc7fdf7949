// Command attack measures what the real agent does for everybody else while it is attacked: floods and stalls over HTTP/2, and
// thousands of slow connections over HTTP/1.1. Run it with the directory of the built programs; it prints a line a figure and
// ends with 1 when one of them was not reached.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	child := flag.Bool("child", false, "be the attacker; for the program itself")
	only := flag.String("only", "", "attack with this alone: a part of a name")
	length := flag.Duration("length", 0, "how long each attack lasts; 0 is 6s over HTTP/2 and 30s slowly")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: attack [-only NAME] [-length 30s] DIRECTORY-OF-THE-PROGRAMS\nattacks:")
		for _, a := range attacks() {
			fmt.Fprintln(os.Stderr, "  "+a.name)
		}
	}
	flag.Parse()
	var err error
	switch {
	case *child:
		err = attackAsChild(flag.Args())
	case flag.NArg() != 1:
		flag.Usage()
		os.Exit(2)
	default:
		err = run(flag.Arg(0), *only, *length)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		os.Exit(1)
	}
}

// attack is one of those that are measured.
type attack struct {
	name    string
	length  time.Duration
	measure func(*agent, *attack) ([]figure, error)
}

const (
	floodLength = 6 * time.Second
	slowLength  = 30 * time.Second
)

func attacks() (all []attack) {
	for _, name := range h2Attacks() {
		all = append(all, attack{"h2 " + name, floodLength, measureH2})
	}
	for _, name := range slowAttacks() {
		all = append(all, attack{"slow " + name, slowLength, measureSlow})
	}
	return all
}

// figure is one line of the table.
type figure struct {
	what, got, want string
	ok              bool
}

func run(bin, only string, length time.Duration) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	a, err := startAgent(bin)
	if err != nil {
		return err
	}
	defer a.stop()
	done := make(chan error, 1)
	go func() { done <- measureAll(a, only, length) }()
	select {
	case err := <-done:
		return err
	case s := <-stop:
		return fmt.Errorf("%v", s)
	}
}

func measureAll(a *agent, only string, length time.Duration) error {
	began, failed, found := time.Now(), 0, false
	for _, attack := range attacks() {
		if !strings.Contains(attack.name, only) {
			continue
		}
		found = true
		if length > 0 {
			attack.length = length
		}
		figures, err := attack.measure(a, &attack)
		if err != nil {
			return fmt.Errorf("%s: %w", attack.name, err)
		}
		for _, f := range figures {
			verdict := "PASS"
			if !f.ok {
				verdict = "FAIL"
				failed++
			}
			fmt.Printf("%s  %-32s %-30s %-44s %s\n", verdict, attack.name, f.what, f.got, f.want)
		}
	}
	switch {
	case !found:
		return fmt.Errorf("no attack has %q in its name", only)
	case failed > 0:
		return fmt.Errorf("%d figures were not reached", failed)
	}
	fmt.Printf("all figures were reached, in %v\n", time.Since(began).Round(time.Second))
	return nil
}
