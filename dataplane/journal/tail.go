package journal

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// place is a wanted line found from behind.
type place struct {
	source *source
	time   int64
	before position // the line before it
}

// tail moves the sources of an application to its last n wanted lines. It goes from the newest run down and within a run
// from the last checkpoint up, so it holds n places and reads little more than what it finds.
func (r *reader) tail(a *appReader, n int) error {
	var found []place
	enough := false
	for _, s := range slices.Backward(a.sources) {
		if enough && s.runKey.run != 0 {
			s.done = true // older than what was found
			continue
		}
		places, err := s.tail(n)
		if err != nil {
			return err
		}
		found = append(found, places...)
		enough = len(found) >= n
	}
	slices.SortStableFunc(found, func(x, y place) int { return cmp.Compare(y.time, x.time) })
	first := map[*source]position{}
	for _, p := range found[:min(n, len(found))] {
		if at, ok := first[p.source]; !ok || p.before.before(at) {
			first[p.source] = p.before
		}
	}
	for _, s := range a.sources {
		if at, ok := first[s]; ok {
			s.after, s.given = at, at
		}
	}
	a.sources = slices.DeleteFunc(a.sources, func(s *source) bool { return s.done })
	for _, s := range a.sources {
		a.emitted = max(a.emitted, s.runKey.run)
	}
	return nil
}

// tail returns the last n wanted lines of the run, and leaves the source at its end as it is now: done when the run is.
func (s *source) tail(n int) ([]place, error) {
	s.run = s.journal.acquire(s.runKey)
	defer s.close()
	var places []place
	stop := noOffset // mark behind which lines were looked at already
	for {
		from := s.run.before(func(p *state) bool { return p.mark < stop })
		p, err := newReplay(s.run, from)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		part, err := s.tailPart(p, stop, n)
		p.close()
		if err != nil {
			return nil, err
		}
		places = append(part, places...)
		if len(places) >= n || from.mark == 0 || s.since > 0 && from.time < s.since {
			return places[max(0, len(places)-n):], nil
		}
		stop = from.mark
	}
}

// tailPart returns the last n wanted lines up to the mark stop. The first part that is looked at, which has no stop, also
// says where the run ends now.
func (s *source) tailPart(p *replay, stop uint64, n int) ([]place, error) {
	var places []place
	last := position{mark: p.mark, stream: EventStream, end: noOffset, sequence: p.sequence}
	for {
		l, ok, err := p.next()
		if err != nil {
			return nil, err
		}
		if !ok || l.mark > stop {
			break
		}
		if n > 0 && s.want.has(l.stream) && l.time >= s.since {
			if len(places) == 2*n {
				places = slices.Delete(places, 0, n)
			}
			places = append(places, place{s, l.time, last})
		}
		last = l.position
	}
	if stop == noOffset {
		s.after, s.given, s.done = last, last, p.over()
	}
	return places, nil
}

// hasEnded reports whether the keeper noted the end of a run.
func hasEnded(dir string) bool {
	f, err := os.Open(filepath.Join(dir, capture.MarksFile))
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() < capture.MarkSize {
		return false
	}
	m := marks{f: f}
	m.seek(uint64(info.Size())/capture.MarkSize - 1)
	k, ok, _ := m.read()
	return ok && k.Kind == capture.End
}

// AwaitEnd returns when all that a run wrote is captured, which may be a little after its process is gone, or after limit.
func (j *Journal) AwaitEnd(site, app string, run uint64, limit time.Duration) {
	timer, look := time.NewTimer(limit), time.NewTicker(5*time.Millisecond)
	defer timer.Stop()
	defer look.Stop()
	for !hasEnded(capture.RunDir(j.root, site, app, run)) {
		select {
		case <-look.C:
		case <-timer.C:
			return
		}
	}
}

// LastOutput returns the last lines a run wrote to stdout and stderr, oldest first, at most maxBytes of them, secrets
// redacted. A line the process did not finish counts. No output, or no such run, is none.
func (j *Journal) LastOutput(site, app string, run uint64, maxBytes int) []string {
	var lines []string
	size := 0
	j.lastOutput(site, app, run, maxBytes, func(text []byte, _ bool) {
		lines = append(lines, string(text))
		size += len(text) + 1
		for len(lines) > 0 && size > maxBytes {
			size -= len(lines[0]) + 1
			lines = lines[1:]
		}
	})
	return lines
}

// lastOutput gives the last lines of a run's output to keep, at least so many bytes if there are as many, and whether each
// ended with a line feed.
func (j *Journal) lastOutput(site, app string, run uint64, bytes int, keep func(text []byte, ended bool)) {
	key := runKey{site, app, run}
	r := j.acquire(key)
	defer j.release(key, r)
	enough := uint64(bytes + maxLine)
	all := r.before(func(*state) bool { return true })
	from := r.before(func(p *state) bool { return all.output()-p.output() >= enough })
	p, err := newReplay(r, from)
	if err != nil {
		return
	}
	defer p.close()
	for {
		l, ok, err := p.next()
		if err != nil || !ok {
			break
		}
		if l.stream != EventStream {
			keep(r.secrets.redact(l.data, l.before, l.rough, l.unended), !l.unended)
		}
	}
	for _, s := range []Stream{Stdout, Stderr} {
		if len(p.partial[s]) > 0 {
			keep(r.secrets.redact(p.partial[s], p.lookback[s], p.flags[s]&flagRough != 0, true), false)
		}
	}
}

// output is how much a run wrote to stdout and stderr.
func (s *state) output() uint64 { return s.end[Stdout] + s.end[Stderr] }
