package dataplane

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/datadir"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/shadow"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

// settleLimit is how long the end of the agent waits for old copies to be deleted; the next one goes on with that.
const settleLimit = 10 * time.Second

// disturbedLimit is how long files are searched for that an instance may have died of.
const disturbedLimit = 10 * time.Second

// copier gives the instances of an application copies of its folder.
type copier struct {
	copies *shadow.Copies
	from   shadow.Source
	who    account
	// without is told why an instance has no copy.
	without func(reason error)
}

// Take implements supervise.Copies. Where there can be no copies the instance runs from the folder.
func (c *copier) Take(ctx context.Context) (shadow.Copy, error) {
	have, err := c.copies.Take(ctx, c.from)
	if errors.Is(err, shadow.ErrPlace) {
		c.without(err)
		return shadow.Copy{}, nil
	}
	if err != nil {
		return shadow.Copy{}, err
	}
	if err := c.who.reaches(have.Path); err != nil {
		c.copies.Release(have)
		c.without(err)
		return shadow.Copy{}, nil
	}
	return have, nil
}

// Hold implements supervise.Copies.
func (c *copier) Hold(have shadow.Copy) { c.copies.Hold(c.from, have) }

// Release implements supervise.Copies.
func (c *copier) Release(have shadow.Copy) { c.copies.Release(have) }

// shadow lets instances run from copies where web.config says so; of others that die it says which files of theirs have changed.
// The lock is held.
func (s *Server) shadow(spec *app.Spec, who account, plan *launch.Plan) error {
	from := shadow.Source{Root: spec.Root, Owner: who.credential, Programs: plan.Copied()}
	spec.Pool.Disturbed = func(since time.Time) []string {
		ctx, cancel := context.WithTimeout(context.Background(), disturbedLimit)
		defer cancel()
		files, err := shadow.ChangedSince(ctx, from, since)
		if err != nil {
			s.log.Warn("the folder cannot be searched for changed files", "folder", from.Root, "error", err)
		}
		return files
	}
	if plan.Shadow == nil {
		return nil
	}
	copies, err := s.copiesIn(plan.Shadow)
	if err != nil {
		return err
	}
	name, path := spec.Pool.Site, spec.Pool.Application
	spec.Pool.Copies = &copier{copies, from, who, func(reason error) {
		s.log.Warn("an instance runs from the folder, without a copy", "site", name, "application", path, "error", reason)
		s.recordNewest(name, path, journal.Event{ID: journal.EventConfiguration, Message: "the instance runs from the folder, without a shadow copy", Reason: reason.Error()})
	}}
	return nil
}

// copiesIn gives the room for copies in a directory, of which there is one for all applications that use it.
func (s *Server) copiesIn(place *launch.Shadow) (*shadow.Copies, error) {
	dir := filepath.Join(place.Top, place.Path)
	if c := s.copies[dir]; c != nil {
		return c, nil
	}
	id, err := datadir.ID(s.config.DataDir)
	if err != nil {
		return nil, err
	}
	s.copies[dir] = shadow.New(shadow.Config{
		Top: place.Top, Path: place.Path, Clean: place.Clean, Agent: id,
		InUse: s.copiesInUse, Logger: s.log.Named("shadow"),
	})
	return s.copies[dir], nil
}

// settleCopies lets what is being deleted go, within reason.
func (s *Server) settleCopies() {
	ctx, cancel := context.WithTimeout(context.Background(), settleLimit)
	defer cancel()
	for _, c := range s.copies {
		c.Settle(ctx)
	}
}

// copiesInUse gives the copies that any process runs from, of this worker or of one before it.
func (s *Server) copiesInUse() (paths []string, sure bool) {
	sure = true
	for _, p := range s.config.Keeper.Processes() {
		path, known := supervise.CopyOf(p)
		if path != "" {
			paths = append(paths, path)
		}
		sure = sure && known
	}
	return paths, sure
}

// following is whose code is watched; live is the application's life.
type following struct {
	live   context.Context
	copier *copier
	end    context.CancelFunc
}

// followCode watches the folder of an application whose instances run from copies, as it is to run now. The lock is held.
func (s *Server) followCode(name string, a *runningApp) {
	f := &a.following
	next, _ := a.spec.Pool.Copies.(*copier)
	if next != nil && f.copier != nil && next.follows(f.copier) {
		return
	}
	if f.end != nil {
		f.end()
	}
	f.copier, f.end = next, nil
	if next == nil {
		return
	}
	ctx, end := context.WithCancel(f.live)
	f.end = end
	s.apps.Go(func() {
		next.copies.Watch(ctx, next.from, func(file string) { s.codeChanged(name, a.path, file) })
	})
}

// follows says that who watches for one need not for the other.
func (c *copier) follows(other *copier) bool {
	return c.copies == other.copies && c.from.Equal(other.from)
}

// codeChanged replaces what runs from a copy by what the folder holds now (SHC-3).
func (s *Server) codeChanged(name, path, file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.sites[name]
	if r == nil || r.apps[path] == nil {
		return
	}
	a := r.apps[path]
	s.log.Info("code has changed, instances are replaced", "site", name, "application", path, "file", file)
	s.apps.Go(func() {
		a.app.Record(journal.Event{
			ID: journal.EventRecycleFile, Message: "recycled", Reason: file + " has changed, the next instance runs from a new copy of the folder",
		})
	})
	a.app.Recycle()
}
