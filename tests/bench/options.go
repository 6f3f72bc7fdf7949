package main

import (
	"slices"
	"strings"
	"time"
)

// options of a run of the benchmark.
type options struct {
	bin    string
	rounds int
	length time.Duration
	quick  bool
	only   string
}

func (o *options) fill(bin string) {
	o.bin = bin
	if o.quick {
		o.rounds = min(o.rounds, 5)
	}
	if o.length <= 0 {
		if o.length = 2 * time.Second; o.quick {
			o.length = time.Second
		}
	}
}

func (o *options) wants(w *workload) bool {
	names := o.names(func(name string) bool {
		return slices.ContainsFunc(workloads(), func(w *workload) bool { return w.called(name) })
	})
	return len(names) == 0 && (!o.quick || w.quick) || slices.ContainsFunc(names, w.called)
}

// wantsFeature is about a feature of a workload that is wanted: one that is named, or all when none is.
func (o *options) wantsFeature(w *workload, name string) bool {
	names := o.names(func(name string) bool { return w.called(name) && name != w.name })
	return len(names) == 0 || slices.Contains(names, name)
}

func (o *options) wantsContender(name string) bool {
	names := o.names(func(name string) bool { return slices.Contains([]string{"haproxy", "caddy", "floor"}, name) })
	return name == "ancora" || name == "nginx" || len(names) == 0 && !o.quick || slices.Contains(names, name)
}

func (o *options) names(known func(string) bool) []string {
	return slices.DeleteFunc(strings.Split(o.only, ","), func(name string) bool { return !known(name) })
}
