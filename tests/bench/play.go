package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// play runs one workload on every contender that can do it and prints a line for each.
func (b *bench) play(w *workload) error {
	if w.features != nil {
		return b.playFeatures(w)
	}
	if b.behind(w, b.contenders[0]) == nil || b.contenders[0].address(w) == "" {
		fmt.Printf("%-14s this version of ancora cannot do it\n", w.name)
		return nil
	}
	var able []*contender
	for _, c := range b.contenders {
		if c.address(w) != "" && !(strings.HasPrefix(w.path, "/unix/") && c.name == "caddy") && (!c.bare || w.bears()) {
			able = append(able, c)
		}
	}
	if w.idle {
		return b.playIdle(w, able)
	}
	samples, err := b.playRounds(w, able)
	if err != nil {
		return err
	}
	for _, c := range able {
		printRow(w, c, samples[c], samples[able[1]])
	}
	fmt.Println()
	return nil
}

// playFeatures compares ways through one agent with the way on which nothing is switched on, and with nginx.
func (b *bench) playFeatures(w *workload) (err error) {
	if b.features == nil {
		if b.features, err = b.startFeatures(); err != nil {
			return err
		}
	}
	able := []*contender{b.features.through(w, feature{name: "without"}), b.contenders[1]}
	for _, f := range w.features {
		if b.wantsFeature(w, f.name) {
			able = append(able, b.features.through(w, f))
		}
	}
	samples, err := b.playRounds(w, able)
	if err != nil {
		return err
	}
	for _, c := range able {
		printFeature(w, c, samples[c], samples[able[0]], samples[able[1]])
		if c.lost == nil {
			continue
		}
		lost, err := c.lost()
		if err != nil {
			return err
		}
		if lost > 0 {
			fmt.Printf("%-14s %-15s has lost %d lines, and costs too little by as many\n", w.name, c.name, lost)
		}
	}
	fmt.Println()
	return nil
}

