package accesslog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lab is one site's log and the journal that reads it.
type lab struct {
	*testing.T
	root    string
	journal *journal.Journal
}

func newLab(t *testing.T) *lab {
	root := t.TempDir()
	j, err := journal.Open(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &lab{t, root, j}
}

func (l *lab) dir() string { return capture.AppDir(l.root, "shop", capture.AccessLog) }

func (l *lab) config() Config {
	return Config{Origin: *origin, Dir: l.dir(), NextRun: func() (uint64, error) { return l.journal.NextRun("shop", capture.AccessLog) }}
}

// run lets a log write until stop, which waits.
func run(log *Log) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); log.Run(ctx) }()
	return func() { cancel(); <-done }
}

func (l *lab) read(q journal.Query) []journal.Entry {
	l.Helper()
	q.Site = "shop"
	var all []journal.Entry
	for e, err := range l.journal.Read(l.Context(), q) {
		if err != nil {
			l.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func (l *lab) access() []journal.Entry {
	l.Helper()
	return l.read(journal.Query{Streams: []journal.Stream{journal.AccessStream}})
}

func request(path string) *Entry {
	e := usual()
	e.Path = []byte(path)
	return e
}

// Lines come out of the journal as their own stream, belong to no application, and go on with the next worker.
func TestLogIsReadByTheJournal(t *testing.T) {
	l := newLab(t)
	for worker := range 3 {
		log := New(l.config())
		log.SetForm(site.AccessLogCombined)
		stop := run(log)
		for i := range 100 {
			log.Add(request(fmt.Sprintf("/%d/%d", worker, i)))
		}
		stop()
	}
	got := l.access()
	if len(got) != 300 {
		t.Fatalf("%d lines", len(got))
	}
	for i, e := range got {
		if want := fmt.Sprintf("GET /%d/%d?", i/100, i%100); !strings.Contains(string(e.Line), want) || e.Sequence != uint64(i+1) || e.Dropped != 0 {
			t.Fatalf("line %d: %+v %s", i, e, e.Line)
		}
		e.Line, e.Time, e.Cursor, e.Sequence = nil, time.Time{}, "", 0
		if diff := cmp.Diff(journal.Entry{Site: "shop", Run: 1, Stream: journal.AccessStream}, e); diff != "" {
			t.Fatal(diff)
		}
	}
	if rest := l.read(journal.Query{Streams: []journal.Stream{journal.AccessStream}, Cursors: []string{got[249].Cursor}}); len(rest) != 50 {
		t.Errorf("%d lines behind a cursor, want 50", len(rest))
	}
	root, one := "/", capture.AccessLog
	for name, q := range map[string]journal.Query{
		"usual streams": {}, "all of an application": {Application: &root, Streams: []journal.Stream{journal.Stdout, journal.AccessStream}},
		"by its directory": {Application: &one}, "an instance": {Instance: 1, Streams: []journal.Stream{journal.AccessStream}},
		"previous": {Previous: 1, Streams: []journal.Stream{journal.AccessStream}},
	} {
		if lines := l.read(q); len(lines) > 0 {
			t.Errorf("%s: %d access lines, the first is %+v", name, len(lines), lines[0])
		}
	}
}

// What an application writes and what its visitors ask are told apart, and merged when both are wanted.
func TestBothStreams(t *testing.T) {
	l := newLab(t)
	w, err := capture.OpenWriter(capture.RunDir(l.root, "shop", "/", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Append(capture.Stdout, []byte("from the application\n")); err != nil {
		t.Fatal(err)
	}
	log := New(l.config())
	log.SetForm(site.AccessLogJSON)
	stop := run(log)
	log.Add(usual())
	stop()
	if got := l.read(journal.Query{}); len(got) != 1 || string(got[0].Line) != "from the application" {
		t.Errorf("without access: %+v", got)
	}
	got := l.read(journal.Query{Streams: []journal.Stream{journal.Stdout, journal.AccessStream}})
	if len(got) != 2 || got[0].Stream != journal.Stdout || got[0].Application != "/" || got[1].Stream != journal.AccessStream {
		t.Errorf("%+v", got)
	}
}

// A change of form holds from the next line on; W3C begins with its directives, in every run.
func TestChangeOfForm(t *testing.T) {
	l := newLab(t)
	log := New(l.config())
	stop := run(log)
	log.Add(usual())
	log.SetForm(site.AccessLogW3C)
	log.SetForm(site.AccessLogW3C)
	log.Add(usual())
	log.SetForm(site.AccessLogJSON)
	log.Add(usual())
	log.SetForm(site.AccessLogOff)
	log.Add(usual())
	stop()
	var begins []string
	for _, e := range l.access() {
		begins = append(begins, string(e.Line[:4]))
	}
	if diff := cmp.Diff([]string{"#Sof", "#Ver", "#Dat", "#Fie", "2026", `{"ti`}, begins); diff != "" {
		t.Error(diff)
	}
}

// The log is bounded: old runs go, the newest is whole, and every run of W3C can be read alone.
func TestRunsAreBounded(t *testing.T) {
	l := newLab(t)
	log := New(l.config())
	log.SetForm(site.AccessLogW3C)
	log.file.limit = 32 << 10
	for i := range 5000 {
		log.Add(usual())
		if i%10 == 0 {
			if _, err := log.flush(nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer log.file.close()
	if log.Dropped() > 0 {
		t.Errorf("%d lines dropped", log.Dropped())
	}
	runs, err := filepath.Glob(filepath.Join(l.dir(), "[0-9]*"))
	if err != nil || len(runs) != runsKept {
		t.Errorf("%d runs %v", len(runs), err)
	}
	for i, run := range runs[:len(runs)-1] {
		if size := log.file.written(run); size < 32<<10 || size > 40<<10 {
			t.Errorf("run %d has %d bytes", i, size)
		}
	}
	first := map[uint64]bool{}
	for _, e := range l.access() {
		if e.Dropped > 0 {
			t.Fatalf("a gap of %d in run %d", e.Dropped, e.Run)
		}
		if !first[e.Run] && !strings.HasPrefix(string(e.Line), "#Software") {
			t.Errorf("run %d begins with %.40s", e.Run, e.Line)
		}
		first[e.Run] = true
	}
}

// A disk that does not take lines costs lines, and says so; nobody waits for it.
func TestDroppedLinesAreAGap(t *testing.T) {
	l := newLab(t)
	config := l.config()
	broken, next := errors.New("disk"), config.NextRun
	config.NextRun = func() (uint64, error) {
		if broken != nil {
			return 0, broken
		}
		return next()
	}
	log := New(config)
	log.SetForm(site.AccessLogCombined)
	log.Add(request("/lost"))
	if _, err := log.flush(nil); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	broken = nil
	log.Add(request("/kept"))
	for log.lostBytes == 0 { // nobody writes: the buffer is full in the end
		log.Add(request("/more"))
	}
	if _, err := log.flush(nil); err != nil {
		t.Fatal(err)
	}
	log.Add(request("/after"))
	if _, err := log.flush(nil); err != nil {
		t.Fatal(err)
	}
	defer log.file.close()
	got := l.access()
	if n := len(got); n < 3 || !strings.Contains(string(got[0].Line), "/kept") || got[0].Dropped != 0 && got[0].Dropped != 1 ||
		!strings.Contains(string(got[n-1].Line), "/after") || got[n-1].Dropped != 1 {
		t.Errorf("%d lines, %+v to %+v", n, got[0], got[n-1])
	}
	if log.Dropped() != 2 {
		t.Errorf("%d dropped, want 2", log.Dropped())
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	log := New(Config{})
	log.SetForm(site.AccessLogJSON)
	e := usual()
	buf := make([]byte, 0, bufferSize)
	if n := testing.AllocsPerRun(1000, func() {
		log.pending = buf
		log.Add(e)
	}); n > 0 && !raced {
		t.Errorf("%v allocations", n)
	}
}

// A full disk: what does not fit whole is not there at all.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full")
	}
	l := newLab(t)
	run := filepath.Join(l.dir(), "1")
	if err := os.MkdirAll(run, 0o700); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(run, capture.SegmentName(capture.Stdout, 0))
	if err := os.Symlink("/dev/full", full); err != nil {
		t.Fatal(err)
	}
	log := New(l.config())
	log.SetForm(site.AccessLogJSON)
	log.Add(request("/lost"))
	if _, err := log.flush(nil); err == nil {
		t.Fatal("a full disk took it")
	}
	if len(l.access()) != 0 || log.Dropped() != 1 {
		t.Errorf("%d lines, %d dropped", len(l.access()), log.Dropped())
	}
	_ = log.file.close()
}
