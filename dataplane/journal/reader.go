package journal

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// Read gives the lines a query wants: history merged by time, in order within each run, then, with Follow, lines as they
// come until the context ends. It pulls: a slow caller holds up nobody and costs at most a line and a chunk per run that
// is being read; what the quota deletes meanwhile shows as Dropped. An error ends it, that of the context included.
func (j *Journal) Read(ctx context.Context, q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		r, err := j.newReader(q)
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer r.close()
		for {
			if err := ctx.Err(); err != nil {
				yield(Entry{}, err)
				return
			}
			e, ok, err := r.next()
			switch {
			case err != nil:
				yield(Entry{}, fmt.Errorf("journal: %w", err))
				return
			case ok:
				if !yield(e, nil) {
					return
				}
			case !r.query.Follow:
				return
			default:
				r.wait(ctx)
				if err := r.scan(false); err != nil {
					yield(Entry{}, fmt.Errorf("journal: %w", err))
					return
				}
			}
		}
	}
}

// reader merges the runs of one query.
type reader struct {
	journal *Journal
	query   Query
	cursors map[string]cursor // by application
	apps    map[string]*appReader
	watch   *watcher
}

// appReader is one application's part of a reader.
type appReader struct {
	path    string
	sources []*source // ascending by run, those that may still give lines
	newest  uint64    // highest run taken up
	emitted uint64    // highest run that gave a line, or that a cursor names
}

func (j *Journal) newReader(q Query) (*reader, error) {
	if q.Site == "" || strings.HasPrefix(q.Site, ".") || strings.ContainsAny(q.Site, "/\x00") {
		return nil, fmt.Errorf("journal: %q is not a site", q.Site)
	}
	if q.Previous > 0 {
		q.Follow = false // runs that have ended say nothing more
	}
	r := &reader{journal: j, query: q, cursors: map[string]cursor{}, apps: map[string]*appReader{}}
	for _, text := range q.Cursors {
		c, err := parseCursor(text)
		if err != nil {
			return nil, err
		}
		if c.journal != j.id || c.site != q.Site {
			continue
		}
		if known, ok := r.cursors[c.app]; ok {
			c = known.merge(c)
		}
		r.cursors[c.app] = c
	}
	if err := r.scan(true); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *reader) close() {
	for _, a := range r.apps {
		for _, s := range a.sources {
			s.close()
		}
	}
	r.watch.close()
}

// scan takes up applications and runs that are new on disk. Only the first time Tail and Previous choose among them.
func (r *reader) scan(first bool) error {
	apps, err := listApps(r.journal.root, r.query.Site)
	if err != nil {
		return err
	}
	for _, path := range apps {
		if !r.wants(path) {
			continue
		}
		a, known := r.apps[path]
		if !known {
			a = &appReader{path: path}
			r.apps[path] = a
		}
		if err := r.scanRuns(a, !known, first); err != nil {
			return err
		}
	}
	return nil
}

// wants says whether the query wants lines of an application, or of the access log in its place.
func (r *reader) wants(path string) bool {
	q := &r.query
	if path == capture.AccessLog {
		return q.streams().has(AccessStream) && q.Application == nil && q.Instance == 0 && q.Previous == 0
	}
	return q.streams()&^(1<<AccessStream) != 0 && (q.Application == nil || *q.Application == path)
}

func (r *reader) scanRuns(a *appReader, newApp, first bool) error {
	runs, err := listRuns(capture.AppDir(r.journal.root, r.query.Site, a.path))
	if err != nil {
		return err
	}
	if r.query.Previous > 0 {
		if runs, err = r.previous(a.path, runs); err != nil {
			return err
		}
	}
	c, resumed := r.cursors[a.path]
	hasZero := slices.ContainsFunc(a.sources, func(s *source) bool { return s.runKey.run == 0 })
	for _, n := range runs {
		if !newApp && (n > 0 && n <= a.newest || n == 0 && hasZero) {
			continue
		}
		a.newest = max(a.newest, n)
		s := r.source(a.path, n)
		if s == nil {
			continue
		}
		if resumed {
			at, done := c.resume(n)
			if done {
				continue
			}
			s.after, s.given = at, at
		}
		a.sources = append(a.sources, s)
	}
	if resumed {
		a.emitted = max(a.emitted, c.runs[len(c.runs)-1].run)
	} else if first && r.query.Tail != nil {
		if err := r.tail(a, *r.query.Tail); err != nil {
			return err
		}
	}
	slices.SortFunc(a.sources, func(x, y *source) int { return cmp.Compare(x.runKey.run, y.runKey.run) })
	return nil
}

