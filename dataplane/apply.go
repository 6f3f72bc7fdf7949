package dataplane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

// runningSite is a site as it runs here: the revision that is served, and what became of the one that is wanted.
type runningSite struct {
	name         string
	site         *site.Site // what runs
	revision     int64
	apps         map[string]*runningApp
	observer     *observer
	notes        []string
	certificates []*certificates // one for each binding, nil without TLS
	ends         atomic.Int64    // the first end of them, in seconds of Unix time
	watched      []string        // their files
	endWatch     context.CancelFunc
	// rejected is why the wanted revision does not run; empty: it does.
	rejected string
	// told is what of it was logged, with the revision.
	told string
	// route is why it has no route, although it could run.
	route string
}

type runningApp struct {
	path, root      string
	app             *app.App
	drain, shutdown time.Duration
	pinned          bool               // changes of web.config do not concern it
	cancel          context.CancelFunc // of its watchers
	spec            *app.Spec          // the newest it was given
	following       following          // whose code is watched
	kept            *app.Spec          // whose files are kept on disk; of absent is none, and it has not run yet
	absent          *app.Spec
	// refused is what is wrong with the web.config that is there now; empty: nothing.
	refused string
}

func (a *runningApp) ownDrain() time.Duration { return a.drain }

// Apply makes the running set equal to d, as soon as Run has begun. It returns at once; what came of it is told by Snapshot. The
// first time what runs already is adopted, and what nobody wants is ended.
func (s *Server) Apply(d Desired) {
	s.mu.Lock()
	s.desired, s.wanted = d, true
	s.healIn = healFirst
	s.applyLocked()
	s.mu.Unlock()
	s.notify()
	s.poke()
}

// applyLocked builds first, publishes the table, and retires last what was replaced.
func (s *Server) applyLocked() {
	if s.ended || !s.running || !s.wanted {
		return
	}
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
	s.sweepConfigs = true
	s.endOrphans()
	s.publish()
	s.listeners.serve()
	s.applyNotices()
	for _, r := range gone {
		s.retire(r, (*runningApp).ownDrain)
	}
	s.scheduleHealing()
}

// applySite makes one site run as wanted; what it gives back is to be retired once the table is published. A revision
// that cannot run leaves what runs, or the last good one after a restart.
func (s *Server) applySite(d DesiredSite) (replaced []*runningSite) {
	r := s.sites[d.Site.Name]
	if r == nil {
		r = &runningSite{name: d.Site.Name, apps: map[string]*runningApp{}, observer: newObserver()}
		s.sites[d.Site.Name] = r
	}
	found, err := s.prepare(r, d.Site, d.Revision, d.RecycleEpoch)
	if away := s.reachable(d.Site); away != nil {
		found.others = true
		err = errors.Join(err, away)
	}
	if err == nil {
		r.rejected, r.told = "", ""
		return s.run(r, d.Site, d.Revision, found)
	}
	r.rejected = err.Error()
	if told := fmt.Sprint(d.Revision, " ", r.rejected); told != r.told { // it is looked at again and again
		r.told = told
		s.log.Warn("site rejected", "site", d.Site.Name, "revision", d.Revision, "error", err)
	}
	if r.site == nil && d.LastGood != nil {
		if good, err := s.prepare(r, d.LastGood, d.LastGoodRevision, d.RecycleEpoch); err == nil || good.runs(d.LastGood) {
			return s.run(r, d.LastGood, d.LastGoodRevision, good)
		}
	}
	if !found.others && (r.site == nil || r.revision == d.Revision) {
		return s.run(r, d.Site, d.Revision, found) // a web.config that is wrong concerns its application only
	}
	return nil
}

// prepare reads all that a site needs of this host.
func (s *Server) prepare(r *runningSite, w *site.Site, revision, epoch int64) (*resolution, error) {
	found, err := s.resolve(r, w, revision, epoch)
	if found.others {
		return found, err
	}
	certificates, problem := s.readCertificates(r, w)
	found.certificates, found.others = certificates, problem != nil
	return found, errors.Join(err, problem)
}

