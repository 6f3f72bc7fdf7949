package journal

import (
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

const pollInterval = 250 * time.Millisecond

// watcher wakes a reader that follows. Without file events (no inotify left) there is still the poll: a nil fs then.
type watcher struct {
	fs   *fsnotify.Watcher
	seen map[string]bool
}

func newWatcher() *watcher {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		fs = nil
	}
	return &watcher{fs: fs, seen: map[string]bool{}}
}

func (w *watcher) close() {
	if w != nil && w.fs != nil {
		w.fs.Close()
	}
}

func (w *watcher) changed() <-chan fsnotify.Event {
	if w.fs == nil {
		return nil
	}
	return w.fs.Events
}

// follow watches the directories in which something may begin, and the marks of runs that go on. It also takes events
// that wait already: what they tell is about to be read.
func (w *watcher) follow(r *reader) {
	if w.fs == nil {
		return
	}
	want := map[string]bool{
		r.journal.root: true,
		filepath.Join(r.journal.root, r.query.Site): true,
	}
	for path, a := range r.apps {
		want[capture.AppDir(r.journal.root, r.query.Site, path)] = true
		for _, s := range a.sources {
			want[filepath.Join(capture.RunDir(r.journal.root, s.site, s.app, s.runKey.run), capture.MarksFile)] = true
		}
	}
	for path := range w.seen {
		if !want[path] {
			_ = w.fs.Remove(path)
			delete(w.seen, path)
		}
	}
	for path := range want {
		if !w.seen[path] && w.fs.Add(path) == nil {
			w.seen[path] = true
		}
	}
}
