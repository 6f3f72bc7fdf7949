package rootfile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

// nobody is another user than the test's, where it may become one.
func nobody(t *testing.T) *process.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	return &process.Credential{UID: 65534, GID: 65534, Groups: []uint32{65534}}
}

// lab is a folder that belongs to owner, and one beside it that everybody may write to.
func lab(t *testing.T, owner *process.Credential) (f Folder, beside string) {
	t.Helper()
	top, err := os.MkdirTemp("/tmp", "rootfile")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	root, beside := filepath.Join(top, "root"), filepath.Join(top, "beside")
	for _, dir := range []string{root, beside} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(beside, 0o777); err != nil {
		t.Fatal(err)
	}
	if owner != nil {
		if err := os.Chown(root, int(owner.UID), int(owner.GID)); err != nil {
			t.Fatal(err)
		}
	}
	return Folder{root, owner}, beside
}

// Files and folders on the way are made, belong to the owner, and are written at their end.
func TestAppend(t *testing.T) {
	owner := nobody(t)
	f, _ := lab(t, owner)
	for _, text := range []string{"one\n", "two\n"} {
		file, err := f.Append("a/b/out.log")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(f.Path + "/a/b/out.log")
	if err != nil || string(got) != "one\ntwo\n" {
		t.Errorf("%q, %v", got, err)
	}
	if owner == nil {
		return
	}
	for _, path := range []string{"a", "a/b", "a/b/out.log"} {
		info, err := os.Stat(filepath.Join(f.Path, path))
		if err != nil {
			t.Fatal(err)
		}
		if s := info.Sys().(*syscall.Stat_t); s.Uid != owner.UID || s.Gid != owner.GID {
			t.Errorf("%s belongs to %d:%d", path, s.Uid, s.Gid)
		}
	}
}

// What an application can plant moves no byte to another place, and holds up nobody.
func TestPlanted(t *testing.T) {
	f, beside := lab(t, nobody(t))
	victim := filepath.Join(beside, "victim")
	if err := os.WriteFile(victim, []byte("whole"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(victim, 0o666); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"file": victim, "new": beside + "/new", "dir": beside, "up": ".."} {
		if err := os.Symlink(target, filepath.Join(f.Path, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(f.Path+"/pipe", 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(f.Path+"/folder", 0o777); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"file", "new", "dir/x", "up/x", "pipe", "folder", "file/x", "../x", "a/../../x", "/x", "", "a//b", "."} {
		if file, err := f.Append(path); err == nil {
			t.Errorf("%q is opened as %s", path, file.Name())
		}
		if names, err := f.List(path + "/x"); err == nil && path != "folder" {
			t.Errorf("%q is listed: %v", path, names)
		}
	}
	if err := f.Rename("dir/victim", "gone"); err == nil {
		t.Error("a file behind a link is renamed")
	}
	if err := f.Remove("dir/victim"); err == nil {
		t.Error("a file behind a link is removed")
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "whole" {
		t.Errorf("%q, %v", text, err)
	}
	if entries, err := os.ReadDir(beside); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// The owner's rights are all there is, also for an agent that may do everything; and other threads keep theirs.
func TestRights(t *testing.T) {
	owner := nobody(t)
	if owner == nil {
		t.Skip("only root can become another user")
	}
	f, _ := lab(t, owner)
	if err := os.Mkdir(f.Path+"/closed", 0o700); err != nil { // root's
		t.Fatal(err)
	}
	if file, err := f.Append("closed/out.log"); err == nil {
		t.Errorf("%s is opened", file.Name())
	} else if !strings.Contains(err.Error(), f.Path+"/closed") || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("the error does not say where: %v", err)
	}
	if err := os.WriteFile(f.Path+"/closed/mine", nil, 0o600); err != nil {
		t.Errorf("the test has lost its own rights: %v", err)
	}
	groups := *owner
	groups.GID, groups.Groups = 12345, []uint32{12345, 23456}
	if err := os.Mkdir(f.Path+"/team", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(f.Path+"/team", 0, 23456); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(f.Path+"/team", 0o770); err != nil {
		t.Fatal(err)
	}
	if _, err := (Folder{f.Path, &groups}).Append("team/out.log"); err != nil {
		t.Errorf("a further group does not count: %v", err)
	}
}

// Only regular files are listed.
func TestList(t *testing.T) {
	f, _ := lab(t, nobody(t))
	for _, name := range []string{"a.log", "b.log"} {
		file, err := f.Append("logs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	if err := os.Symlink("a.log", f.Path+"/logs/c.log"); err != nil {
		t.Fatal(err)
	}
	names, err := f.List("logs/any")
	slices.Sort(names)
	if err != nil || strings.Join(names, " ") != "a.log b.log" {
		t.Errorf("%v, %v", names, err)
	}
	if err := f.Rename("logs/a.log", "b.log"); err != nil {
		t.Error(err)
	}
	if err := f.Remove("logs/b.log"); err != nil {
		t.Error(err)
	}
	if err := f.Remove("logs/b.log"); err != nil {
		t.Errorf("what is gone is an error: %v", err)
	}
	if names, err := f.List("logs/any"); err != nil || len(names) > 0 {
		t.Errorf("%v, %v", names, err)
	}
}
