package dataplane

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	configPoll = 2 * time.Second
	// configQuiet is how long a changed web.config must rest: tools write it in several steps.
	configQuiet = 200 * time.Millisecond
)

// watchConfig calls changed after each change of the folder's web.config, in any spelling, until ctx ends: by events,
// and by a slow poll where there are none.
func watchConfig(ctx context.Context, root string, changed func()) {
	events := make(<-chan fsnotify.Event)
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		defer watcher.Close()
		if watcher.Add(root) == nil {
			events = watcher.Events
		}
	}
	poll := time.NewTicker(configPoll)
	defer poll.Stop()
	seen := configStamp(root)
	look := func() {
		if now := configStamp(root); now != seen {
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
			} else if strings.EqualFold(filepath.Base(e.Name), "web.config") {
				quiet.Reset(configQuiet)
			}
		case <-quiet.C:
			look()
		case <-poll.C:
			look()
		}
	}
}

// stamp changes with every write and touch.
type stamp struct {
	name string
	size int64
	time time.Time
}

func configStamp(root string) stamp {
	dir, err := os.Open(root)
	if err != nil {
		return stamp{}
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if strings.EqualFold(name, "web.config") {
			if info, err := os.Stat(filepath.Join(root, name)); err == nil {
				return stamp{name, info.Size(), info.ModTime()}
			}
		}
	}
	return stamp{}
}
