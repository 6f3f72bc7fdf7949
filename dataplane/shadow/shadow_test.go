package shadow

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

// lab is an application's folder that its user may read, and a room for copies of it.
type lab struct {
	*testing.T
	top, root string
	from      Source
	copies    *Copies
	running   []string
	unsure    bool
}

func newLab(t *testing.T, path string) *lab {
	t.Helper()
	top, err := os.MkdirTemp("/tmp", "shadow")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = filepath.WalkDir(top, func(at string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_ = os.Chmod(at, 0o700)
			}
			return nil
		})
		os.RemoveAll(top)
	})
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	l := &lab{T: t, top: top, root: filepath.Join(top, "www")}
	l.from = Source{Root: l.root}
	if os.Geteuid() == 0 {
		l.from.Owner = &process.Credential{UID: 65534, GID: 65534, Groups: []uint32{65534}}
	}
	l.write("App.dll", "one")
	l.write("App.runtimeconfig.json", "{}")
	l.write("wwwroot/site.css", "css")
	l.open(Config{Path: path})
	return l
}

// open makes another room, as another worker would.
func (l *lab) open(c Config) {
	l.Helper()
	if c.Top == "" {
		c.Top = l.root
	}
	if c.Agent == "" {
		c.Agent = "A1"
	}
	c.InUse = func() ([]string, bool) { return l.running, !l.unsure }
	l.copies = New(c)
	copies := l.copies
	l.Cleanup(func() { copies.Settle(context.Background()) })
}

func (l *lab) write(name, text string) {
	l.Helper()
	file := filepath.Join(l.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		l.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) take() Copy {
	l.Helper()
	have, err := l.copies.Take(l.Context(), l.from)
	if err != nil {
		l.Fatal(err)
	}
	l.copies.Settle(l.Context()) // what is not needed has been deleted
	return have
}

// refused wants an error with these words in it.
func (l *lab) refused(words ...string) {
	l.Helper()
	have, err := l.copies.Take(l.Context(), l.from)
	if err == nil {
		l.Fatalf("copied to %s", have.Path)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			l.Errorf("%q is not in: %v", w, err)
		}
	}
	if _, err := os.Stat(filepath.Join(l.copies.Dir(), "0")); err == nil {
		l.Error("there is a copy")
	}
}

