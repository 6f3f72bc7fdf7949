package stdoutlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/rootfile"
)

const (
	// pollEvery is how old a line is at most when it is written.
	pollEvery = 250 * time.Millisecond
	// endPoll is the same for a run that has ended.
	endPoll = 20 * time.Millisecond
	// retryEvery is when a file that cannot be opened or written is tried again.
	retryEvery = 5 * time.Second
	// endPatience is how long after its end a run's capture may take to say so; leftoverPatience the same for one whose
	// keeper may be gone, and with it who would have said it.
	endPatience      = 5 * time.Second
	leftoverPatience = time.Minute
	// batch is how many bytes are written at once.
	batch = 256 << 10
)

// follower writes one run. All but end is its goroutine's.
type follower struct {
	logs  *Logs
	dir   string // of the run's capture
	ended chan struct{}
	once  sync.Once
	// leftover says that its run ended, or will be ended, without a word to the Logs.
	leftover bool

	state
	note   *os.File
	output *journal.Output
	file   *os.File
	warned string
}

func newFollower(l *Logs, dir string, s state) *follower {
	return &follower{logs: l, dir: dir, state: s, ended: make(chan struct{})}
}

func (f *follower) end() { f.once.Do(func() { close(f.ended) }) }

// run writes until the run is over or ctx ends, which leaves a run that goes on to the next worker.
func (f *follower) run(ctx context.Context) {
	defer f.close()
	ended, closing, deadline := f.ended, ctx.Done(), time.Time{}
	for {
		more, err := f.step()
		wait := pollEvery
		switch {
		case err != nil:
			f.warn(err)
			f.close() // what was not written is read again
			wait = retryEvery
		case more && ended != nil && closing != nil, more && ended == nil:
			continue
		case ended == nil:
			wait = endPoll
		}
		if f.over(err, deadline) {
			f.finish()
			return
		}
		if closing == nil && (ended != nil || f.leftover) {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-closing:
			closing = nil
		case <-ended:
			ended, deadline = nil, time.Now().Add(f.patience())
		case <-timer.C:
		}
		timer.Stop()
	}
}

// over says whether all of a run is written, or nobody will ever say so. deadline is zero while the run goes on.
func (f *follower) over(err error, deadline time.Time) bool {
	if err == nil && f.output.Over() {
		return true
	}
	return !deadline.IsZero() && (err != nil || time.Now().After(deadline))
}

func (f *follower) patience() time.Duration {
	if f.leftover {
		return leftoverPatience
	}
	return endPatience
}

// step writes what is there, one batch at most, and says whether there was something.
func (f *follower) step() (more bool, err error) {
	if err := f.open(); err != nil {
		return false, err
	}
	next := f.state
	var text []byte
	for len(text) < batch {
		line, ok, err := f.output.Next()
		if err != nil {
			return false, fmt.Errorf("its output cannot be read: %w", err)
		}
		if !ok {
			break
		}
		piece := next.piece(line)
		if size := next.Size + int64(len(text)); size > 0 && size+int64(len(piece)) > f.logs.config.Size {
			if err := f.write(text, next); err != nil {
				return false, err
			}
			if err := f.rotate(); err != nil {
				return false, err
			}
			next, text = f.state, nil
		}
		text = append(text, piece...)
		next.Place = line.Place
		next.Part = 0
		if piece[len(piece)-1] != '\n' {
			next.Part = line.Stream
		}
	}
	if len(text) == 0 {
		return false, nil
	}
	return true, f.write(text, next)
}

// piece is what is written of a line: where lines are missing it says so, and a long line of one stream is ended before
// the other one's begins.
func (s *state) piece(line journal.OutputLine) []byte {
	var text []byte
	if s.Part != 0 && (s.Part != line.Stream || line.Dropped > 0) {
		text = append(text, '\n')
	}
	if line.Dropped > 0 {
		text = fmt.Appendf(text, "[ancora] lines are missing here: at least %d\n", line.Dropped)
	}
	return append(text, line.Text...)
}

// open sees to it that everything is open, where the state says.
func (f *follower) open() (err error) {
	if f.note == nil {
		if f.note, err = os.OpenFile(filepath.Join(f.dir, stateFile), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
			return err
		}
		if err := f.save(f.note); err != nil {
			return err
		}
	}
	if f.output == nil {
		if f.output, err = f.logs.config.Journal.Output(f.Identity.Site, f.Identity.Application, f.Identity.Run, f.Place); err != nil {
			return err
		}
	}
	if f.file == nil {
		return f.openFile()
	}
	return nil
}

func (f *follower) name() string {
	return fileName(f.Target.Path, f.Started, f.PID, f.Number)
}

// openFile opens the file of the state's number and cuts off what was written but not noted.
func (f *follower) openFile() error {
	file, err := f.Target.Folder.Append(f.name())
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.Size() > f.Size {
		err = file.Truncate(f.Size)
	}
	if err != nil {
		_ = file.Close()
		return err
	}
	f.file, f.Size = file, min(f.Size, info.Size())
	f.logs.use(file.Name(), true)
	if err := f.logs.prune(f.Target); err != nil {
		f.logs.config.Logger.Warn("old stdout logs not removed", "folder", filepath.Dir(file.Name()), "error", err)
	}
	return nil
}

// rotate goes on in a new file.
func (f *follower) rotate() error {
	f.closeFile()
	f.Number, f.Size = f.Number+1, 0
	if err := f.save(f.note); err != nil {
		return err
	}
	return f.openFile()
}

// write appends text and notes that it has; without the note it is cut off again.
func (f *follower) write(text []byte, next state) error {
	if len(text) == 0 {
		return nil
	}
	switch room, err := rootfile.Room(f.file, int64(len(text))); {
	case err != nil:
		return err
	case !room:
		return fmt.Errorf("%s: the file system is nearly full", f.file.Name())
	}
	if _, err := f.file.Write(text); err != nil {
		return errors.Join(err, f.file.Truncate(f.Size))
	}
	next.Number, next.Size = f.Number, f.Size+int64(len(text))
	f.state = next
	return f.save(f.note)
}

// finish is the end of a run that is over.
func (f *follower) finish() {
	empty := f.file != nil && f.Number == 1 && f.Size == 0
	f.close()
	if empty && f.Target.DropEmpty {
		if err := f.Target.Folder.Remove(f.name()); err != nil {
			f.logs.config.Logger.Warn("empty stdout log not removed", "path", f.name(), "error", err)
		}
	}
	if err := os.Remove(filepath.Join(f.dir, stateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.logs.config.Logger.Warn("state of a stdout log not removed", "error", err)
	}
}

func (f *follower) closeFile() {
	if f.file != nil {
		f.logs.use(f.file.Name(), false)
		_ = f.file.Close() // all there was to say was said by Write
		f.file = nil
	}
}

func (f *follower) close() {
	f.closeFile()
	if f.output != nil {
		f.output.Close()
		f.output = nil
	}
	if f.note != nil {
		_ = f.note.Close()
		f.note = nil
	}
}

// warn tells each reason once.
func (f *follower) warn(err error) {
	text := err.Error()
	if text == f.warned {
		return
	}
	f.warned = text
	f.logs.config.Logger.Warn("stdout log not written", "site", f.Identity.Site, "application", f.Identity.Application, "run", f.Identity.Run, "error", text)
	if f.logs.config.Warn != nil {
		f.logs.config.Warn(f.Identity, text)
	}
}
