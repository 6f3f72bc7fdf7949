package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// indexFile holds checkpoints of a run. It is a cache: deleted or damaged, it is counted again from the capture.
const indexFile = "index"

var indexMagic = []byte("ancora index 1\n\x00")

type runKey struct {
	site, app string
	run       uint64
}

// run is what all readers of one run share: its checkpoints and what is to be redacted.
type run struct {
	dir      string
	secrets  secrets
	instance uint32
	refs     int // guarded by Journal.mu

	mu     sync.Mutex
	points []state // ascending by mark
	file   *os.File
}

// acquire opens a run, or joins those who read it already.
func (j *Journal) acquire(key runKey) *run {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.runs[key]
	if r == nil {
		dir := capture.RunDir(j.root, key.site, key.app, key.run)
		r = &run{dir: dir, secrets: loadSecrets(dir), instance: loadInstance(dir, key.run)}
		r.load()
		j.runs[key] = r
	}
	r.refs++
	return r
}

func (j *Journal) release(key runKey, r *run) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if r.refs--; r.refs > 0 {
		return
	}
	delete(j.runs, key)
	if r.file != nil {
		r.file.Close()
	}
}

func loadInstance(dir string, run uint64) uint32 {
	if run == 0 {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(dir, instanceFile))
	if err != nil {
		return 1
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	if err != nil || n == 0 {
		return 1
	}
	return uint32(n)
}

// load reads the checkpoints kept on disk as far as they can be trusted: whole, growing, and about marks that are there.
func (r *run) load() {
	info, err := os.Stat(filepath.Join(r.dir, capture.MarksFile))
	if err != nil {
		return
	}
	data, err := os.ReadFile(filepath.Join(r.dir, indexFile))
	if err != nil || !bytes.HasPrefix(data, indexMagic) {
		return
	}
	var last state
	for b := range slices.Chunk(data[len(indexMagic):], stateSize) {
		s, ok := decodeState(b)
		if !ok || s.mark > uint64(info.Size())/capture.MarkSize {
			return
		}
		if s.mark <= last.mark {
			continue // another worker wrote it as well, during a hand-over
		}
		if s.sequence < last.sequence {
			return
		}
		r.points = append(r.points, s)
		last = s
	}
}

// add keeps a checkpoint a reader came by, unless it is known.
func (r *run) add(s state) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.points); n > 0 && s.mark <= r.points[n-1].mark {
		return
	}
	r.points = append(r.points, s)
	if r.file == nil && !r.create() {
		return
	}
	// One write appends a whole record; when it fails, it is only counted again.
	_, _ = r.file.Write(s.append(nil))
}

// create opens the index for appending, beginning it anew when what is there is not what was loaded.
func (r *run) create() bool {
	f, err := os.OpenFile(filepath.Join(r.dir, indexFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return false
	}
	size := int64(len(indexMagic) + (len(r.points)-1)*stateSize)
	if info, err := f.Stat(); err == nil && info.Size() != size {
		all := slices.Clone(indexMagic)
		for _, s := range r.points[:len(r.points)-1] {
			all = s.append(all)
		}
		if f.Truncate(0) == nil {
			_, _ = f.Write(all)
		}
	}
	r.file = f
	return true
}

// before returns the last checkpoint that satisfies ok, where ok holds for a first part of all; the zero state when none
// does.
func (r *run) before(ok func(*state) bool) state {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := sort.Search(len(r.points), func(i int) bool { return !ok(&r.points[i]) })
	if i == 0 {
		return state{}
	}
	return r.points[i-1]
}

// readable returns the first checkpoint at or behind mark from which everything is still on disk.
func (r *run) readable(mark uint64, first [streamCount]uint64) (state, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.points {
		if s.mark < mark {
			continue
		}
		whole := true
		for i := 1; i < streamCount; i++ {
			whole = whole && (s.open[i] >= first[i] || first[i] == noOffset && s.open[i] == s.end[i])
		}
		if whole {
			return s, true
		}
	}
	return state{}, false
}
