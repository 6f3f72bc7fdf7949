package lastgood

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func put(t *testing.T, s *Store, content string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	digest := hex.EncodeToString(sum[:])
	if err := s.Put(digest, []byte(content)); err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestKeeps(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if index, err := s.Load(); err != nil || index.StoreID != "" {
		t.Errorf("%+v, %v", index, err)
	}
	wanted, good, other := put(t, s, "wanted"), put(t, s, "good"), put(t, s, "other")
	index := Index{StoreID: "A", Generation: 3, Sites: []Site{{Name: "a", Revision: 2, Digest: wanted, Good: good, GoodRevision: 1}},
		Notices: []Notice{{Name: "n-1", Digest: other, End: time.Now().UTC().Truncate(time.Second)}}}
	if err := s.Save(index); err != nil {
		t.Fatal(err)
	}
	stray := put(t, s, "stray") // may belong to a manifest that is still to come
	again, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Load(); err != nil || cmp.Diff(index, got) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(index, got))
	}
	if _, err := again.Get(stray); err != nil {
		t.Errorf("saving dropped a document: %v", err)
	}
	if err := again.Sweep(index); err != nil {
		t.Fatal(err)
	}
	for digest, there := range map[string]bool{wanted: true, good: true, other: true, stray: false} {
		if _, err := again.Get(digest); (err == nil) != there {
			t.Errorf("%s: %v", digest, err)
		}
	}
}

// A torn document is none; a torn index is an error that names it.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	digest := put(t, s, "a document of some length")
	if err := os.Truncate(filepath.Join(dir, documents, digest), 5); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(digest); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, indexFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); err == nil {
		t.Error("a torn index is taken")
	}
}
