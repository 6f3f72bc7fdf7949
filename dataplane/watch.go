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

const (
	configPoll = 2 * time.Second
	// configQuiet is how long a changed web.config must rest: tools write it in several steps.
	configQuiet = 200 * time.Millisecond
)

// watchConfig calls changed after each change of the folder's web.config, in any spelling, until ctx ends: by events,
// and by a slow poll where there are none.
func watchConfig(ctx context.Context, root string, changed func()) {
	ours := func(file string) bool { return strings.EqualFold(file, "web.config") }
	watch(ctx, []string{root}, ours, func() stamp { return configStamp(root) }, changed)
}

// watch calls changed after each change of what look sees, until ctx ends. It looks when files of dirs that are ours have
// rested after an event, and in a slow poll.
func watch[T comparable](ctx context.Context, dirs []string, ours func(file string) bool, look func() T, changed func()) {
	events := make(<-chan fsnotify.Event)
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		defer watcher.Close()
		for _, dir := range dirs {
			if watcher.Add(dir) == nil {
				events = watcher.Events
			}
		}
	}
	poll := time.NewTicker(configPoll)
	defer poll.Stop()
	seen := look()
	compare := func() {
		if now := look(); now != seen {
			seen = now
			changed()
		}
	}
	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, open := <-events:
			if !open {
				events = nil
			} else if ours(filepath.Base(e.Name)) {
				quiet.Reset(configQuiet)
			}
		case <-quiet.C:
			compare()
		case <-poll.C:
			compare()
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
