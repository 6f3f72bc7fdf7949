package capture

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

type segmentFile struct {
	path string
	size int64
	time time.Time
}

// prune deletes the oldest segments of an application until ApplicationQuota has room for one more. keep names those one
// writer has open; another's may go, who then begins a new one.
func prune(appDir string, keep map[string]bool) {
	paths, err := filepath.Glob(filepath.Join(appDir, "*", "*.*"))
	if err != nil {
		return
	}
	var all []segmentFile
	total := int64(SegmentSize)
	for _, path := range paths {
		if _, _, ok := ParseSegment(filepath.Base(path)); !ok {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			continue
		}
		total += info.Size()
		all = append(all, segmentFile{path, info.Size(), info.ModTime()})
	}
	slices.SortFunc(all, func(a, b segmentFile) int { return a.time.Compare(b.time) })
	for _, s := range all {
		if total <= ApplicationQuota {
			return
		}
		if !keep[s.path] && os.Remove(s.path) == nil {
			total -= s.size
		}
	}
}

// PruneRuns removes all but the newest runs of an application, so many of them; run 0 and the directories in open stay.
func PruneRuns(appDir string, keep int, open map[string]*Writer) error {
	entries, err := os.ReadDir(appDir)
	if err != nil {
		return err
	}
	var runs []uint64
	for _, e := range entries {
		if run, err := strconv.ParseUint(e.Name(), 10, 64); err == nil && run > 0 && open[filepath.Join(appDir, e.Name())] == nil {
			runs = append(runs, run)
		}
	}
	slices.Sort(runs)
	for len(runs) > keep {
		if err := os.RemoveAll(filepath.Join(appDir, strconv.FormatUint(runs[0], 10))); err != nil {
			return err
		}
		runs = runs[1:]
	}
	return nil
}
