package dataplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// write is one of a file of the folder, so long after the one before it; a touch makes a new version of the file there.
type write struct {
	after time.Duration
	file  string
	quiet bool // without an event, as on a file system that tells of nothing
}

// every gives a write of a file each so often, n times.
func every(d time.Duration, n int, file string) []write {
	all := make([]write, n)
	for i := range all {
		all[i] = write{after: d, file: file}
	}
	return all
}

// A change of web.config counts when the folder has been quiet for 1 s, and after 30 s at the latest, however long it goes on:
// from the first write of web.config itself. What rests at last counts too.
func TestConfigRests(t *testing.T) {
	const config, other = "web.config", "app.dll"
	for name, c := range map[string]struct {
		writes []write
		want   string // when changed is called, after the begin
	}{
		"one write":                        {[]write{{0, config, false}}, "[1s]"},
		"in any case":                      {[]write{{0, "Web.Config", false}}, "[1s]"},
		"two within a second":              {[]write{{0, config, false}, {900 * time.Millisecond, config, false}}, "[1.9s]"},
		"two apart":                        {[]write{{0, config, false}, {5 * time.Second, config, false}}, "[1s 6s]"},
		"other files alone":                {every(500*time.Millisecond, 100, other), "[]"},
		"other files after it":             {append([]write{{0, config, false}}, every(500*time.Millisecond, 10, other)...), "[6s]"},
		"other files before it":            {append(every(500*time.Millisecond, 10, other), write{100 * time.Millisecond, config, false}), "[6.1s]"},
		"it never rests":                   {append([]write{{0, config, false}}, every(700*time.Millisecond, 150, config)...), "[30s 1m0.1s 1m30.2s 1m46s]"},
		"the folder never rests":           {append([]write{{0, config, false}}, every(700*time.Millisecond, 150, other)...), "[30s]"},
		"it rests just before that":        {append([]write{{0, config, false}}, every(900*time.Millisecond, 32, config)...), "[29.8s]"},
		"without events, by the slow poll": {[]write{{0, config, true}}, "[3s]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				events, done := make(chan fsnotify.Event), make(chan struct{})
				begin := time.Now()
				var version atomic.Int64
				var called []time.Duration
				go func() {
					defer close(done)
					ours := func(file string) bool { return strings.EqualFold(file, config) }
					follow(ctx, events, ours, deployment(), version.Load, func() { called = append(called, time.Since(begin)) })
				}()
				synctest.Wait()
				for _, w := range c.writes {
					time.Sleep(w.after)
					synctest.Wait()
					if w.file != other {
						version.Add(1)
					}
					if !w.quiet {
						events <- fsnotify.Event{Name: "/srv/" + w.file, Op: fsnotify.Write}
					}
				}
				time.Sleep(time.Minute)
				cancel()
				<-done
				if got := fmt.Sprint(called); got != c.want {
					t.Errorf("it counts after %s, want %s", got, c.want)
				}
			})
		})
	}
}

// A file of the same time and length has changed when it says something else, and a link that leads to another folder has
// another file; a link that is gone for the moment has none yet.
func TestConfigStamp(t *testing.T) {
	dir := t.TempDir()
	put := func(folder, text string) {
		file := filepath.Join(dir, folder, "web.config")
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644), os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0))); err != nil {
			t.Fatal(err)
		}
	}
	link, one := filepath.Join(dir, "current"), filepath.Join(dir, "one")
	lead := func(to string) {
		if err := errors.Join(os.RemoveAll(link), os.Symlink(to, link)); err != nil {
			t.Fatal(err)
		}
	}
	look := func() stamp { return configStamp(link, one) }
	put("one", "10")
	put("two", "10")
	lead("one")
	before := look()
	if again := look(); again != before {
		t.Errorf("%v, then %v", before, again)
	}
	put("one", "20")
	if now := look(); now == before {
		t.Errorf("another content is not seen: %v", now)
	}
	put("one", "10")
	lead("two")
	if now := look(); now == before {
		t.Errorf("another folder is not seen: %v", now)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if now := look(); now != before {
		t.Errorf("a missing link counts: %v", now)
	}
}
