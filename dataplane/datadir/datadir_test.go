package datadir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLockIsForOne(t *testing.T) {
	dir := t.TempDir()
	first, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); err == nil || !strings.Contains(err.Error(), dir+": in use by another agent") {
		t.Errorf("second lock: %v", err)
	}
	_ = first.Close()
	if again, err := Lock(dir); err != nil {
		t.Error(err)
	} else {
		_ = again.Close()
	}
	if _, err := Lock(filepath.Join(dir, "missing")); err == nil {
		t.Error("a directory that does not exist was locked")
	}
}

func TestIDIsMadeOnce(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	id, err := ID(dir)
	if err != nil || len(id) < 16 {
		t.Fatalf("%q, %v", id, err)
	}
	if again, err := ID(dir); err != nil || again != id {
		t.Errorf("%q, then %q, %v", id, again, err)
	}
	if foreign, _ := ID(other); foreign == id {
		t.Error("two directories have one identity")
	}
	// A torn file is no identity.
	if err := os.WriteFile(filepath.Join(dir, "keeper-id"), []byte("AB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := ID(dir); err != nil || len(again) < 16 {
		t.Errorf("%q, %v", again, err)
	}
}