// run makes the applications of a site what was found. An application whose folder moved is a new one, because what
// watches the folder belongs to it. One whose web.config cannot be used goes on as it is, or says so to its visitors.
func (s *Server) run(r *runningSite, wanted *site.Site, revision int64, found *resolution) []*runningSite {
	r.notes = found.notes
	s.secureWith(r, found.certificates)
	gone := &runningSite{name: r.name, apps: map[string]*runningApp{}}
	for path, a := range r.apps {
		if found.rootOf(path) != a.root {
			gone.apps[path] = a
			delete(r.apps, path)
		}
	}
	for path, spec := range found.specs {
		spec.Pool.Meter = r.observer.meter.Application(path)
		a := r.apps[path]
		if a == nil {
			a = s.newApp(wanted, path, spec.Root)
			r.apps[path] = a
		}
		a.drain, a.shutdown, a.pinned = spec.Drain, spec.Pool.Shutdown, spec.Pinned
		a.spec, a.refused = spec, ""
		if found := s.found(r.name, path); a.app.Update(spec, found...) {
			s.orphans = slices.DeleteFunc(s.orphans, func(p *process.Process) bool { return slices.Contains(found, p) })
		}
		s.followCode(r.name, a)
	}
	for path, refused := range found.refused {
		a := r.apps[path]
		if a == nil {
			a = s.newApp(wanted, path, refused.root)
			r.apps[path] = a
		}
		s.refused(r.name, a, refused.Refusal)
	}
	r.site, r.revision = wanted, revision
	s.logAccess(r, wanted.AccessLog)
	if len(gone.apps) == 0 {
		return nil
	}
	return []*runningSite{gone}
}

// runs says that all applications of a site can run, if some with the web.config they had before.
func (f *resolution) runs(w *site.Site) bool { return !f.others && len(f.specs) == len(w.Applications) }

// rootOf gives the folder of an application; empty: it is not there.
func (f *resolution) rootOf(path string) string {
	if spec := f.specs[path]; spec != nil {
		return spec.Root
	}
	return f.refused[path].root
}

// newApp makes an application of a site, whose folder is root with symbolic links resolved.
func (s *Server) newApp(of *site.Site, path, root string) *runningApp {
	name, written := of.Name, root
	if i := slices.IndexFunc(of.Applications, func(a site.Application) bool { return a.Path == path }); i >= 0 {
		written = of.Applications[i].Root
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &runningApp{path: path, root: root, cancel: cancel, following: following{live: ctx}}
	a.app = app.New(name, path, a.root, s.log.Named("app"), s.notify)
	a.app.SetNotices(s.desired.Notices)
	s.apps.Go(func() { a.app.Run(ctx) })
	s.apps.Go(func() { watchConfig(ctx, written, a.root, func() { s.configChanged(name, path) }) })
	return a
}

// found gives the processes that an earlier worker started for an application.
func (s *Server) found(name, path string) (all []*process.Process) {
	for _, p := range s.orphans {
		if id := p.Identity(); id.Site == name && id.Application == path {
			all = append(all, p)
		}
	}
	return all
}

// endOrphans ends what no application has adopted: nothing runs that nobody wants. What belongs to a site that cannot run as this
// host is at the moment waits for it, as it would have gone on had its worker not been lost.
func (s *Server) endOrphans() {
	if !s.first && s.orphans == nil {
		return
	}
	s.first = false
	var waiting []*process.Process
	for _, p := range s.orphans {
		if r := s.sites[p.Identity().Site]; r != nil && r.site == nil && !s.ended {
			waiting = append(waiting, p)
			continue
		}
		s.log.Info("instance not wanted any more", "site", p.Identity().Site, "application", p.Identity().Application, "run", p.Identity().Run, "pid", p.Pid())
		s.closing.Go(func() {
			if err := supervise.End(p); err != nil {
				s.log.Error("instance not ended", "pid", p.Pid(), "error", err)
			}
		})
	}
	if s.orphans = waiting; waiting == nil {
		s.outputs.Resume()
	}
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

// shutdown gives the longest limit of the site's applications.
func (r *runningSite) shutdown() time.Duration {
	var longest time.Duration
	for _, a := range r.apps {
		longest = max(longest, a.shutdown)
	}
	return longest
}