// source returns a reader of a run, nil when the query does not want it.
func (r *reader) source(app string, n uint64) *source {
	want := r.query.streams()
	switch {
	case app == capture.AccessLog:
		want = 1 << Stdout
	case n == 0:
		want &= 1 << EventStream
	}
	key := runKey{r.query.Site, app, n}
	if want == 0 {
		return nil
	}
	if i := r.query.Instance; i != 0 {
		if loadInstance(capture.RunDir(r.journal.root, key.site, app, n), n) != i {
			return nil
		}
	}
	s := &source{journal: r.journal, runKey: key, want: want}
	if !r.query.Since.IsZero() {
		s.since = r.query.Since.UnixNano()
	}
	return s
}

// previous returns the last runs that have ended. A run that says nothing of its end has ended when a later one has: its
// keeper was lost.
func (r *reader) previous(app string, runs []uint64) ([]uint64, error) {
	var ended []uint64
	for _, n := range slices.Backward(runs) {
		if n == 0 || len(ended) == r.query.Previous {
			break
		}
		if len(ended) > 0 || hasEnded(capture.RunDir(r.journal.root, r.query.Site, app, n)) {
			if s := r.source(app, n); s != nil {
				ended = append(ended, n)
			}
		}
	}
	slices.Reverse(ended)
	return ended, nil
}

// next gives out the oldest of the lines that are there.
func (r *reader) next() (Entry, bool, error) {
	var best *source
	var app *appReader
	for _, a := range r.apps {
		s, err := a.oldest()
		if err != nil {
			return Entry{}, false, err
		}
		if s != nil && (best == nil || older(s, best)) {
			best, app = s, a
		}
	}
	if best == nil {
		return Entry{}, false, nil
	}
	best.given, best.hasHead = best.headPos, false
	app.emitted = max(app.emitted, best.runKey.run)
	e := best.head
	e.Cursor = app.cursor(r.journal.id, r.query.Site).String()
	return e, true, nil
}

func older(a, b *source) bool {
	if c := a.head.Time.Compare(b.head.Time); c != 0 {
		return c < 0
	}
	return cmp.Or(cmp.Compare(a.app, b.app), cmp.Compare(a.runKey.run, b.runKey.run)) < 0
}

// oldest returns the source with the oldest line that is there. Runs are opened only when their turn comes: one that
// began later than that line cannot be before it.
func (a *appReader) oldest() (*source, error) {
	var best *source
	for _, s := range a.sources {
		if best != nil && s.replay == nil && !s.hasHead {
			if t := s.started(); t.IsZero() || t.After(best.head.Time) {
				continue
			}
		}
		if err := s.fill(); err != nil {
			return nil, err
		}
		if s.hasHead && (best == nil || older(s, best)) {
			best = s
		}
	}
	a.sources = slices.DeleteFunc(a.sources, func(s *source) bool { return s.done && !s.hasHead })
	return best, nil
}

// cursor is the place behind everything given out so far.
func (a *appReader) cursor(id [idLen]byte, site string) cursor {
	c := cursor{journal: id, site: site, app: a.path}
	for _, s := range a.sources {
		if n := s.runKey.run; n <= a.emitted && !(s.done && s.given == s.headPos && n < a.emitted) {
			c.runs = append(c.runs, runPosition{n, s.given})
		}
	}
	if extra := len(c.runs) - maxCursorRuns; extra > 0 {
		c.runs = slices.Delete(c.runs, 0, extra)
	}
	return c
}

// wait returns when something may have come: the keeper wrote, a run began, or a quarter of a second passed, since file
// events may be lost.
func (r *reader) wait(ctx context.Context) {
	if r.watch == nil {
		r.watch = newWatcher()
	}
	r.watch.follow(r)
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-r.watch.changed():
	}
}
