package capture

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Writer puts the output of one run into its files. All methods may be called at any time from any goroutine; each
// movement of bytes and its mark are one step.
type Writer struct {
	dir   string
	pipes sync.WaitGroup

	mu      sync.Mutex
	readers []*os.File
	marks   *os.File
	at      int64 // where the next mark goes
	number  uint64
	streams map[Stream]*stream
	ended   bool
	over    bool // Finish was called: whatever is said now is followed by an end
	closed  bool
}

type stream struct {
	file   *os.File
	start  uint64 // of the open segment
	offset uint64 // of the next byte; what lies behind it on disk counts as never written
	lost   uint64 // not yet marked
}

// OpenWriter opens the run in dir, which it makes (0700, files 0600), and goes on behind its last good mark.
func OpenWriter(dir string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	marks, err := os.OpenFile(filepath.Join(dir, MarksFile), os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	w := &Writer{dir: dir, marks: marks, streams: map[Stream]*stream{}}
	for _, s := range Streams() {
		w.streams[s] = &stream{}
	}
	if err := w.resume(); err != nil {
		_ = marks.Close()
		return nil, err
	}
	return w, nil
}

func (w *Writer) resume() error {
	var buf [128 * MarkSize]byte
	for {
		n, err := w.marks.ReadAt(buf[:], w.at)
		for b := buf[:n]; len(b) >= MarkSize; b = b[MarkSize:] {
			m, ok := DecodeMark(b)
			if !ok {
				return nil
			}
			w.at += MarkSize
			w.number = m.Number
			w.ended = m.Kind == End
			if m.Kind == Data {
				w.streams[m.Stream].offset = m.Offset
			}
		}
		if err != nil || n < MarkSize {
			return nil
		}
	}
}

// Append writes data, which ends with a line feed, as one movement: all of it or, with an error, nothing.
// Behind Close the error is os.ErrClosed.
func (w *Writer) Append(s Stream, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return fmt.Errorf("capture: %w", os.ErrClosed)
	}
	err := w.move(s, func(fd int, at int64) (int, error) {
		n, err := unix.Pwrite(fd, data, at)
		if err == nil && n < len(data) {
			err = io.ErrShortWrite // what has no mark is written over
		}
		return n, err
	})
	if err == nil && w.over {
		err = w.end()
	}
	return err
}

// Lose notes bytes that did not come this far, so that readers are told of a gap. The note is written with what is appended
// next, or with the end of the run.
func (w *Writer) Lose(s Stream, bytes uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams[s].lost += bytes
}

// Splice moves what is in the pipe now, without waiting. It gives unix.EAGAIN when there is nothing and 0, nil at the
// end of the pipe. What the disk does not take is read and counted as lost, so that the writer of the pipe never blocks.
func (w *Writer) Splice(s Stream, pipe int) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	moved := 0
	err := w.move(s, func(fd int, at int64) (int, error) {
		n, err := unix.Splice(pipe, nil, fd, &at, 1<<20, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		moved = int(n)
		return int(n), err
	})
	if err == nil || errors.Is(err, unix.EAGAIN) {
		return moved, err
	}
	return w.drain(s, pipe)
}

// move calls put with the open segment and the offset in it, and marks what put moved. The offset advances only with the
// mark: bytes without one are written over by the next movement.
func (w *Writer) move(s Stream, put func(fd int, at int64) (int, error)) error {
	st := w.streams[s]
	if st == nil {
		return fmt.Errorf("capture: %v is not known", s)
	}
	if st.lost > 0 {
		if err := w.mark(s, Lost, st.lost); err != nil {
			return err
		}
		st.lost = 0
	}
	if err := w.segment(s, st); err != nil {
		return err
	}
	n, err := put(int(st.file.Fd()), int64(st.offset-st.start))
	if err != nil || n == 0 {
		return err
	}
	if err := w.mark(s, Data, st.offset+uint64(n)); err != nil {
		st.lost += uint64(n)
		return err
	}
	st.offset += uint64(n)
	return nil
}

// drain reads what the disk did not take.
func (w *Writer) drain(s Stream, pipe int) (int, error) {
	var buf [16 << 10]byte
	n, err := unix.Read(pipe, buf[:])
	if n > 0 {
		w.streams[s].lost += uint64(n)
	}
	return max(n, 0), err
}

// segment opens the next segment when the open one is full. One that was deleted to keep the quota, or by hand, counts as
// full: what goes into it would be gone.
func (w *Writer) segment(s Stream, st *stream) error {
	if st.file != nil && st.offset-st.start < SegmentSize && linked(st.file) {
		return nil
	}
	start := st.offset
	if st.file == nil {
		start = w.unfinished(s, st.offset)
	}
	file, err := os.OpenFile(filepath.Join(w.dir, SegmentName(s, start)), os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	if st.file != nil {
		_ = st.file.Close()
	}
	st.file, st.start = file, start
	prune(filepath.Dir(w.dir), w.open())
	return nil
}

func linked(file *os.File) bool {
	var stat unix.Stat_t
	return unix.Fstat(int(file.Fd()), &stat) == nil && stat.Nlink > 0
}

// unfinished gives the start of the segment in which a run that is opened again goes on at offset: the last one, where it
// has room and holds all that was marked; else a new one begins.
func (w *Writer) unfinished(s Stream, offset uint64) uint64 {
	paths, err := filepath.Glob(filepath.Join(w.dir, s.String()+".*"))
	if err != nil || len(paths) == 0 {
		return offset
	}
	last := paths[len(paths)-1] // the names sort by start
	_, start, ok := ParseSegment(filepath.Base(last))
	if info, err := os.Stat(last); !ok || err != nil || start > offset || offset-start >= SegmentSize || uint64(info.Size()) < offset-start {
		return offset
	}
	return start
}

func (w *Writer) open() map[string]bool {
	open := map[string]bool{}
	for _, st := range w.streams {
		if st.file != nil {
			open[st.file.Name()] = true
		}
	}
	return open
}

func (w *Writer) mark(s Stream, kind Kind, offset uint64) error {
	var buf [MarkSize]byte
	m := Mark{Number: w.number + 1, Stream: s, Kind: kind, Offset: offset, Time: time.Now()}
	if _, err := w.marks.WriteAt(AppendMark(buf[:0], m), w.at); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	w.at += MarkSize
	w.number++
	w.ended = kind == End // what is said behind an end takes another one
	return nil
}

// End marks the run as over: open lines count from now on.
func (w *Writer) End() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end()
}

// end is End; the lock is held.
func (w *Writer) end() error {
	if w.ended || w.closed {
		return nil
	}
	for s, st := range w.streams {
		if st.lost > 0 && w.mark(s, Lost, st.lost) == nil {
			st.lost = 0
		}
	}
	return w.mark(0, End, 0)
}

// Closed reports whether Close was called.
func (w *Writer) Closed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

// Close gives the files back; the run may be opened again.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	errs := []error{w.marks.Close()}
	for _, st := range w.streams {
		if st.file != nil {
			errs = append(errs, st.file.Close())
			st.file = nil
		}
	}
	return errors.Join(errs...)
}
