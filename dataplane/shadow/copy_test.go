package shadow

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Holes stay holes, and all bytes between them arrive.
func TestHoles(t *testing.T) {
	l := newLab(t, "copies")
	file, err := os.OpenFile(l.root+"/sparse.dat", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 1 << 20, 1 << 30} {
		if _, err := file.WriteAt([]byte("here"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(file.Truncate(2<<30), file.Close()); err != nil {
		t.Fatal(err)
	}
	made, err := os.Open(l.take().Path + "/sparse.dat")
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	info, err := made.Stat()
	if err != nil || info.Size() != 2<<30 || info.Sys().(*syscall.Stat_t).Blocks*512 > 1<<20 {
		t.Errorf("%d bytes, %d on disk, %v", info.Size(), info.Sys().(*syscall.Stat_t).Blocks*512, err)
	}
	for _, at := range []int64{0, 1 << 20, 1 << 30} {
		text := make([]byte, 4)
		if _, err := made.ReadAt(text, at); err != nil || string(text) != "here" {
			t.Errorf("at %d: %q, %v", at, text, err)
		}
	}
}

// What does not fit is refused before it is tried, with what it needs.
func TestNoRoom(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	err = (&tree{left: 1 << 60}).room(file)
	if err == nil || !strings.Contains(err.Error(), "it needs 1099511627776.0 MiB, and the file system of the copies has less to spare") {
		t.Errorf("%v", err)
	}
	if err := (&tree{left: 1}).room(file); err != nil {
		t.Error(err)
	}
}

// A copy that is interrupted has no number, and what it leaves is deleted, also what an agent left that died over it.
func TestInterrupted(t *testing.T) {
	l := newLab(t, "copies")
	stopped := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stopped)
	if _, err := l.copies.Take(ctx, l.from); !errors.Is(err, stopped) {
		t.Errorf("%v", err)
	}
	if got := l.numbers(); got != "" {
		t.Errorf("copies %s", got)
	}
	l.write("copies/"+prefix+"A1-half/App.dll", "ha")
	l.write("copies/"+prefix+"B2-half/App.dll", "ha")
	l.write("copies/"+leasePrefix+"77", "A1\n")
	l.take()
	if got := l.hidden(); !slices.Equal(got, []string{prefix + "B2-half"}) {
		t.Errorf("left: %v", got)
	}
	if _, err := os.Stat(filepath.Join(l.copies.Dir(), leasePrefix+"77")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a lease without a copy is kept: %v", err)
	}
}

// The one file that changed is named, code first.
func TestChangedSince(t *testing.T) {
	l := newLab(t, "copies")
	now := time.Now()
	lookUntil := func(want string) {
		t.Helper()
		files, err := ChangedSince(t.Context(), l.from, now)
		if got := strings.Join(files, " "); err != nil || got != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
	}
	old := now.Add(time.Hour)
	if files, err := ChangedSince(t.Context(), l.from, old); err != nil || len(files) > 0 {
		t.Errorf("%v, %v", files, err)
	}
	now = now.Add(-time.Hour)
	l.write("a/log.txt", "")
	lookUntil("App.dll App.runtimeconfig.json a/log.txt")
}
