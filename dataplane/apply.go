package dataplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/route"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// runningSite is a site as it runs here: the revision that is served, and what became of the one that is wanted.
type runningSite struct {
	name     string
	site     *site.Site // what runs
	revision int64
	apps     map[string]*runningApp
	notes    []string
	// rejected is why the wanted revision does not run; empty: it does.
	rejected string
	// route is why it has no route, although it could run.
	route string
}

type runningApp struct {
	path, root string
	app        *app.App
	shutdown   time.Duration
	cancel     context.CancelFunc // of its watchers
}

// Apply makes the running set equal to d. It returns at once; what came of it is told by Snapshot. The first call adopts
// what runs already and ends what nobody wants.
func (s *Server) Apply(d Desired) {
	s.mu.Lock()
	s.desired = d
	s.healIn = healFirst
	s.applyLocked()
	s.mu.Unlock()
	s.notify()
	s.poke()
}

// applyLocked builds first, publishes the table, and retires last what was replaced.
func (s *Server) applyLocked() {
	wanted := map[string]bool{}
	var gone []*runningSite
	s.listeners.reopen(s.policy)
	for _, d := range byAge(s.desired.Sites) {
		wanted[d.Site.Name] = true
		gone = append(gone, s.applySite(d)...)
	}
	for name, r := range s.sites {
		if !wanted[name] {
			delete(s.sites, name)
			gone = append(gone, r)
		}
	}
	s.endOrphans()
	s.publish()
	s.listeners.serve()
	s.applyNotices()
	for _, r := range gone {
		s.retire(r, drainLimit)
	}
	s.scheduleHealing()
}

// applySite makes one site run as wanted; what it gives back is to be retired once the table is published. A revision
// that cannot run leaves what runs, or the last good one after a restart.
func (s *Server) applySite(d DesiredSite) (replaced []*runningSite) {
	r := s.sites[d.Site.Name]
	if r == nil {
		r = &runningSite{name: d.Site.Name, apps: map[string]*runningApp{}}
		s.sites[d.Site.Name] = r
	}
	specs, notes, err := s.resolve(d.Site, d.Revision, d.RecycleEpoch)
	if err == nil {
		err = s.reachable(d.Site)
	}
	if err == nil {
		r.rejected, r.notes = "", notes
		return s.run(r, d.Site, d.Revision, specs)
	}
	r.rejected = err.Error()
	s.log.Warn("site rejected", "site", d.Site.Name, "revision", d.Revision, "error", err)
	if r.site == nil && d.LastGood != nil {
		if specs, notes, err := s.resolve(d.LastGood, d.LastGoodRevision, d.RecycleEpoch); err == nil {
			r.notes = notes
			return s.run(r, d.LastGood, d.LastGoodRevision, specs)
		}
	}
	return nil
}

// run makes the applications of a site those of specs. An application whose folder moved is a new one, because what
// watches the folder belongs to it.
func (s *Server) run(r *runningSite, wanted *site.Site, revision int64, specs map[string]*app.Spec) []*runningSite {
	gone := &runningSite{name: r.name, apps: map[string]*runningApp{}}
	for path, a := range r.apps {
		spec := specs[path]
		if spec == nil || spec.Pool.Dir != a.root {
			gone.apps[path] = a
			delete(r.apps, path)
		}
	}
	for path, spec := range specs {
		a := r.apps[path]
		if a == nil {
			a = s.newApp(r.name, path, spec)
			r.apps[path] = a
		}
		a.shutdown = spec.Pool.Shutdown
		a.app.Update(spec)
		s.adopt(r.name, path, a.app)
	}
	r.site, r.revision = wanted, revision
	if len(gone.apps) == 0 {
		return nil
	}
	return []*runningSite{gone}
}

func (s *Server) newApp(name, path string, spec *app.Spec) *runningApp {
	ctx, cancel := context.WithCancel(context.Background())
	a := &runningApp{path: path, root: spec.Pool.Dir, cancel: cancel}
	a.app = app.New(name, path, a.root, s.log.Named("app"), s.notify)
	a.app.SetNotices(s.desired.Notices)
	s.apps.Go(func() { a.app.Run(ctx) })
	s.apps.Go(func() { watchConfig(ctx, a.root, func() { s.configChanged(name, path) }) })
	return a
}

// configChanged reads web.config again: what is good is a graceful recycle (CFG-1, a touch counts), what is broken keeps
// what runs and says where (D8).
func (s *Server) configChanged(name, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.sites[name]
	if r == nil || r.apps[path] == nil {
		return
	}
	for _, d := range s.desired.Sites {
		if d.Site.Name != name {
			continue
		}
		before := r.rejected
		for _, old := range s.applySite(d) {
			s.retire(old, drainLimit)
		}
		if r.rejected == "" && before == "" {
			if a := r.apps[path]; a != nil {
				a.app.Recycle()
			}
		}
	}
	s.publish()
	s.scheduleHealing()
	s.notify()
}

// adopt gives an application the processes that an earlier worker started for it.
func (s *Server) adopt(name, path string, a *app.App) {
	kept := s.orphans[:0]
	for _, p := range s.orphans {
		id := p.Identity()
		if id.Site == name && id.Application == path && alive(p.Done()) && a.Adopt(p) {
			s.log.Info("instance adopted", "site", name, "application", path, "instance", id.Instance, "run", id.Run, "pid", p.Pid())
			continue
		}
		kept = append(kept, p)
	}
	s.orphans = kept
}

func alive(done <-chan struct{}) bool {
	select {
	case <-done:
		return false
	default:
		return true
	}
}

// endOrphans ends what the first Apply did not adopt: nothing runs that nobody wants.
func (s *Server) endOrphans() {
	if !s.first {
		return
	}
	s.first = false
	for _, p := range s.orphans {
		s.closing.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			s.log.Info("instance not wanted any more", "site", p.Identity().Site, "application", p.Identity().Application, "run", p.Identity().Run, "pid", p.Pid())
			if err := p.Forget(ctx); err != nil {
				s.log.Error("instance not ended", "pid", p.Pid(), "error", err)
			}
		})
	}
	s.orphans = nil
}

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
				all = append(all, route.Entry{Listener: b.Listener, Hostname: name, Path: path, Door: a.app})
			}
		}
	}
	return all
}

// scheduleHealing looks again at what the host itself stands in the way of.
func (s *Server) scheduleHealing() {
	s.healAt = time.Time{}
	for _, r := range s.sites {
		if r.rejected != "" || r.site != nil && s.unbound(r.site) != "" {
			s.healAt = time.Now().Add(s.healIn)
			s.poke()
			return
		}
	}
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

// shutdown gives the longest limit of the site's applications.
func (r *runningSite) shutdown() time.Duration {
	var longest time.Duration
	for _, a := range r.apps {
		longest = max(longest, a.shutdown)
	}
	return longest
}
