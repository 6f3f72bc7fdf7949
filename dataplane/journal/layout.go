package journal

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// listRuns returns the runs of an application that have a directory, ascending; none when there is no such application.
func listRuns(dir string) ([]uint64, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var runs []uint64
	for _, e := range entries {
		n, err := strconv.ParseUint(e.Name(), 10, 64)
		if err == nil && e.IsDir() {
			runs = append(runs, n)
		}
	}
	slices.Sort(runs)
	return runs, nil
}

// NewestRun gives the highest run of an application that has a directory; 0 without one.
func (j *Journal) NewestRun(site, app string) uint64 {
	runs, err := listRuns(capture.AppDir(j.root, site, app))
	if err != nil || len(runs) == 0 {
		return 0
	}
	return runs[len(runs)-1]
}

// listApps returns the application paths of a site that have captures, sorted.
func listApps(root, site string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(root, site))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var apps []string
	for _, e := range entries {
		app, err := url.PathUnescape(e.Name())
		if err == nil && e.IsDir() {
			apps = append(apps, app)
		}
	}
	slices.Sort(apps)
	return apps, nil
}
