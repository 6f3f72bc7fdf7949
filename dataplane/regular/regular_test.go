package regular

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// folder has one of each of what can stand in a file's place.
func folder(t *testing.T) string {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "root")
	for _, err := range []error{
		os.Mkdir(dir, 0o755),
		os.WriteFile(filepath.Join(top, "outside"), []byte("outside"), 0o600),
		os.WriteFile(filepath.Join(dir, "file"), []byte("12345678"), 0o600),
		os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600),
		os.WriteFile(filepath.Join(dir, "large"), []byte("123456789"), 0o600),
		os.Symlink("file", filepath.Join(dir, "link")),
		os.Symlink("../outside", filepath.Join(dir, "out")),
		os.Symlink("/dev/zero", filepath.Join(dir, "device")),
		os.Symlink("nowhere", filepath.Join(dir, "dangling")),
		unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestRead(t *testing.T) {
	dir := folder(t)
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	const none, no, large = "no such file", "is no regular file", "has 9 bytes, at most 8 are read"
	for _, tt := range []struct{ name, want, wrong, wrongIn string }{
		{"file", "12345678", "", ""},
		{"link", "12345678", "", ""},
		{"empty", "", "", ""},
		{"large", "", large, large},
		{"out", "outside", "", "leads out of the folder"},
		{"device", "", no, "leads out of the folder"},
		{"pipe", "", no, no},
		{".", "", no, no},
		{"dangling", "", none, none},
		{"none", "", none, none},
	} {
		content, err := Read(filepath.Join(dir, tt.name), 8)
		told(t, tt.name, content, err, tt.want, tt.wrong)
		if tt.wrongIn != "" {
			tt.want = ""
		}
		content, err = ReadIn(root, tt.name, 8)
		told(t, "below the folder: "+tt.name, content, err, tt.want, tt.wrongIn)
	}
}

func told(t *testing.T, what string, content []byte, err error, want, wrong string) {
	t.Helper()
	if string(content) != want || (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
		t.Errorf("%s: %q, %v, want %q and the error %q", what, content, err, want, wrong)
	}
	if _, ok := errors.AsType[*fs.PathError](err); err != nil && !ok {
		t.Errorf("%s: %T, want *fs.PathError", what, err)
	}
}

// A file that says it is empty, and is not, is read, and no more of it than the limit: so are those of /proc, and any that grow.
func TestUnknownSize(t *testing.T) {
	const file = "/proc/self/status"
	if _, err := Read(file, 8); err == nil || !strings.Contains(err.Error(), file+": has more than 8 bytes, at most 8 are read") {
		t.Error(err)
	}
	if content, err := Read(file, 1<<20); err != nil || !strings.Contains(string(content), "Name:") {
		t.Errorf("%q, %v", content, err)
	}
}

// What is no regular file is not opened to find that out: to open a device can be to use it. The kernel tells of each opening.
func TestNotOpened(t *testing.T) {
	pipe := filepath.Join(folder(t), "pipe")
	events, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(events)
	if _, err := unix.InotifyAddWatch(events, pipe, unix.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	if file, err := Open(pipe); err == nil {
		t.Errorf("%s is opened", file.Name())
	}
	buffer := make([]byte, 4096)
	if n, err := unix.Read(events, buffer); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("the pipe was opened: %d bytes of events, %v", n, err)
	}
	file, err := os.OpenFile(pipe, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if n, err := unix.Read(events, buffer); err != nil || n == 0 {
		t.Errorf("an opening is not told, so this test shows nothing: %d, %v", n, err)
	}
}

// No descriptor is left behind, whatever becomes of a call.
func TestDescriptors(t *testing.T) {
	dir := folder(t)
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	before := open()
	for _, name := range []string{"file", "large", "pipe", "device", "out", "none", "."} {
		_, _ = Read(filepath.Join(dir, name), 8)
		_, _ = ReadIn(root, name, 8)
	}
	if now := open(); now != before {
		t.Errorf("%d descriptors are open, %d were", now, before)
	}
}
