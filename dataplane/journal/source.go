package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// source gives the wanted lines of one run, one ahead of the reader.
type source struct {
	journal *Journal
	runKey
	want  streams
	since int64 // Unix nanoseconds

	run    *run
	replay *replay
	after  position // lines up to here are not wanted
	done   bool     // nothing will come any more

	given   position // behind the line last given out
	head    Entry
	hasHead bool
	headPos position
	// headUnended says that head has no line feed at its end.
	headUnended bool
}

// open acquires the run and goes to the place of after. A run without marks has not begun: that is no error, it is tried
// again.
func (s *source) open() error {
	if s.replay != nil {
		return nil
	}
	if s.run == nil {
		s.run = s.journal.acquire(s.runKey)
	}
	from := s.run.before(func(p *state) bool {
		return p.mark < s.after.mark || s.since > 0 && p.time < s.since
	})
	replay, err := newReplay(s.run, from)
	if err != nil {
		return err
	}
	replay.floor = s.after.sequence
	s.replay = replay
	return nil
}

func (s *source) close() {
	if s.replay != nil {
		s.replay.close()
		s.replay = nil
	}
	if s.run != nil {
		s.journal.release(s.runKey, s.run)
		s.run = nil
	}
}

// fill makes head the next wanted line, if there is one now.
func (s *source) fill() error {
	if s.hasHead || s.done {
		return nil
	}
	if err := s.open(); err != nil {
		return s.missing(err)
	}
	for {
		l, ok, err := s.replay.next()
		if err != nil {
			return err
		}
		if !ok {
			if s.replay.over() {
				s.done = true
				s.close()
			}
			return nil
		}
		if !s.after.before(l.position) || l.time < s.since {
			s.replay.lost(0) // what was lost before the first wanted line is nobody's loss
			continue
		}
		if !s.want.has(l.stream) {
			continue
		}
		s.take(l)
		return nil
	}
}

// missing judges why a run cannot be opened: deleted for its age, or not begun.
func (s *source) missing(err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(capture.RunDir(s.journal.root, s.site, s.app, s.runKey.run)); errors.Is(err, fs.ErrNotExist) {
		s.done = true
	}
	// What was learned of the run before it began is learned again.
	s.close()
	return nil
}

func (s *source) take(l line) {
	s.head = Entry{
		Site: s.site, Application: s.app, Instance: s.run.instance, Run: s.runKey.run,
		Sequence: l.sequence, Stream: l.stream, Time: time.Unix(0, l.time),
		Line:    s.run.secrets.redact(l.data, l.before, l.rough, l.unended),
		Dropped: s.replay.lost(s.want),
	}
	if s.app == capture.AccessLog {
		s.head.Application, s.head.Instance, s.head.Stream = "", 0, AccessStream
	}
	s.headPos, s.hasHead, s.headUnended = l.position, true, l.unended
}

// started returns when a run that is not open yet wrote first behind mark; zero when it has not.
func (s *source) started() time.Time {
	f, err := os.Open(filepath.Join(capture.RunDir(s.journal.root, s.site, s.app, s.runKey.run), capture.MarksFile))
	if err != nil {
		return time.Time{}
	}
	defer f.Close()
	m := marks{f: f}
	if s.after.mark > 0 {
		m.seek(s.after.mark - 1)
	}
	k, _, _ := m.read()
	return k.Time
}
