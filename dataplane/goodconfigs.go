package dataplane

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/goodconfig"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// keepAgain is when what could not be kept on disk is tried again.
const keepAgain = 30 * time.Second

// pinned gives the files that count instead of those that are there, for an application whose web.config says that changes
// do not concern it (CFG-3): those it has, until its site is applied in another revision or recycled by an operator, also over
// the end of a worker, which its process outlives. nil: those that are there count.
func (c candidate) pinned(running *runningApp, there []goodconfig.File) []goodconfig.File {
	switch {
	case running != nil && running.spec != nil:
		of := running.spec
		if of.Pinned && of.Pool.Revision == c.revision && of.Pool.Epoch == c.epoch && goodconfig.SamePlaces(of.Texts, there) {
			return of.Texts
		}
	case c.survived():
		record, err := c.good.Load(c.site.Name, c.application.Path)
		if err != nil || record.Revision != c.revision || record.Epoch != c.epoch || !goodconfig.SamePlaces(record.Files, there) {
			return nil
		}
		if spec, _, err := c.resolveBy(record.Files); err == nil && spec.Pinned {
			return record.Files
		}
	}
	return nil
}

// survived says that a process of the application has outlived the worker that started it.
func (c candidate) survived() bool {
	for _, p := range c.orphans {
		if id := p.Identity(); id.Site == c.site.Name && id.Application == c.application.Path && alive(p) {
			return true
		}
	}
	return false
}

// alive says whether a process lives, or one that it has left behind.
func alive(p *process.Process) bool {
	select {
	case <-p.Done():
		members, err := p.Members()
		return err == nil && len(members) > 0
	default:
		return true
	}
}

// lastGood says how an application is to run whose web.config is refused, by the files that it ran with before this worker;
// nil: it goes on as it is, or it does not run. A file that was removed is not broken, and what a file wants to be closed is not
// opened by an older one.
func (c candidate) lastGood(running *runningApp, why *refusal) (*app.Spec, []webconfig.Note) {
	if running != nil && running.spec != nil && running.root == why.root || why.closes() {
		return nil, nil
	}
	record, err := c.good.Load(c.site.Name, c.application.Path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn("the last good web.config cannot be read", "site", c.site.Name, "application", c.application.Path, "error", err)
		}
		return nil, nil
	}
	there, _ := c.policy.readTexts(c.site, c.application, why.root)
	if !goodconfig.SamePlaces(record.Files, there) || removed(record.Files, there) {
		return nil, nil
	}
	spec, p, err := c.resolveBy(record.Files)
	if err != nil {
		return nil, nil
	}
	c.log.Info("the last good web.config counts", "site", c.site.Name, "application", c.application.Path)
	return spec, p.Notes
}

// removed says that the application's own file is not there any more.
func removed(before, there []goodconfig.File) bool {
	last := len(there) - 1
	return before[last].Name != "" && there[last].Name == ""
}

// closes says that the file keeps visitors out in a way that is not enforced.
func (r *refusal) closes() bool {
	problems, ok := errors.AsType[webconfig.Errors](r.Err)
	return ok && problems.Closes()
}

// keepConfigs keeps on disk what applications run with, until ctx ends.
func (s *Server) keepConfigs(ctx context.Context) {
	changes := s.Subscribe(ctx)
	again := time.NewTimer(keepAgain)
	defer again.Stop()
	for {
		wake := changes
		if !s.keepCurrent() { // a disk that is full is not asked with every change
			wake = nil
			again.Reset(keepAgain)
		}
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-again.C:
		}
	}
}

// keeping is an application whose files on disk may have to be replaced.
type keeping struct {
	site  string
	app   *runningApp
	spec  *app.Spec
	ready bool
}

// keepCurrent keeps the files of each application that has run, and drops those of applications that are gone; false: some
// could not be kept. An application that has never had an instance that was ready has no last good files.
func (s *Server) keepCurrent() bool {
	s.keepMu.Lock()
	defer s.keepMu.Unlock()
	due, wanted := s.toKeep()
	whole := true
	for _, k := range due {
		record := goodconfig.Record{Revision: k.spec.Pool.Revision, Epoch: k.spec.Pool.Epoch, Files: k.spec.Texts}
		before, err := s.good.Load(k.site, k.app.path)
		missing := err != nil
		if missing && !k.ready {
			s.mu.Lock()
			k.app.absent = k.spec
			s.mu.Unlock()
			continue
		}
		if missing || !before.Equal(record) {
			if err := s.good.Save(k.site, k.app.path, record); err != nil {
				s.log.Warn("web.config is not kept: should it be broken when the worker starts, the application does not run",
					"site", k.site, "application", k.app.path, "error", err)
				whole = false
				continue
			}
		}
		s.mu.Lock()
		k.app.kept = k.spec
		s.mu.Unlock()
	}
	if wanted != nil {
		if err := s.good.Sweep(wanted); err != nil {
			s.log.Warn("web.config of an application that is gone is still kept", "error", err)
		}
	}
	return whole
}

// toKeep gives what may have to be kept, and the applications of each site if there may be others on disk.
func (s *Server) toKeep() (due []keeping, wanted map[string][]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first { // nothing is known yet
		return nil, nil
	}
	for name, r := range s.sites {
		for _, a := range r.apps {
			if spec, ready := a.app.Current(); spec != nil && spec.Texts != nil && a.kept != spec && (ready || a.absent != spec) {
				due = append(due, keeping{name, a, spec, ready})
			}
		}
	}
	if !s.sweepConfigs {
		return due, nil
	}
	s.sweepConfigs = false
	wanted = map[string][]string{}
	for _, d := range s.desired.Sites {
		for _, w := range []*site.Site{d.Site, d.LastGood} { // either may be what is to run
			if w != nil {
				for i := range w.Applications {
					wanted[d.Site.Name] = append(wanted[d.Site.Name], w.Applications[i].Path)
				}
			}
		}
		if r := s.sites[d.Site.Name]; r != nil {
			wanted[d.Site.Name] = slices.AppendSeq(wanted[d.Site.Name], maps.Keys(r.apps))
		}
	}
	return due, wanted
}

// goodConfigs is where they are kept below a data directory.
func goodConfigs(dataDir string) string { return filepath.Join(dataDir, "webconfigs") }
