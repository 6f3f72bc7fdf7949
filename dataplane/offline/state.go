package offline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/ancora-fleet/ancora/dataplane/regular"
)

const (
	fileName = "app_offline.htm"
	// maxFile bounds the page of a folder, in bytes; of a longer one the beginning is shown.
	maxFile = 4 << 20
	// lookEvery is how often requests look at the folder (OFF-4), pollEvery how often it is looked at without them, for
	// file systems that send no events.
	lookEvery = 200 * time.Millisecond
	pollEvery = time.Second
)

// State is whether one application is out of service.
type State struct {
	site, root string
	changed    func()
	answer     atomic.Pointer[Answer]
	born       time.Time
	looked     atomic.Int64 // nanoseconds since then

	mu      sync.Mutex
	notices []Notice
	local   []byte
	here    bool
	wake    chan struct{}
}

// New makes the state of an application in the folder root; changed is called after each change, without a lock held.
// The folder is looked at once here, so that an application that is offline never starts.
func New(site, root string, changed func()) *State {
	s := &State{site: site, root: root, changed: changed, born: time.Now(), wake: make(chan struct{}, 1)}
	s.mu.Lock()
	s.local, s.here = read(root)
	s.mu.Unlock()
	s.update()
	return s
}

// Answer gives what to say to requests; nil: the application is in service.
func (s *State) Answer() *Answer { return s.answer.Load() }

// Peek gives the answer that a request would find which came now. It looks at the folder, and changes nothing.
func (s *State) Peek() *Answer {
	local, here := read(s.root)
	s.mu.Lock()
	defer s.mu.Unlock()
	return decide(s.site, s.notices, local, here, time.Now())
}

// SetNotices says which notices there are, whomever they are about.
func (s *State) SetNotices(notices []Notice) {
	s.mu.Lock()
	s.notices = notices
	s.mu.Unlock()
	s.update()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Look is called for requests: it looks at the folder when that was not done for 200 ms.
func (s *State) Look() {
	last, now := s.looked.Load(), int64(time.Since(s.born)) // one clock read, where time.Now is two
	if now-last < int64(lookEvery) || !s.looked.CompareAndSwap(last, now) {
		return
	}
	s.lookNow()
}

func (s *State) lookNow() {
	local, here := read(s.root)
	s.mu.Lock()
	same := here == s.here && bytes.Equal(local, s.local)
	s.local, s.here = local, here
	s.mu.Unlock()
	if !same {
		s.update()
	}
}

// update makes the answer anew and tells of a change.
func (s *State) update() {
	s.mu.Lock()
	next := decide(s.site, s.notices, s.local, s.here, time.Now())
	before := s.answer.Swap(next)
	s.mu.Unlock()
	if !equal(before, next) && s.changed != nil {
		s.changed()
	}
}

func equal(a, b *Answer) bool {
	if a == nil || b == nil {
		return a == b
	}
	return slices.Equal(a.Holders, b.Holders) && bytes.Equal(a.Body, b.Body)
}

// Run watches the folder and the ends of notices until ctx ends. Events only say that it is time to look: what is true
// is what the folder holds (OFF-1b).
func (s *State) Run(ctx context.Context) { s.run(ctx, s.watch(ctx)) }

// run is Run with what tells of changes in the folder; nil: nothing does.
func (s *State) run(ctx context.Context, events <-chan fsnotify.Event) {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		s.mu.Lock()
		end := nextEnd(s.notices, time.Now())
		s.mu.Unlock()
		expire := time.NewTimer(time.Hour)
		if !end.IsZero() {
			expire.Reset(time.Until(end))
		}
		select {
		case <-ctx.Done():
			expire.Stop()
			return
		case <-events:
			s.lookNow()
		case <-poll.C:
			s.lookNow()
		case <-expire.C:
			s.update()
		case <-s.wake:
		}
		expire.Stop()
	}
}

// watch gives a tick for each change in the folder; none ever where the folder cannot be watched.
func (s *State) watch(ctx context.Context) <-chan fsnotify.Event {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil
	}
	if err := watcher.Add(s.root); err != nil {
		_ = watcher.Close()
		return nil
	}
	context.AfterFunc(ctx, func() { _ = watcher.Close() })
	out := make(chan fsnotify.Event, 1)
	go func() {
		for e := range watcher.Events {
			if !strings.EqualFold(filepath.Base(e.Name), fileName) {
				continue
			}
			select {
			case out <- e:
			case <-ctx.Done():
			}
		}
	}()
	return out
}

// read gives the page of the folder, in any spelling of its name; here says that there is one. One that cannot be read
// gives no bytes (OFF-6), as does a link that leads out of the folder: who may write to it could show any file of the host.
func read(folder string) (page []byte, here bool) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, false
	}
	defer root.Close()
	name := fileName
	if _, err := root.Lstat(name); err != nil {
		if name = otherSpelling(root); name == "" {
			return nil, false
		}
	}
	file, err := regular.OpenIn(root, name)
	if err != nil {
		return nil, !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, regular.ErrKind)
	}
	defer file.Close()
	page, _ = io.ReadAll(io.LimitReader(file, maxFile))
	return page, true
}

func otherSpelling(root *os.Root) string {
	dir, err := root.Open(".")
	if err != nil {
		return ""
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if strings.EqualFold(name, fileName) {
			return name
		}
	}
	return ""
}
