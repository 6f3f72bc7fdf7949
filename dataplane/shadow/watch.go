package shadow

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing must have changed before a change is told (SHC-3); most is how long that is waited for.
	quiet = 5 * time.Second
	most  = 60 * time.Second
	// pollFirst is how often the folder is looked at where there are no events. A look at a large folder takes its time: it has
	// pollShare of it at most, and pollMost is how rarely it is looked at then.
	pollFirst = 2 * time.Second
	pollMost  = time.Minute
	pollShare = 50
)

// Watch calls changed with the name of a file when code of the folder is other than in its newest copy, once it has been quiet for
// 5 s, or after 60 s, until ctx ends. It says so once for each state of the folder. Without a copy there is nothing to tell: who
// takes one gets what is there.
func (c *Copies) Watch(ctx context.Context, from Source, changed func(file string)) {
	events := make(<-chan fsnotify.Event)
	watcher, err := fsnotify.NewWatcher()
	if err == nil {
		defer watcher.Close()
		events = watcher.Events
	}
	w := &watching{copies: c, from: from, changed: changed}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e, open := <-events:
			switch {
			case !open:
				events = nil
			case Code(e.Name):
				w.heard = true
				timer.Reset(w.stir(time.Now()))
			}
			continue
		case <-timer.C:
		}
		c.renew(time.Now())
		now, took, ok := w.look(ctx)
		if ok && watcher != nil {
			for _, dir := range now.dirs {
				_ = watcher.Add(dir) // one that cannot be watched is polled
			}
		}
		wait := w.step(now, ok, time.Now())
		timer.Reset(max(wait, min(took*pollShare, pollMost)))
	}
}

// watching is what is known of a folder that is watched.
type watching struct {
	copies  *Copies
	from    Source
	changed func(file string)

	last  look      // what was seen last
	since time.Time // when it began to differ from the copy; zero: it does not
	rest  time.Time // since when it is as it was seen last
	heard bool      // of that by events, which say when it rests
	told  string    // the code that was told of
}

// stir notes that something is being written, and says when to look.
func (w *watching) stir(now time.Time) time.Duration {
	if w.since.IsZero() {
		w.since = now
	}
	w.rest = now
	return max(min(quiet, w.since.Add(most).Sub(now)), 0)
}

// step compares what was seen with the newest copy, and says when to look again.
func (w *watching) step(now look, ok bool, at time.Time) time.Duration {
	have, taken := w.copies.newest(w.from)
	if !ok || !taken || now.Code == have.Code || now.Code == w.told {
		if ok {
			w.last = now
		}
		w.since, w.heard = time.Time{}, false
		return pollFirst
	}
	switch {
	case w.since.IsZero(), !w.heard && now.Code != w.last.Code && at.Sub(w.since) < most:
		w.last = now
		return w.stir(at)
	case at.Sub(w.rest) < quiet && at.Sub(w.since) < most:
		return max(min(quiet-at.Sub(w.rest), most-at.Sub(w.since)), 0)
	}
	w.last, w.told, w.since, w.heard = now, now.Code, time.Time{}, false
	file := difference(have.files, now.files)
	if have.files == nil {
		file = "a file with code"
	}
	w.changed(file)
	return pollFirst
}

// look sees the folder as it is.
func (w *watching) look(ctx context.Context) (look, time.Duration, bool) {
	begin := time.Now()
	base, err := w.copies.enter(false)
	if err == nil {
		defer base.Close()
	} else {
		base = nil
	}
	now, err := lookAt(ctx, w.from, base)
	return now, time.Since(begin), err == nil
}
