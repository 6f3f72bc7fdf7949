package stdoutlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/rootfile"
)

// lab is logs over captures that the test writes as the keeper does.
type lab struct {
	*testing.T
	captures, root string
	journal        *journal.Journal
	logs           *Logs
	size           int64

	mu    sync.Mutex
	warns []string
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, captures: t.TempDir(), root: t.TempDir(), size: DefaultSize}
	var err error
	if l.journal, err = journal.Open(l.captures, nil); err != nil {
		t.Fatal(err)
	}
	l.begin()
	t.Cleanup(func() { l.logs.Close() })
	return l
}

// begin is another worker.
func (l *lab) begin() {
	l.logs = New(Config{Journal: l.journal, Captures: l.captures, Size: l.size, Files: 3, Warn: func(_ process.Identity, reason string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.warns = append(l.warns, reason)
	}})
}

func (l *lab) warned() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.warns)
}

func (l *lab) target(path string) Target {
	return Target{Folder: rootfile.Folder{Path: l.root}, Path: path}
}

// started is when the processes of the tests began.
func started() time.Time { return time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3600)) }

func (l *lab) run() (*capture.Writer, process.Identity) {
	l.Helper()
	n, err := l.journal.NextRun("shop", "/")
	if err != nil {
		l.Fatal(err)
	}
	w, err := capture.OpenWriter(capture.RunDir(l.captures, "shop", "/", n))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { w.Close() })
	return w, process.Identity{Site: "shop", Application: "/", Instance: 1, Run: n}
}

func (l *lab) write(w *capture.Writer, s capture.Stream, text string) {
	l.Helper()
	if err := w.Append(s, []byte(text)); err != nil {
		l.Fatal(err)
	}
}

// files gives what the root holds, by name.
func (l *lab) files() map[string]string {
	l.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(l.root, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && d.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed for its age
		}
		name, _ := filepath.Rel(l.root, path)
		all[name] = string(text)
		return err
	})
	if err != nil {
		l.Fatal(err)
	}
	return all
}

// eventually waits until check finds nothing wrong.
func (l *lab) eventually(check func() string) {
	l.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		wrong := check()
		if wrong == "" {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			l.Fatal(wrong)
		}
	}
}

func (l *lab) holds(want map[string]string) {
	l.Helper()
	l.eventually(func() string {
		got := l.files()
		if fmt.Sprint(got) == fmt.Sprint(want) {
			return ""
		}
		return fmt.Sprintf("%.300q, want %.300q", got, want)
	})
}

// Both streams in one file, whose name has the time in UTC and the process (LOG-2, LOG-4, LOG-5).
func TestOneFile(t *testing.T) {
	l := newLab(t)
	w, run := l.run()
	l.logs.Follow(run, l.target("logs/a/stdout"), 4711, started())
	l.holds(map[string]string{"logs/a/stdout_20260304040607_4711.log": ""})
	l.write(w, capture.Stdout, "out\n")
	l.write(w, capture.Stderr, "err ü\n")
	l.holds(map[string]string{"logs/a/stdout_20260304040607_4711.log": "out\nerr ü\n"})
	l.write(w, capture.Stdout, "the end")
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	l.logs.Ended(run)
	l.holds(map[string]string{"logs/a/stdout_20260304040607_4711.log": "out\nerr ü\nthe end"})
	l.eventually(func() string {
		if _, err := loadState(l.logs.dir(run)); err == nil {
			return "the state is kept although the file is complete"
		}
		return ""
	})
}

// A run that says nothing leaves an empty file, or none where that is asked for (LOG-3).
func TestEmpty(t *testing.T) {
	for _, drop := range []bool{false, true} {
		l := newLab(t)
		w, run := l.run()
		target := l.target("out")
		target.DropEmpty = drop
		l.logs.Follow(run, target, 1, started())
		l.holds(map[string]string{"out_20260304040607_1.log": ""})
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
		l.logs.Ended(run)
		l.logs.Close()
		if got := len(l.files()); got != map[bool]int{false: 1, true: 0}[drop] {
			t.Errorf("dropped %v: %d files", drop, got)
		}
	}
}

