package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// segments reads one stream of a run by offset, over the files it is cut into. The keeper adds and deletes files
// meanwhile.
type segments struct {
	dir    string
	stream Stream
	starts []uint64 // of the files seen last, ascending
	f      *os.File // the one read last
	start  uint64   // its start
}

// goneError says that bytes are no longer on disk; the next that are start at next.
type goneError struct{ next uint64 }

func (e *goneError) Error() string { return fmt.Sprintf("output before offset %d is gone", e.next) }

const noOffset = ^uint64(0)

// readAt reads some bytes, at least one and at most len(p), that start at offset. They have been captured: the caller
// knows from a mark.
func (s *segments) readAt(p []byte, offset uint64) (int, error) {
	for second := range 2 {
		if second == 1 || s.f == nil {
			if err := s.list(); err != nil {
				return 0, err
			}
		}
		if s.f == nil || offset < s.start || offset >= s.behind() {
			ok, err := s.open(offset)
			if err != nil {
				return 0, err
			}
			if !ok {
				continue
			}
		}
		if limit := s.behind() - offset; uint64(len(p)) > limit {
			p = p[:limit]
		}
		n, err := s.f.ReadAt(p, int64(offset-s.start))
		if n > 0 {
			return n, nil
		}
		if err != io.EOF {
			return 0, err
		}
	}
	return 0, &goneError{s.nextAfter(offset)}
}

// first returns the first offset still on disk; noOffset when nothing is.
func (s *segments) first() (uint64, error) {
	if err := s.list(); err != nil {
		return 0, err
	}
	if len(s.starts) == 0 {
		return noOffset, nil
	}
	return s.starts[0], nil
}

func (s *segments) list() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.starts = s.starts[:0]
	for _, e := range entries {
		if stream, start, ok := capture.ParseSegment(e.Name()); ok && stream == s.stream {
			s.starts = append(s.starts, start)
		}
	}
	slices.Sort(s.starts)
	return nil
}

// open makes the file that offset falls into the current one.
func (s *segments) open(offset uint64) (bool, error) {
	i, found := slices.BinarySearch(s.starts, offset)
	if !found {
		i--
	}
	if i < 0 {
		return false, nil
	}
	f, err := os.Open(filepath.Join(s.dir, capture.SegmentName(s.stream, s.starts[i])))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.close()
	s.f, s.start = f, s.starts[i]
	return true, nil
}

// behind returns where the file after the current one starts.
func (s *segments) behind() uint64 { return s.nextAfter(s.start) }

func (s *segments) nextAfter(offset uint64) uint64 {
	i, found := slices.BinarySearchFunc(s.starts, offset, cmp.Compare[uint64])
	if found {
		i++
	}
	if i < len(s.starts) {
		return s.starts[i]
	}
	return noOffset
}

func (s *segments) close() {
	if s.f != nil {
		s.f.Close()
		s.f = nil
	}
}
