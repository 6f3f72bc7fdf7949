package dataplane

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/goodconfig"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/regular"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// eventLimit is how long the keeper may take for an event.
const eventLimit = 10 * time.Second

// configLimit is the size of a web.config that is still read, in bytes.
const configLimit = 1 << 20

// readTexts reads the web.config files that an application's configuration is made of: those of the applications above it in
// the site, the highest first, and its own last. A folder above that this host does not allow leaves nothing: its own
// application is refused for it.
func (policy *Policy) readTexts(w *site.Site, a *site.Application, root string) (texts []goodconfig.File, problems webconfig.Errors) {
	read := func(path, folder string) {
		file, content, unreadable := configFile(folder)
		texts = append(texts, goodconfig.File{Path: path, Folder: folder, Name: file, Content: content})
		problems = append(problems, unreadable...)
	}
	for _, up := range ancestors(w, a.Path) {
		if folder, err := policy.allowedRoot(up.Root); err == nil {
			read(up.Path, folder)
		}
	}
	read(a.Path, root)
	return texts, problems
}

// parseTexts makes a configuration of the files of an application and those above it; nil when there is none.
func parseTexts(w *site.Site, a *site.Application, texts []goodconfig.File) (*webconfig.Config, error) {
	chain := make([]webconfig.Source, len(texts))
	for i, t := range texts {
		chain[i] = webconfig.Source{Path: t.Path, File: t.Name, Content: t.Content}
	}
	var under []string
	for i := range w.Applications {
		if path := w.Applications[i].Path; below(path, a.Path) {
			under = append(under, path)
		}
	}
	return webconfig.ParseChain(chain, under, a.Open...)
}

// ancestors are the applications above a path, the highest first.
func ancestors(w *site.Site, path string) []*site.Application {
	var all []*site.Application
	for i := range w.Applications {
		if up := &w.Applications[i]; below(path, up.Path) {
			all = append(all, up)
		}
	}
	slices.SortFunc(all, func(x, y *site.Application) int { return cmp.Compare(len(x.Path), len(y.Path)) })
	return all
}

// below says whether an application's path lies below another's, without regard to case.
func below(path, up string) bool {
	up = strings.TrimSuffix(up, "/") + "/"
	return len(path) > len(up) && strings.EqualFold(path[:len(up)], up)
}

// configFile gives path and content of a folder's web.config; without a path there is none.
func configFile(root string) (file string, content []byte, problems webconfig.Errors) {
	file, err := webconfig.Find(root)
	if err == nil {
		content, err = readBelow(root, filepath.Base(file))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil, nil
	case err != nil:
		file = cmp.Or(file, filepath.Join(root, "web.config"))
		return file, nil, webconfig.Errors{{File: file, Message: fmt.Sprintf("cannot be read: %v", unwrapPath(err))}}
	}
	return file, content, nil
}

// readBelow reads a web.config. It is the agent that reads, which may be root: a link out of the folder, which belongs to an
// application, would show that application any file of the host.
func readBelow(folder, name string) ([]byte, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return regular.ReadIn(root, name, configLimit)
}

// configChanged reads web.config again: what is good is a graceful recycle (CFG-1, a touch counts), of the application and of
// those below it (F05); what is broken keeps what runs and says where (D8). An application whose web.config said so does not
// take part (CFG-3), until the site is applied or recycled by an operator.
func (s *Server) configChanged(name, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.sites[name]
	if r == nil || r.apps[path] == nil {
		return
	}
	before := map[string]runningApp{}
	for p, a := range r.apps {
		switch {
		case p != path && !below(p, path):
		case a.pinned:
			s.log.Info("web.config changed, which disallowRotationOnConfigChange says to ignore", "site", name, "application", p)
		default:
			before[p] = *a
		}
	}
	if len(before) == 0 {
		return
	}
	for _, d := range s.desired.Sites {
		if d.Site.Name != name {
			continue
		}
		for _, old := range s.applySite(d) {
			s.retire(old, (*runningApp).ownDrain)
		}
	}
	for p, old := range before {
		a := r.apps[p]
		if a == nil || a.app != old.app || a.refused != "" || old.spec == nil || a.spec == old.spec {
			continue
		}
		same := a.serves(old.spec)
		if same && old.refused != "" {
			continue // what was broken and runs as before is not touched
		}
		s.apps.Go(func() {
			a.app.Record(journal.Event{ID: journal.EventRecycleConfig, Message: "recycled", Reason: "web.config was changed or touched"})
		})
		if same { // what starts in another way is being replaced already
			a.app.Recycle()
		}
	}
	s.publish()
	s.scheduleHealing()
	s.notify()
}

// serves says that an application's spec starts the same as an older one.
func (a *runningApp) serves(old *app.Spec) bool {
	return a.spec.Pool.Fingerprint == old.Pool.Fingerprint
}

// refused has an application say what is wrong with its web.config: to its visitors when nothing runs, and once, for each
// thing that is wrong, as an event.
func (s *Server) refused(name string, a *runningApp, why *app.Refusal) {
	a.app.Fail(why)
	if a.refused == why.Error() {
		return
	}
	a.refused = why.Error()
	events := []journal.Event{{ID: journal.EventConfigLoad, Message: "web.config cannot be used, answered with " + why.Code, Reason: a.refused}}
	switch {
	case a.spec != nil:
		events[0].Message = "web.config cannot be used, the application goes on as it is"
	case why.Start():
		events = []journal.Event{
			{ID: journal.EventStartAttemptFailed, Message: "an attempt to start failed", Reason: a.refused},
			{ID: journal.EventStartFailed, Message: "the application does not start, answered with " + why.Code, Reason: a.refused},
		}
	}
	s.apps.Go(func() { s.keepEvents(name, a, events) }) // the keeper is waited for without the lock
}

// keepEvents writes events of an application that may never have run: it gets a run for them then.
func (s *Server) keepEvents(name string, a *runningApp, events []journal.Event) {
	var lines []byte
	for _, e := range events {
		if !a.app.Record(e) {
			lines = append(append(lines, e.Encode()...), '\n')
		}
	}
	if lines == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), eventLimit)
	defer cancel()
	run, err := s.config.Journal.NextRun(name, a.path)
	if err == nil {
		err = s.config.Keeper.Append(ctx, capture.RunDir(Captures(s.config.DataDir), name, a.path, run), lines)
	}
	if err != nil {
		s.log.Warn("event not kept", "site", name, "application", a.path, "error", err)
	}
}