// playRounds gives the samples of each contender by rounds, nil where one does not count. The second contender is nginx.
func (b *bench) playRounds(w *workload, able []*contender) (map[*contender][]*sample, error) {
	samples := make(map[*contender][]*sample)
	for _, c := range able {
		err := error(nil)
		if w.scheme != "h2" {
			c.size, err = weigh(w, c)
		}
		if err == nil {
			_, err = b.load(w, c, time.Second) // caches, connections, stacks
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for round := range b.rounds {
		got := make([]*sample, len(able))
		for i := range able { // another one begins each time
			k := (i + round) % len(able)
			s, err := b.measure(w, able[k])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", able[k].name, err)
			}
			got[k] = s
		}
		for i, s := range got {
			if problem := s.problem(w, got[1]); problem != "" {
				fmt.Printf("%-14s %-8s round %d does not count: %s\n", w.name, able[i].name, round+1, problem)
				s = nil
			}
			samples[able[i]] = append(samples[able[i]], s)
		}
	}
	return samples, nil
}

// behind is the instance that answers a workload; nil: there is none.
func (b *bench) behind(w *workload, c *contender) *running {
	switch {
	case c.behind != nil:
		return c.behind
	case strings.HasPrefix(w.path, "/unix/"):
		return b.instances["/unix"]
	}
	return b.instances[""]
}

func (b *bench) measure(w *workload, c *contender) (*sample, error) {
	pids, instance := lab.Family(c.Pid()), b.behind(w, c).pid
	before, err1 := used(pids...)
	instanceBefore, err2 := used(instance)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	meanwhile := make(chan error, 1)
	if c.meanwhile == nil {
		meanwhile <- nil
	} else {
		go func() { meanwhile <- c.meanwhile(ctx) }()
	}
	s, err := b.load(w, c, b.length)
	cancel()
	if err := errors.Join(err, <-meanwhile); err != nil {
		return nil, err
	}
	after, err1 := used(pids...)
	instanceAfter, err2 := used(instance)
	s.cpu, s.instance = after.minus(before), instanceAfter.minus(instanceBefore)
	return &s, errors.Join(err1, err2)
}

// leastRate is what share of nginx's requests a second has to be held: CPU time per request falls with fewer of them.
const leastRate = 0.95

// problem says why a run does not count.
func (s *sample) problem(w *workload, nginx *sample) string {
	switch {
	case s.errors > 0:
		return strings.TrimSpace(fmt.Sprintf("%d answers were no whole 200 %s", s.errors, s.wrong))
	case s.wrong != "":
		return s.wrong
	case w.rate > 0 && s.ratePaced < 0.99:
		return fmt.Sprintf("only %.1f %% of the rate was held", 100*s.ratePaced)
	case w.features == nil && w.rate == 0 && w.scheme != "h2" && s != nginx && s.perSecond() < leastRate*nginx.perSecond():
		return fmt.Sprintf("%.0f requests/s, nginx %.0f", s.perSecond(), nginx.perSecond())
	}
	return ""
}

// printRow prints the ratio within rounds, and medians of the rest.
func printRow(w *workload, c *contender, mine, nginx []*sample) {
	ratios, rates := paired(mine, nginx, 0)
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
	fmt.Printf("%-14s %-8s %s of nginx's CPU  %4.2fx its requests/s  %s  %s\n", w.name, c.name, quartiles(ratios), quantile(rates, 0.5), medians(mine), verdict)
}

// printFeature prints what a feature costs.
func printFeature(w *workload, c *contender, mine, without, nginx []*sample) {
	ratios, rates := paired(mine, without, 0)
	if len(ratios) == 0 {
		fmt.Printf("%-14s %-15s no round counted\n", w.name, c.name)
		return
	}
	fmt.Printf("%-14s %-15s %s of ancora's CPU without  %4.2fx the requests/s  ", w.name, c.name, quartiles(ratios), quantile(rates, 0.5))
	if ratios, _ := paired(mine, nginx, leastRate); len(ratios) > 0 {
		fmt.Printf("%s of nginx's CPU  ", quartiles(ratios))
	} else if _, rates := paired(mine, nginx, 0); len(rates) > 0 {
		fmt.Printf("%.2fx nginx's requests/s, too few for its CPU  ", quantile(rates, 0.5))
	}
	fmt.Println(medians(mine))
}

// paired gives ratios of CPU time per request and of requests a second within rounds, of those rounds in which the latter was
// held.
func paired(mine, other []*sample, least float64) (cpu, rates []float64) {
	for i, s := range mine {
		if s == nil || other[i] == nil {
			continue
		}
		if rate := s.perSecond() / other[i].perSecond(); rate >= least {
			cpu, rates = append(cpu, s.perRequest()/other[i].perRequest()), append(rates, rate)
		}
	}
	return cpu, rates
}

func quartiles(ratios []float64) string {
	return fmt.Sprintf("%5.2f (%.2f to %.2f, n=%d)", quantile(ratios, 0.5), quantile(ratios, 0.25), quantile(ratios, 0.75), len(ratios))
}

// medians are those of all runs that count.
func medians(mine []*sample) string {
	median := func(of func(*sample) float64) float64 {
		var values []float64
		for _, s := range mine {
			if s != nil {
				values = append(values, of(s))
			}
		}
		return quantile(values, 0.5)
	}
	return fmt.Sprintf("%5.1f us/request (user %4.1f)  p50 %5.0f us p99 %6.0f us  instance %4.1f us", median((*sample).perRequest),
		median(func(s *sample) float64 { return s.each(s.cpu.user) }), median(func(s *sample) float64 { return float64(s.p50.Microseconds()) }),
		median(func(s *sample) float64 { return float64(s.p99.Microseconds()) }), median(func(s *sample) float64 { return s.each(s.instance.total()) }))
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
