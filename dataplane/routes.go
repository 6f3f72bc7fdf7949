package dataplane

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/route"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// publish makes the routing table anew. Of two sites that claim one host name and path the older keeps it (D13).
func (s *Server) publish() {
	order := make([]*runningSite, 0, len(s.sites))
	for _, r := range s.sites {
		r.route = ""
		if r.site != nil {
			order = append(order, r)
		}
	}
	slices.SortFunc(order, func(a, b *runningSite) int { return age(a.site, b.site) })
	var entries []route.Entry
	var owners []*runningSite
	for _, r := range order {
		for _, e := range r.entries() {
			entries, owners = append(entries, e), append(owners, r)
		}
	}
	table, err := route.New(entries)
	for _, e := range unjoin(err) {
		if c, ok := errors.AsType[*route.Conflict](e); ok {
			loser := owners[c.Second]
			loser.route = fmt.Sprintf("route %s on listener %s is taken by site %s", cmp.Or(c.Entry.Hostname, "(default)")+c.Entry.Path, c.Entry.Listener, owners[c.First].name)
		} else {
			s.log.Error("route left out", "error", e)
		}
	}
	s.table.Store(table)
}

// age orders two sites: of two that claim one address the first keeps it.
func age(a, b *site.Site) int {
	return cmp.Or(a.CreateTime.Compare(b.CreateTime), cmp.Compare(a.Name, b.Name))
}

func byAge(sites []DesiredSite) []DesiredSite {
	return slices.SortedFunc(slices.Values(sites), func(a, b DesiredSite) int { return age(a.Site, b.Site) })
}

// reachable says why a revision would have no address here: a listener that is not declared or not bound, a route that an
// older site has. What runs is kept then.
func (s *Server) reachable(w *site.Site) error {
	if problem := s.unbound(w); problem != "" {
		return errors.New(problem)
	}
	for _, r := range s.sites {
		if r.name == w.Name || r.site == nil || age(r.site, w) > 0 {
			continue
		}
		if taken := common(r.site, w); taken != "" {
			return fmt.Errorf("route %s is taken by site %s", taken, r.name)
		}
	}
	return nil
}

// common gives an address that two sites claim both.
func common(a, b *site.Site) string {
	for _, x := range a.Bindings {
		for _, y := range b.Bindings {
			if x.Listener != y.Listener {
				continue
			}
			for _, name := range hostnames(x) {
				if !slices.ContainsFunc(hostnames(y), func(other string) bool { return strings.EqualFold(name, other) }) {
					continue
				}
				for _, p := range a.Applications {
					if slices.ContainsFunc(b.Applications, func(q site.Application) bool { return strings.EqualFold(p.Path, q.Path) }) {
						return fmt.Sprintf("%s%s on listener %s", cmp.Or(name, "(default)"), p.Path, x.Listener)
					}
				}
			}
		}
	}
	return ""
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func (r *runningSite) entries() []route.Entry {
	var all []route.Entry
	for _, b := range r.site.Bindings {
		names := b.Hostnames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, name := range names {
			for path, a := range r.apps {
				all = append(all, route.Entry{Listener: b.Listener, Hostname: name, Path: path, Door: &watchedDoor{a.app, r.observer}})
			}
		}
	}
	return all
}

// unbound says which listener of the site is not there.
func (s *Server) unbound(w *site.Site) string {
	for _, b := range w.Bindings {
		if problem := s.listeners.problem(b.Listener); problem != "" {
			return problem
		}
	}
	return ""
}