// Files have their size and their number; only what has a name of this pattern is ever removed, the oldest first.
func TestRotation(t *testing.T) {
	l := newLab(t)
	l.logs.config.Size = 100
	foreign := []string{"out_20200101000000_1.txt", "out.log", "out_1_1.log", "other_20200101000000_1.log", "out_20200101000000_1.log.bak", "xout_20200101000000_1.log"}
	for _, name := range append(foreign, "out_20200101000000_1.log", "out_20210101000000_7.log", "out_20210101000000_7_2.log") {
		if err := os.WriteFile(filepath.Join(l.root, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(l.root, "out_20190101000000_1.log"), 0o700); err != nil {
		t.Fatal(err)
	}
	w, run := l.run()
	l.logs.Follow(run, l.target("out"), 9, started())
	var all string
	for i := range 40 {
		line := fmt.Sprintf("line %02d %s\n", i, strings.Repeat(".", 20))
		all += line
		l.write(w, capture.Stdout, line)
	}
	last := "out_20260304040607_9_14.log"
	l.eventually(func() string {
		if !strings.HasSuffix(l.files()[last], "line 39 ....................\n") {
			return fmt.Sprintf("%q", l.files())
		}
		return ""
	})
	got := l.files()
	if len(got) != len(foreign)+3 {
		t.Errorf("%d files: %q", len(got), got)
	}
	var kept string
	for _, n := range []int{12, 13, 14} {
		text := got[fmt.Sprintf("out_20260304040607_9_%d.log", n)]
		if len(text) > 100 || text == "" {
			t.Errorf("file %d has %d bytes", n, len(text))
		}
		kept += text
	}
	if !strings.HasSuffix(all, kept) {
		t.Errorf("%q is not the end of what was said", kept)
	}
	for _, name := range foreign {
		if _, ok := got[name]; !ok {
			t.Errorf("%s was removed", name)
		}
	}
}

// Another worker goes on where the former stopped; what that wrote and did not note does not stand twice.
func TestNextWorker(t *testing.T) {
	l := newLab(t)
	w, run := l.run()
	const name = "out_20260304040607_5.log"
	l.logs.Follow(run, l.target("out"), 5, started())
	l.write(w, capture.Stdout, "one\n")
	l.holds(map[string]string{name: "one\n"})
	l.logs.Close()
	file, err := os.OpenFile(filepath.Join(l.root, name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("tw"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	l.write(w, capture.Stdout, "two\n")
	l.begin()
	l.logs.Follow(run, l.target("elsewhere"), 5, started().Add(time.Hour))
	l.holds(map[string]string{name: "one\ntwo\n"})
	l.logs.Close()

	// The run ends while no worker is there, and nobody tells the next one of it.
	l.write(w, capture.Stdout, "three\n")
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	l.begin()
	l.logs.Resume()
	l.holds(map[string]string{name: "one\ntwo\nthree\n"})
	l.eventually(func() string {
		if _, err := loadState(l.logs.dir(run)); err == nil {
			return "the state is kept although the file is complete"
		}
		return ""
	})
}

// Workers that are killed again and again, at any moment, lose no line and write none twice.
func TestKilledWorkers(t *testing.T) {
	l := newLab(t)
	l.logs.config.Size, l.size = 2000, 2000
	w, run := l.run()
	var all string
	for i := range 30 {
		l.logs.Follow(run, l.target("out"), 5, started())
		for k := range 20 {
			line := fmt.Sprintf("line %02d.%02d\n", i, k)
			all += line
			l.write(w, capture.Stdout, line)
		}
		l.logs.Close()
		l.begin()
		l.logs.config.Files = 100
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	l.logs.Follow(run, l.target("out"), 5, started())
	l.logs.Ended(run)
	l.logs.Close()
	var got string
	for n := 1; ; n++ {
		text, ok := l.files()[fileName("out", started(), 5, n)]
		if !ok {
			break
		}
		got += text
	}
	if got != all {
		t.Errorf("%d bytes, want %d", len(got), len(all))
	}
}

// A file that cannot be opened is told once, with the place; when it can be opened, nothing is missing.
func TestClosedFolder(t *testing.T) {
	l := newLab(t)
	beside := t.TempDir()
	link := filepath.Join(l.root, "logs")
	if err := os.Symlink(beside, link); err != nil {
		t.Fatal(err)
	}
	w, run := l.run()
	l.logs.Follow(run, l.target("logs/out"), 5, started())
	l.write(w, capture.Stdout, "one\n")
	l.eventually(func() string {
		if warns := l.warned(); len(warns) != 1 || !strings.Contains(warns[0], link) || !strings.Contains(warns[0], "symbolic link") {
			return fmt.Sprintf("warnings %q", warns)
		}
		return ""
	})
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	l.holds(map[string]string{"logs/out_20260304040607_5.log": "one\n"})
	if entries, err := os.ReadDir(beside); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v behind the link", entries, err)
	}
	if warns := l.warned(); len(warns) != 1 {
		t.Errorf("warnings %q", warns)
	}
}

// What the quota of the journal takes before it was written is told.
func TestGap(t *testing.T) {
	l := newLab(t)
	w, run := l.run()
	l.write(w, capture.Stdout, "one\n")
	w.Lose(capture.Stdout, 10)
	l.write(w, capture.Stdout, "three\n")
	l.logs.Follow(run, l.target("out"), 5, started())
	l.holds(map[string]string{"out_20260304040607_5.log": "one\n[ancora] lines are missing here: at least 1\nthree\n"})
}

func TestNamesOf(t *testing.T) {
	names := []string{"_20260101000000_2.log", "_20260101000000_10.log", "_20250101000000_99_3.log", "_20250101000000_99.log", "_20250101000000_99_12.log", "_2025_99.log", "a_20250101000000_99.log", "_20250101000000_99_.log"}
	if got := strings.Join(namesOf("", names), " "); got != "_20250101000000_99.log _20250101000000_99_3.log _20250101000000_99_12.log _20260101000000_2.log _20260101000000_10.log" {
		t.Error(got)
	}
}
