package app

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Pages are files below the folder; nothing that leads out of it is shown, and nothing that is no file is waited for.
func TestErrorPages(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(root, "pages"), 0o755),
		os.WriteFile(filepath.Join(dir, "secret"), []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(root, "pages", "good.html"), []byte("good"), 0o600),
		os.WriteFile(filepath.Join(root, "huge.html"), make([]byte, pageLimit+1), 0o600),
		os.Symlink("pages/good.html", filepath.Join(root, "inside.html")),
		os.Symlink("../secret", filepath.Join(root, "outside.html")),
		os.Symlink("/etc/hostname", filepath.Join(root, "absolute.html")),
		os.Symlink("..", filepath.Join(root, "up")),
		syscall.Mkfifo(filepath.Join(root, "pipe.html"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	for file, want := range map[string]string{
		"pages/good.html": "good", "inside.html": "good",
		"outside.html": "", "absolute.html": "", "up/secret": "", "../secret": "", "pipe.html": "", "pages": "", "none.html": "", "huge.html": "",
	} {
		if body, err := newErrorPages(root).get(file, now); string(body) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %.20q, %v", file, body, err)
		}
	}
}

// A page is read again after a second, and not before.
func TestErrorPagesAge(t *testing.T) {
	root, now := t.TempDir(), time.Now()
	pages := newErrorPages(root)
	for _, step := range []struct {
		text  string
		after time.Duration
		want  string
	}{{"one", 0, "one"}, {"two", pageAge - 1, "one"}, {"two", pageAge, "two"}} {
		if err := os.WriteFile(filepath.Join(root, "a.html"), []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if body, err := pages.get("a.html", now.Add(step.after)); string(body) != step.want || err != nil {
			t.Errorf("after %v: %q, %v, want %q", step.after, body, err, step.want)
		}
	}
}

func TestTypeOf(t *testing.T) {
	for file, want := range map[string]string{"a.html": "text/html", "a.HTM": "text/html", "a.json": "application/json", "a.txt": "text/plain", "a": "text/html"} {
		if got := typeOf(file); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", file, got)
		}
	}
}
