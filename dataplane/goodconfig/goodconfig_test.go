package goodconfig_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/goodconfig"
)

func record(content string) goodconfig.Record {
	return goodconfig.Record{Revision: 3, Epoch: 1, Files: []goodconfig.File{
		{Path: "/", Folder: "/srv/top"},
		{Path: "/stock", Folder: "/srv/stock", Name: "/srv/stock/Web.config", Content: []byte(content)},
	}}
}

func save(t *testing.T, s *goodconfig.Store, site, application string, r goodconfig.Record) {
	t.Helper()
	if err := s.Save(site, application, r); err != nil {
		t.Fatal(err)
	}
}

// files are all there are below a directory.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What was kept last is there, of this application and no other, also for a store that is opened later.
func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir() + "/webconfigs"
	s := goodconfig.New(dir)
	if _, err := s.Load("shop", "/stock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing was kept: %v", err)
	}
	save(t, s, "shop", "/stock", record("\xff\xfe<\x00"))
	save(t, s, "shop", "/stock", record("second"))
	save(t, s, "shop", "/stocks", record("another"))
	got, err := goodconfig.New(dir).Load("shop", "/stock")
	if diff := cmp.Diff(record("second"), got); err != nil || diff != "" || !got.Equal(record("second")) || got.Equal(record("first")) {
		t.Errorf("%v\n%s", err, diff)
	}
	for _, other := range [][2]string{{"shop", "/"}, {"blog", "/stock"}} {
		if got, err := s.Load(other[0], other[1]); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %+v, %v", other, got, err)
		}
	}
}

// web.config holds secrets: nobody but the agent's user reads it here.
func TestModes(t *testing.T) {
	dir := t.TempDir() + "/webconfigs"
	save(t, goodconfig.New(dir), "shop", "/stock", record("x"))
	for path, want := range map[string]fs.FileMode{dir: 0o700, dir + "/shop": 0o700, files(t, dir)[0]: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// What its disk damaged is not taken for anything; nor is the file of another application.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s := goodconfig.New(dir)
	save(t, s, "shop", "/stock", record("text"))
	file := files(t, dir)[0]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		for what, damaged := range map[string][]byte{
			"cut":  whole[:at],
			"flip": append(append(bytes.Clone(whole[:at]), whole[at]^1), whole[at+1:]...),
			"zero": append(whole[:at:at], make([]byte, len(whole)-at)...),
		} {
			if err := os.WriteFile(file, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Load("shop", "/stock"); !errors.Is(err, fs.ErrNotExist) {
				t.Fatalf("%s at %d: %+v, %v", what, at, got, err)
			}
		}
	}
	save(t, s, "shop", "/stock", record("text")) // the next one mends it
	save(t, s, "shop", "/", record("top"))
	if _, err := s.Load("shop", "/stock"); err != nil {
		t.Error(err)
	}
	for _, other := range files(t, dir) {
		if other != file {
			if err := os.Rename(other, file); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := s.Load("shop", "/stock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of another application: %+v, %v", got, err)
	}
}

// A disk is not filled, and what was kept before is not taken for what the application runs with.
func TestLimit(t *testing.T) {
	s := goodconfig.New(t.TempDir())
	large := record("")
	large.Files[1].Content = bytes.Repeat([]byte("x"), goodconfig.Limit)
	save(t, s, "shop", "/", large)
	if got, err := s.Load("shop", "/"); err != nil || !got.Equal(large) {
		t.Errorf("the largest there may be is not given back: %v", err)
	}
	large.Files[0].Content = []byte("x")
	want := fmt.Sprintf("the files have %d bytes, at most %d are kept", goodconfig.Limit+1, goodconfig.Limit)
	if err := s.Save("shop", "/", large); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := s.Load("shop", "/"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what it replaces is still there: %v", err)
	}
}

// What belongs to no application any more goes, and what a crash left half-written.
func TestSweep(t *testing.T) {
	dir := t.TempDir() + "/webconfigs"
	s := goodconfig.New(dir)
	if err := s.Sweep(nil); err != nil {
		t.Errorf("nothing was kept: %v", err)
	}
	for _, site := range []string{"shop", "blog"} {
		save(t, s, site, "/", record("x"))
		save(t, s, site, "/old", record("x"))
	}
	if err := os.WriteFile(dir+"/shop/.abc.123", []byte("hal"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(map[string][]string{"shop": {"/", "/new"}}); err != nil {
		t.Fatal(err)
	}
	if all := files(t, dir); len(all) != 1 {
		t.Errorf("left: %v", all)
	}
	if _, err := s.Load("shop", "/"); err != nil {
		t.Error(err)
	}
}

// Files of other folders, or of other applications above, are of another place.
func TestSamePlaces(t *testing.T) {
	same := record("x").Files
	if !goodconfig.SamePlaces(same, record("y").Files) {
		t.Error("what is in the files makes a difference")
	}
	moved, renamed := record("x").Files, record("x").Files
	moved[1].Folder, renamed[0].Path = "/srv/next", "/top"
	for _, other := range [][]goodconfig.File{moved, renamed, same[:1], nil} {
		if goodconfig.SamePlaces(same, other) {
			t.Errorf("%+v is taken for the same", other)
		}
	}
}
