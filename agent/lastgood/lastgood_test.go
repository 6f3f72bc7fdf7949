package lastgood_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/agent/lastgood"
)

type lab struct {
	*testing.T
	dir   string
	store *lastgood.Store
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, dir: filepath.Join(t.TempDir(), "lastgood")}
	l.open()
	return l
}

func (l *lab) open() {
	l.Helper()
	var err error
	if l.store, err = lastgood.Open(l.dir); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) put(content string) string {
	l.Helper()
	sum := sha256.Sum256([]byte(content))
	digest := hex.EncodeToString(sum[:])
	if err := l.store.Put(digest, []byte(content)); err != nil {
		l.Fatal(err)
	}
	return digest
}

func (l *lab) load() lastgood.Index {
	l.Helper()
	index, err := l.store.Load()
	if err != nil {
		l.Fatal(err)
	}
	return index
}

func (l *lab) write(name, content string) {
	l.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(content), 0o600); err != nil {
		l.Fatal(err)
	}
}

func index(digest, good, notice string) lastgood.Index {
	return lastgood.Index{
		StoreID: "store", Generation: 12,
		Sites: []lastgood.Site{
			{Name: "shop", Revision: 3, Digest: digest, Epoch: 2, Good: good, GoodRevision: 2},
			{Name: "blog", Revision: 1, Digest: digest},
		},
		Notices: []lastgood.Notice{{Name: "n", Digest: notice, End: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, {Name: "m", Digest: notice}},
	}
}

// What was saved is there after the store is opened again; a new store has nothing, and that is no error.
func TestIndex(t *testing.T) {
	l := newLab(t)
	if diff := cmp.Diff(lastgood.Index{}, l.load()); diff != "" {
		t.Error(diff)
	}
	want := index("d", "g", "n")
	if err := l.store.Save(want); err != nil {
		t.Fatal(err)
	}
	l.open()
	if diff := cmp.Diff(want, l.load()); diff != "" {
		t.Error(diff)
	}
}

// An index that its disk damaged does not empty the host: the copy is taken. Without one nothing is guessed.
func TestDamagedIndex(t *testing.T) {
	for name, damage := range map[string]string{"empty": "", "half": `{"store_id": "sto`, "zeros": "\x00\x00\x00\x00"} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			want := index("d", "g", "n")
			if err := l.store.Save(want); err != nil {
				t.Fatal(err)
			}
			l.write("index.json", damage)
			if diff := cmp.Diff(want, l.load()); diff != "" {
				t.Error(diff)
			}
			l.write("index.copy.json", damage)
			if got, err := l.store.Load(); err == nil {
				t.Errorf("both are damaged: %+v", got)
			}
			// The next manifest mends it.
			if err := l.store.Save(want); err != nil {
				t.Fatal(err)
			}
			l.write("index.copy.json", damage)
			if diff := cmp.Diff(want, l.load()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A torn index that never had a copy is an error that names it.
func TestTornIndexAlone(t *testing.T) {
	l := newLab(t)
	l.write("index.json", "{")
	if _, err := l.store.Load(); err == nil || !strings.Contains(err.Error(), "index.json") {
		t.Errorf("a torn index is taken: %v", err)
	}
}

// A document is given whole or not at all.
func TestDocuments(t *testing.T) {
	l := newLab(t)
	digest := l.put("a site")
	if got, err := l.store.Get(digest); err != nil || string(got) != "a site" {
		t.Errorf("%q %v", got, err)
	}
	for _, damage := range []string{"", "a sit", "a sitE", "a site and more"} {
		l.write("documents/"+digest, damage)
		if got, err := l.store.Get(digest); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q is given out: %q %v", damage, got, err)
		}
	}
	l.put("a site")
	if _, err := l.store.Get(digest); err != nil {
		t.Errorf("put again: %v", err)
	}
	sum := sha256.Sum256(nil)
	if _, err := l.store.Get(hex.EncodeToString(sum[:])); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := l.store.Put("../outside", []byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(l.dir, "outside")); err == nil {
		t.Error("a document is written beside the documents")
	}
	for _, outside := range []string{"../index.json", "/etc/passwd", "..", ""} {
		if got, err := l.store.Get(outside); err == nil {
			t.Errorf("%q gives %q", outside, got)
		}
	}
}

// Documents that nothing names go, also half-written ones; wanted and last good ones stay.
func TestSweep(t *testing.T) {
	l := newLab(t)
	wanted, good, notice, old := l.put("wanted"), l.put("good"), l.put("notice"), l.put("old")
	if err := l.store.Save(index(wanted, good, notice)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.store.Get(old); err != nil { // it may belong to a manifest that is still to come
		t.Errorf("saving dropped a document: %v", err)
	}
	l.write("documents/."+old+".123", "hal")
	if err := l.store.Sweep(index(wanted, good, notice)); err != nil {
		t.Fatal(err)
	}
	for _, digest := range []string{wanted, good, notice} {
		if _, err := l.store.Get(digest); err != nil {
			t.Errorf("swept away: %v", err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(l.dir, "documents"))
	if err != nil || len(entries) != 3 {
		t.Errorf("%v %v", entries, err)
	}
}

// Nobody but the agent's user reads what is kept.
func TestModes(t *testing.T) {
	l := newLab(t)
	digest := l.put("a site")
	if err := l.store.Save(index(digest, "", "")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{".": 0o700, "documents": 0o700, "documents/" + digest: 0o600, "index.json": 0o600, "index.copy.json": 0o600} {
		info, err := os.Stat(filepath.Join(l.dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}
