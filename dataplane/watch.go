package dataplane

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const slowPoll = 2 * time.Second

// rest is when what has changed is looked at: tools write files in several steps.
type rest struct {
	quiet, most time.Duration // after so long without an event, and after so long with more of them
	all         bool          // events of all files in the directories count, once one of ours has changed
}

// deployment is how long one is let go on (CFG-1): until the folder has been quiet for a second, or for half a minute.
func deployment() rest { return rest{quiet: time.Second, most: 30 * time.Second, all: true} }

// watchConfig calls changed after each change of the folder's web.config, in any spelling, until ctx ends: by events,
// and by a slow poll where there are none. A deployment writes more than web.config, in any order, and is let finish. written is
// the folder as the site spells it: where that is a link that leads elsewhere now, there is another web.config.
func watchConfig(ctx context.Context, written, root string, changed func()) {
	ours := func(file string) bool { return strings.EqualFold(file, "web.config") }
	watch(ctx, []string{root}, ours, deployment(), func() stamp { return configStamp(written, root) }, changed)
}

// watch calls changed after each change of what look sees, until ctx ends. It looks when files of dirs that are ours have
// rested after an event, and in a slow poll.
func watch[T comparable](ctx context.Context, dirs []string, ours func(file string) bool, r rest, look func() T, changed func()) {
	events := make(<-chan fsnotify.Event)
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		defer watcher.Close()
		for _, dir := range dirs {
			if watcher.Add(dir) == nil {
				events = watcher.Events
			}
		}
	}
	follow(ctx, events, ours, r, look, changed)
}

// follow is watch with the events as they come.
func follow[T comparable](ctx context.Context, events <-chan fsnotify.Event, ours func(file string) bool, r rest, look func() T, changed func()) {
	poll := time.NewTicker(slowPoll)
	defer poll.Stop()
	seen := look()
	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	var since time.Time // when it began to change; zero: it does not
	stir := func() {
		if since.IsZero() {
			since = time.Now()
		}
		quiet.Reset(max(min(r.quiet, time.Until(since.Add(r.most))), 0))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case e, open := <-events:
			if !open {
				events = nil
			} else if ours(filepath.Base(e.Name)) || r.all && !since.IsZero() {
				stir()
			}
		case <-poll.C:
			if since.IsZero() && look() != seen { // without an event
				stir()
			}
		case <-quiet.C:
			since = time.Time{}
			if now := look(); now != seen {
				seen = now
				changed()
			}
		}
	}
}

// stamp changes with every write and touch.
type stamp struct {
	leads string // the folder, symbolic links resolved
	name  string
	time  time.Time
	size  int64
	// content is a digest: files of builds that give all of them the same time may have the same length as well.
	content [sha256.Size]byte
}

// configStamp looks at the file that would be read.
func configStamp(written, root string) stamp {
	leads, err := filepath.EvalSymlinks(written)
	s := stamp{leads: leads}
	if err != nil {
		s.leads = root // a link that is being replaced
	}
	file, content, _ := configFile(root)
	if info, err := os.Stat(file); err == nil {
		s.name, s.time, s.size, s.content = file, info.ModTime(), info.Size(), sha256.Sum256(content)
	}
	return s
}
