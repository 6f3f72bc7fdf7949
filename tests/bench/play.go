package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// play runs one workload on every contender that can do it and prints a line for each.
func (b *bench) play(w *workload) error {
	instance := b.instances[""]
	if strings.HasPrefix(w.path, "/unix/") {
		instance = b.instances["/unix"]
	}
	if instance == nil || b.contenders[0].address(w) == "" {
		fmt.Printf("%-14s this version of ancora cannot do it\n", w.name)
		return nil
	}
	var able []*contender
	for _, c := range b.contenders {
		if c.address(w) != "" && !(instance == b.instances["/unix"] && c.name == "caddy") {
			able = append(able, c)
		}
	}
	if w.idle {
		return b.playIdle(w, able)
	}
	samples := make(map[*contender][]*sample)
	for _, c := range able { // caches, connections, stacks
		if _, err := b.load(w, c.address(w), time.Second); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	invalid := 0
	for round := range b.rounds {
		got := make([]*sample, len(able))
		for i := range able { // another one begins each time
			k := (i + round) % len(able)
			s, err := b.measure(w, able[k], instance)
			if err != nil {
				return fmt.Errorf("%s: %w", able[k].name, err)
			}
			got[k] = s
		}
		for i, s := range got {
			problem := s.problem(w, got[1])
			if problem != "" {
				invalid++
				fmt.Printf("%-14s %-8s round %d does not count: %s\n", w.name, able[i].name, round+1, problem)
				s = nil
			}
			samples[able[i]] = append(samples[able[i]], s)
		}
	}
	for _, c := range able {
		printRow(w, c, samples[c], samples[able[1]])
	}
	fmt.Println()
	return nil
}

func (b *bench) measure(w *workload, c *contender, instance *running) (*sample, error) {
	pids := family(c.cmd.Process.Pid)
	before, err1 := used(pids...)
	instanceBefore, err2 := used(instance.pid)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	s, err := b.load(w, c.address(w), b.length)
	if err != nil {
		return nil, err
	}
	after, err1 := used(pids...)
	instanceAfter, err2 := used(instance.pid)
	s.cpu, s.instance = after.minus(before), instanceAfter.minus(instanceBefore)
	return &s, errors.Join(err1, err2)
}

// problem says why a run does not count.
func (s *sample) problem(w *workload, nginx *sample) string {
	switch {
	case s.errors > 0:
		return fmt.Sprintf("%d answers were no whole 200", s.errors)
	case w.rate > 0 && s.ratePaced < 0.99:
		return fmt.Sprintf("only %.1f %% of the rate was held", 100*s.ratePaced)
	case w.rate == 0 && w.scheme != "h2" && s != nginx && s.perSecond() < 0.95*nginx.perSecond():
		return fmt.Sprintf("%.0f requests/s, nginx %.0f", s.perSecond(), nginx.perSecond())
	}
	return ""
}

// printRow prints the ratio within rounds, and medians of the rest.
func printRow(w *workload, c *contender, mine, nginx []*sample) {
	var ratios, micros, user, rates, p50, p99, back []float64
	for i, s := range mine {
		if s == nil || nginx[i] == nil {
			continue
		}
		ratios = append(ratios, s.perRequest()/nginx[i].perRequest())
		micros = append(micros, s.perRequest())
		user = append(user, s.each(s.cpu.user))
		rates = append(rates, s.perSecond()/nginx[i].perSecond())
		p50 = append(p50, float64(s.p50.Microseconds()))
		p99 = append(p99, float64(s.p99.Microseconds()))
		back = append(back, s.each(s.instance.total()))
	}
	if len(ratios) == 0 {
		fmt.Printf("%-14s %-8s no round counted\n", w.name, c.name)
		return
	}
	verdict := ""
	if c.name == "ancora" && w.most > 0 {
		verdict = fmt.Sprintf("must be <= %.2f, aim %.2f", w.most, w.aim)
		if quantile(ratios, 0.5) > w.most {
			verdict += ": NOT REACHED"
		}
	}
	fmt.Printf("%-14s %-8s %5.2f (%.2f to %.2f, n=%d) of nginx's CPU  %5.1f us/request (user %4.1f)  %4.2fx its requests/s  p50 %5.0f us p99 %6.0f us  instance %4.1f us  %s\n",
		w.name, c.name, quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75), len(ratios), quantile(micros, 0.5), quantile(user, 0.5),
		quantile(rates, 0.5), quantile(p50, 0.5), quantile(p99, 0.5), quantile(back, 0.5), verdict)
}

// quantile interpolates.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}