// numbers are those of the copies that are there.
func (l *lab) numbers() string {
	l.Helper()
	entries, err := os.ReadDir(l.copies.Dir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		l.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return strings.Join(names, " ")
}

// hidden is how much there is besides the copies and what says whose they are.
func (l *lab) hidden() (names []string) {
	entries, _ := os.ReadDir(l.copies.Dir())
	for _, e := range entries {
		if n := e.Name(); strings.HasPrefix(n, prefix) && n != marker && !strings.HasPrefix(n, leasePrefix) {
			names = append(names, n)
		}
	}
	return names
}

func (l *lab) says(file, text string) {
	l.Helper()
	got, err := os.ReadFile(file)
	if err != nil || string(got) != text {
		l.Errorf("%s: %q, %v; want %q", file, got, err, text)
	}
}

// A copy is taken again while the folder is as it was; what has changed is the next number, and the one before is deleted once
// nothing runs from it.
func TestTake(t *testing.T) {
	l := newLab(t, "ShadowCopyDirectory")
	first := l.take()
	if want := filepath.Join(l.root, "ShadowCopyDirectory/0"); first.Path != want {
		t.Errorf("copied to %s, want %s", first.Path, want)
	}
	l.says(first.Path+"/App.dll", "one")
	l.says(first.Path+"/wwwroot/site.css", "css")
	if again := l.take(); again != first {
		t.Errorf("copied again to %s", again.Path)
	}
	l.write("wwwroot/site.css", "other")
	if again := l.take(); again != first {
		t.Errorf("copied again to %s for what is no code", again.Path)
	}
	l.write("App.dll", "two, newer")
	second := l.take()
	l.says(second.Path+"/App.dll", "two, newer")
	l.says(second.Path+"/wwwroot/site.css", "other")
	l.says(first.Path+"/App.dll", "one")
	for range 3 { // as often as it was taken
		if got := l.numbers(); got != "0 1" {
			t.Errorf("copies %s while an instance runs from the first", got)
		}
		l.copies.Release(first)
		l.copies.Settle(l.Context())
	}
	if got := l.numbers(); got != "1" {
		t.Errorf("copies %s, want 1", got)
	}
	l.copies.Release(second)
	l.copies.Settle(l.Context())
	if got := l.numbers(); got != "1" {
		t.Errorf("copies %s: the newest is kept for the next start", got)
	}
	l.write("appsettings.json", "{}")
	if third := l.take(); filepath.Base(third.Path) != "2" {
		t.Errorf("copied to %s", third.Path)
	}
	if left := l.hidden(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A copy has bytes of its own, the rights of the folder less writing, and nothing that the application's user may not read.
func TestRights(t *testing.T) {
	l := newLab(t, "copies")
	l.write("tool", "#!/bin/sh")
	l.write("secret.key", "of root")
	for name, mode := range map[string]os.FileMode{"tool": 0o755 | os.ModeSetuid, "secret.key": 0o600} {
		if err := os.Chmod(filepath.Join(l.root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	l.write("mine.dll", "of the user")
	if owner := l.from.Owner; owner != nil {
		if err := os.Chown(l.root+"/mine.dll", int(owner.UID), int(owner.GID)); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(l.root+"/mine.dll", 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("App.dll", l.root+"/Link.dll"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(l.root+"/App.dll", l.root+"/wwwroot/Absolute.dll"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(l.root+"/pipe", 0o666); err != nil {
		t.Fatal(err)
	}
	have := l.take()
	for name, want := range map[string]string{
		"App.dll": "0 -r--r--r--", "mine.dll": "65534 -r--r-----", "tool": "0 -r-xr-xr-x", "wwwroot": "0 dr-xr-xr-x", ".": "0 dr-xr-xr-x",
	} {
		info, err := os.Stat(filepath.Join(have.Path, name))
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(uidOf(info), " ", info.Mode())
		if l.from.Owner == nil {
			got, want = fmt.Sprint(info.Mode().Perm()&0o700), fmt.Sprint(info.Mode().Perm()&0o500)
		}
		if got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
		old, err := os.Stat(filepath.Join(l.root, name))
		if err != nil {
			t.Fatal(err)
		}
		if os.SameFile(info, old) {
			t.Errorf("%s is a hard link", name)
		}
		if !info.IsDir() && !info.ModTime().Equal(old.ModTime()) {
			t.Errorf("%s is of %v, want %v", name, info.ModTime(), old.ModTime())
		}
	}
	for name, want := range map[string]string{"Link.dll": "App.dll", "wwwroot/Absolute.dll": "../App.dll"} {
		if got, err := os.Readlink(filepath.Join(have.Path, name)); err != nil || got != want {
			t.Errorf("%s leads to %q, %v; want %q", name, got, err, want)
		}
	}
	absent := []string{"pipe", "copies"}
	if l.from.Owner != nil {
		absent = append(absent, "secret.key")
	}
	for _, name := range absent {
		if _, err := os.Lstat(filepath.Join(have.Path, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is copied: %v", name, err)
		}
	}
}

// A directory for copies below the folder is not copied, neither this one nor one that was used before.
func TestOwnDirectory(t *testing.T) {
	l := newLab(t, "a/copies")
	l.take()
	l.open(Config{Path: "b"})
	l.write("App.dll", "two, newer")
	have := l.take()
	var names []string
	_ = filepath.WalkDir(have.Path, func(path string, d os.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, have.Path))
		return err
	})
	if got := strings.Join(names, " "); got != " /App.dll /App.runtimeconfig.json /a /wwwroot /wwwroot/site.css" {
		t.Errorf("the copy holds %s", got)
	}
}

// Numbers that are there are passed by; nothing is started from what was not made here, and it goes.
func TestNumbers(t *testing.T) {
	for before, want := range map[string]string{"": "0", "0": "1", "1 3 10": "11", "007 12345678 x 2": "007 12345678 3 x"} {
		l := newLab(t, "copies")
		for name := range strings.FieldsSeq(before) {
			l.write("copies/"+name+"/App.dll", "old")
		}
		l.take()
		if got := l.numbers(); got != want {
			t.Errorf("before %q: copies %s, want %s", before, got, want)
		}
	}
}

// A copy that another worker's instance runs from stays, also while it is not known what runs.
func TestKept(t *testing.T) {
	l := newLab(t, "copies")
	first := l.take()
	l.write("App.dll", "two, newer")
	l.open(Config{Path: "copies"}) // another worker, that holds nothing yet
	l.running = []string{first.Path}
	l.take()
	if got := l.numbers(); got != "0 1" {
		t.Errorf("copies %s", got)
	}
	l.running, l.unsure = nil, true
	l.copies.sweepLater()
	l.copies.Settle(l.Context())
	if got := l.numbers(); got != "0 1" {
		t.Errorf("copies %s while it is not known what runs", got)
	}
	l.unsure = false
	l.copies.renew(time.Now()) // as Watch does now and then
	l.copies.Settle(l.Context())
	if got := l.numbers(); got != "1" {
		t.Errorf("copies %s, want 1", got)
	}
}

// What an adopted instance runs from is the newest copy there is, and is not made again.
func TestHold(t *testing.T) {
	l := newLab(t, "copies")
	first := l.take()
	l.open(Config{Path: "copies"})
	l.copies.Hold(l.from, first)
	if again := l.take(); again != first {
		t.Errorf("copied again to %s", again.Path)
	}
}

// Copies of another agent stay while it renews its lease.
func TestOtherAgent(t *testing.T) {
	l := newLab(t, "copies")
	other := l.take()
	l.open(Config{Path: "copies", Agent: "B2"})
	l.take()
	if got := l.numbers(); got != "0 1" {
		t.Errorf("copies %s", got)
	}
	old := time.Now().Add(-2 * leaseLife)
	if err := os.Chtimes(filepath.Join(l.copies.Dir(), leasePrefix+"0"), old, old); err != nil {
		t.Fatal(err)
	}
	l.copies.sweepLater()
	l.copies.Settle(l.Context())
	if got := l.numbers(); got != "1" {
		t.Errorf("copies %s, want 1: that of %s is a day old", got, other.Path)
	}
	lease := filepath.Join(l.copies.Dir(), leasePrefix+"1")
	if err := os.Chtimes(lease, old, old); err != nil {
		t.Fatal(err)
	}
	l.copies.renew(time.Now())
	if info, err := os.Stat(lease); err != nil || time.Since(info.ModTime()) > time.Minute {
		t.Errorf("the lease is not renewed: %v", err)
	}
}

// Emptying takes all in a directory that is known to be for copies; in another one copies alone.
func TestClean(t *testing.T) {
	for path, want := range map[string]string{"shadowcopydirectory": "0", "other": "0 stray.txt"} {
		l := newLab(t, path)
		l.write(path+"/3/App.dll", "old")
		l.write(path+"/stray.txt", "")
		l.open(Config{Path: path, Clean: true})
		l.take()
		if got := l.numbers(); got != want {
			t.Errorf("%s holds %s, want %s", path, got, want)
		}
		l.open(Config{Path: path, Clean: true})
		l.take()
		if got := l.numbers(); got != "0" {
			t.Errorf("%s, which has a mark now, holds %s", path, got)
		}
	}
}

// What would lead elsewhere, or is somebody else's, is refused by name.
func TestRefused(t *testing.T) {
	l := newLab(t, "copies")
	if err := os.Symlink("/etc", l.root+"/etc"); err != nil {
		t.Fatal(err)
	}
	l.refused("etc is a symbolic link to /etc, which is not in the folder", l.root)
	if left := l.hidden(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}

	l = newLab(t, "a/copies")
	if err := os.Symlink(l.top, l.root+"/a"); err != nil {
		t.Fatal(err)
	}
	l.refused("a: ")
	if entries, err := os.ReadDir(l.top); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	l = newLab(t, "copies")
	if err := os.Symlink("wwwroot", l.root+"/copies"); err != nil {
		t.Fatal(err)
	}
	l.refused("copies: is a symbolic link")

	l = newLab(t, "copies")
	beside := filepath.Join(l.top, "beside")
	if err := os.MkdirAll(beside+"/2023", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(beside+"/README", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l.open(Config{Top: l.top, Path: "beside"})
	l.refused("holds README, which is no copy", ErrPlace.Error())
	if err := os.Remove(beside + "/README"); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(beside, 1234, 1234); err != nil {
			t.Fatal(err)
		}
		l.refused("belongs to user 1234")
		if _, err := os.Stat(beside + "/2023"); err != nil {
			t.Error(err)
		}
	}

	l = newLab(t, "copies")
	deep := l.root
	for range mostDepth + 1 {
		deep += "/d"
	}
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	l.refused("more than 100 folders deep")
}
