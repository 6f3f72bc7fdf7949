package capture

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func openRun(t *testing.T, dir string) *Writer {
	t.Helper()
	w, err := OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func files(dir, pattern string) []string {
	paths, _ := filepath.Glob(filepath.Join(dir, pattern))
	return paths
}

// Events of run 0 come one by one, each through a writer of its own; they share a segment.
func TestReopenedRunGoesOnInItsSegment(t *testing.T) {
	dir := RunDir(t.TempDir(), "shop", "/", 0)
	want := ""
	for i := range 20 {
		w := openRun(t, dir)
		line := fmt.Sprintf("event %d\n", i)
		if err := w.Append(Event, []byte(line)); err != nil {
			t.Fatal(err)
		}
		want += line
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	paths := files(dir, "event.*")
	if len(paths) != 1 {
		t.Fatalf("%d segments", len(paths))
	}
	if got, _ := os.ReadFile(paths[0]); string(got) != want {
		t.Errorf("%q", got)
	}
	// A segment that lacks bytes that were marked cannot be gone on in: a hole would be read as output.
	if err := os.Truncate(paths[0], 10); err != nil {
		t.Fatal(err)
	}
	w := openRun(t, dir)
	if err := w.Append(Event, []byte("more\n")); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if got := files(dir, "event.*"); len(got) != 2 {
		t.Errorf("%d segments", len(got))
	}
}

// What is written after somebody deleted the open segment is found in the next.
func TestDeletedSegmentIsReplaced(t *testing.T) {
	dir := RunDir(t.TempDir(), "shop", "/", 1)
	w := openRun(t, dir)
	defer w.Close()
	if err := w.Append(Stdout, []byte("gone\n")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, SegmentName(Stdout, 0))); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(Stdout, []byte("kept\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, SegmentName(Stdout, 5))); string(got) != "kept\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// The quota is of the application: also many runs none of which fills a segment stay below it.
func TestQuotaCoversShortRuns(t *testing.T) {
	root := t.TempDir()
	chunk := bytes.Repeat([]byte("x"), 6<<20)
	for run := uint64(1); run <= 20; run++ {
		w := openRun(t, RunDir(root, "shop", "/", run))
		if err := w.Append(Stdout, chunk); err != nil {
			t.Fatal(err)
		}
		_ = w.Close()
	}
	if n := len(files(AppDir(root, "shop", "/"), "*/stdout.*")); n > ApplicationQuota/len(chunk) {
		t.Errorf("%d segments of %d bytes", n, len(chunk))
	}
	if n := len(files(RunDir(root, "shop", "/", 20), "stdout.*")); n != 1 {
		t.Error("the newest is gone")
	}
}

func TestOldRunsGo(t *testing.T) {
	root := t.TempDir()
	for run := range uint64(RunsKept + 5) {
		if err := os.MkdirAll(RunDir(root, "shop", "/", run), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	open := map[string]*Writer{RunDir(root, "shop", "/", 2): {}}
	if err := PruneRuns(AppDir(root, "shop", "/"), RunsKept, open); err != nil {
		t.Fatal(err)
	}
	for run, want := range map[uint64]bool{0: true, 1: false, 2: true, 3: false, 4: false, 5: true, RunsKept + 4: true} {
		if _, err := os.Stat(RunDir(root, "shop", "/", run)); (err == nil) != want {
			t.Errorf("run %d: kept %v, want %v", run, err == nil, want)
		}
	}
}

// A full disk never blocks the application; what was lost is counted as soon as there is room.
func TestFullDiskIsDrainedAndCounted(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, "size=128k"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Unmount(root, unix.MNT_DETACH) }()
	dir := RunDir(root, "shop", "/", 1)
	w := openRun(t, dir)
	pipe, err := w.Pipe(Stdout)
	if err != nil {
		t.Fatal(err)
	}
	const total = 1 << 20
	written := make(chan error, 1)
	go func() {
		_, err := pipe.Write(bytes.Repeat([]byte("y"), total))
		written <- err
	}()
	select {
	case err := <-written:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the application is blocked")
	}
	if err := unix.Mount("", root, "", unix.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.WriteString("after\n"); err != nil {
		t.Fatal(err)
	}
	_ = pipe.Close()
	if err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	var lost, kept uint64
	for _, m := range marks(t, dir) {
		switch m.Kind {
		case Lost:
			lost += m.Offset
		case Data:
			kept = m.Offset
		}
	}
	if lost == 0 || kept == 0 || lost+kept != total+uint64(len("after\n")) {
		t.Errorf("%d kept + %d lost, want %d", kept, lost, total+len("after\n"))
	}
	var text []byte
	for _, path := range files(dir, "stdout.*") {
		part, _ := os.ReadFile(path)
		text = append(text, part...)
	}
	if !strings.HasSuffix(string(text), "after\n") {
		t.Errorf("%d bytes, which end with %q", len(text), text[max(0, len(text)-10):])
	}
}

// A pipe whose writing end somebody else still holds does not keep a run from ending.
func TestFinishDoesNotWaitForStrangers(t *testing.T) {
	dir := RunDir(t.TempDir(), "shop", "/", 1)
	w := openRun(t, dir)
	pipe, err := w.Pipe(Stderr)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	if _, err := pipe.WriteString("said before\n"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- w.Finish() }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(20 * FinishLimit):
		t.Fatal("the run does not end")
	}
	all := marks(t, dir)
	if len(all) != 2 || all[0].Kind != Data || all[0].Offset != 12 || all[1].Kind != End {
		t.Errorf("%+v", all)
	}
}

// Reading back a run gives the same numbers however it was torn.
func FuzzResume(f *testing.F) {
	f.Add(AppendMark(AppendMark(nil, Mark{Number: 1, Stream: Event, Offset: 5}), Mark{Number: 2, Kind: End}), []byte("line\n"))
	f.Add([]byte{1, 2, 3}, []byte{})
	f.Fuzz(func(t *testing.T, torn, segment []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, MarksFile), torn, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, SegmentName(Event, 0)), segment, 0o600); err != nil {
			t.Fatal(err)
		}
		var before []Mark
		for b := torn; ; b = b[MarkSize:] {
			m, ok := DecodeMark(b)
			if !ok {
				break
			}
			before = append(before, m)
		}
		w := openRun(t, dir)
		err := w.Append(Event, []byte("next\n"))
		_ = w.Close()
		data, _ := os.ReadFile(filepath.Join(dir, MarksFile))
		m, ok := DecodeMark(data[min(len(data), len(before)*MarkSize):])
		switch {
		case err != nil && ok:
			t.Fatalf("%v, and yet a mark %+v", err, m)
		case err == nil && (!ok || m.Kind != Data || len(before) > 0 && m.Number != before[len(before)-1].Number+1):
			t.Fatalf("mark %+v, %v after %+v", m, ok, before)
		}
	})
}
