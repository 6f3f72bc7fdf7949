package accesslog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

const (
	// runSize is when a run ends and the next begins, in bytes of lines: one segment.
	runSize = capture.SegmentSize
	// runsKept, the newest among them, have room in an application's quota beside the segment that is begun next.
	runsKept = capture.ApplicationQuota/runSize - 1
)

// file is the newest run of a log. Its lines are the stdout of the run.
type file struct {
	dir     string
	limit   int64 // when a run ends
	nextRun func() (uint64, error)
	log     hclog.Logger

	writer *capture.Writer // nil before the first line
	size   int64
	lost   uint64 // before there was a writer
}

// ready sees to it that there is a run with room, the one of an earlier worker if that has some. It says whether it is a
// fresh one.
func (f *file) ready() (fresh bool, err error) {
	if f.writer != nil && f.size < f.limit {
		return false, nil
	}
	if f.writer == nil {
		if run := lastRun(f.dir); run != "" {
			if f.size = f.written(run); f.size < f.limit {
				return false, f.open(run)
			}
		}
	} else {
		ended := errors.Join(f.writer.End(), f.writer.Close())
		if f.writer = nil; ended != nil {
			return false, ended
		}
	}
	n, err := f.nextRun()
	if err != nil {
		return false, err
	}
	f.size = 0
	if err := f.open(filepath.Join(f.dir, strconv.FormatUint(n, 10))); err != nil {
		return false, err
	}
	if err := capture.PruneRuns(f.dir, runsKept, nil); err != nil {
		f.log.Warn("old runs not removed", "error", err)
	}
	return true, nil
}

func (f *file) open(run string) (err error) {
	if f.writer, err = capture.OpenWriter(run); err != nil {
		return err
	}
	f.writer.Lose(capture.Stdout, f.lost)
	f.lost = 0
	return nil
}

func (f *file) append(lines []byte) error {
	err := f.writer.Append(capture.Stdout, lines)
	if err == nil {
		f.size += int64(len(lines))
	}
	return err
}

// lose notes lines that will not be there.
func (f *file) lose(bytes uint64) {
	if f.writer == nil {
		f.lost += bytes
	} else if bytes > 0 {
		f.writer.Lose(capture.Stdout, bytes)
	}
}

// close leaves the run open for the next worker.
func (f *file) close() error {
	if f.writer == nil {
		return nil
	}
	return f.writer.Close()
}

// lastRun gives the directory of the newest run; empty: there is none.
func lastRun(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	var runs []uint64
	for _, e := range entries {
		if n, err := strconv.ParseUint(e.Name(), 10, 64); err == nil && e.IsDir() {
			runs = append(runs, n)
		}
	}
	if len(runs) == 0 {
		return ""
	}
	return filepath.Join(dir, strconv.FormatUint(slices.Max(runs), 10))
}

// written is how much a run holds; one whose marks have grown although its lines are gone counts as full.
func (f *file) written(run string) int64 {
	var size int64
	segments, err := filepath.Glob(filepath.Join(run, capture.Stdout.String()+".*"))
	if err != nil {
		return f.limit
	}
	for _, path := range segments {
		if info, err := os.Stat(path); err == nil {
			size += info.Size()
		}
	}
	if info, err := os.Stat(filepath.Join(run, capture.MarksFile)); err == nil && len(segments) == 0 && info.Size() > 0 {
		return f.limit
	}
	return size
}
