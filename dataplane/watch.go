package dataplane

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/ancora-fleet/ancora/dataplane/webconfig"
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
// and by a slow poll where there are none. A deployment writes more than web.config, in any order, and is let finish.
func watchConfig(ctx context.Context, root string, changed func()) {
	ours := func(file string) bool { return strings.EqualFold(file, "web.config") }
	watch(ctx, []string{root}, ours, deployment(), func() stamp { return configStamp(root) }, changed)
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
	name string
	size int64
	time time.Time
}

// configStamp looks at the file that would be read.
func configStamp(root string) stamp {
	file, err := webconfig.Find(root)
	if err != nil {
		return stamp{}
	}
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}
	}
	return stamp{file, info.Size(), info.ModTime()}
}
