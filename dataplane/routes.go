package dataplane

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/route"
	"github.com/ancora-fleet/ancora/dataplane/secure"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// publish makes the routing table anew. Of two sites that claim one host name and path the older keeps it (D13).
func (s *Server) publish() {
	order := make([]*runningSite, 0, len(s.sites))
	for _, r := range s.sites {
		if r.route = ""; r.site != nil {
			order = append(order, r)
		}
	}
	slices.SortFunc(order, func(a, b *runningSite) int { return age(a.site, b.site) })
	var entries []route.Entry
	var owners, served []*runningSite
	tables := map[string][]secure.Entry{}
	for _, r := range order {
		if r.route = disagreement(served, r.site); r.route != "" {
			continue
		}
		served = append(served, r)
		for i, b := range r.site.Bindings {
			for _, name := range hostnames(b) {
				if b.TLS != nil {
					tables[b.Listener] = append(tables[b.Listener], secure.Entry{Hostname: name, Binding: r.certificates[i].files.Binding})
				}
			}
		}
		for _, e := range s.entries(r) {
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
	secured := map[string]*secure.Table{}
	for listener, entries := range tables {
		secured[listener] = secure.New(entries)
	}
	s.listeners.secure(secured, func() { s.table.Store(table) })
}

// disagreement says what of a site's TLS does not go together with that of older sites: a listener has TLS or has not, and a
// hostname has one set of certificates and asks one thing of clients, since that is settled before a path is known.
func disagreement(older []*runningSite, w *site.Site) string {
	for _, r := range older {
		for _, x := range r.site.Bindings {
			for _, y := range w.Bindings {
				if x.Listener != y.Listener {
					continue
				}
				if (x.TLS == nil) != (y.TLS == nil) {
					kind := map[bool]string{true: "without TLS", false: "with TLS"}[x.TLS == nil]
					return fmt.Sprintf("listener %s is used %s by site %s", x.Listener, kind, r.name)
				}
				if name, shared := sharedName(x, y); shared && !reflect.DeepEqual(x.TLS, y.TLS) {
					return fmt.Sprintf("hostname %s on listener %s has other certificates, or another clientCert, in site %s", cmp.Or(name, "(default)"), x.Listener, r.name)
				}
			}
		}
	}
	return ""
}

// sharedName gives a hostname that two bindings have both.
func sharedName(x, y site.Binding) (string, bool) {
	for _, name := range hostnames(x) {
		if slices.ContainsFunc(hostnames(y), func(other string) bool { return strings.EqualFold(name, other) }) {
			return name, true
		}
	}
	return "", false
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
		if problem := disagreement([]*runningSite{r}, w); problem != "" {
			return errors.New(problem)
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

func (s *Server) entries(r *runningSite) []route.Entry {
	var all []route.Entry
	for _, b := range r.site.Bindings {
		for _, name := range hostnames(b) {
			for path, a := range r.apps {
				door := forward.Door(&watchedDoor{a.app, r.observer})
				if target := site.Target(r.site.Bindings, name); target != nil && b.Redirect != "" {
					door = &redirectDoor{&watchedDoor{a.app, r.observer}, portOf(s.listeners.address(target.Listener))}
				}
				all = append(all, route.Entry{Listener: b.Listener, Hostname: name, Path: path, Door: door})
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
