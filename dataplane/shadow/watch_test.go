package shadow

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Where there are events they say when it is quiet; else two looks that see the same do.
func TestSteps(t *testing.T) {
	type at struct {
		after int // seconds since the begin
		code  string
		event bool
	}
	for name, c := range map[string]struct {
		steps []at
		told  string // when
	}{
		"nothing":                 {[]at{{0, "old", false}, {2, "old", false}}, ""},
		"polled":                  {[]at{{0, "old", false}, {2, "new", false}, {7, "new", false}, {9, "new", false}}, "7"},
		"polled, still written":   {[]at{{0, "old", false}, {2, "a", false}, {7, "b", false}, {12, "b", false}}, "12"},
		"polled, back again":      {[]at{{0, "old", false}, {2, "a", false}, {7, "old", false}, {12, "old", false}}, ""},
		"event":                   {[]at{{0, "old", false}, {1, "", true}, {6, "new", false}}, "6"},
		"event, then polled soon": {[]at{{0, "old", false}, {1, "", true}, {2, "new", false}, {4, "new", false}, {6, "new", false}}, "6"},
		"event without a change":  {[]at{{0, "old", false}, {1, "", true}, {6, "old", false}, {8, "old", false}}, ""},
		"events without end":      {[]at{{0, "old", false}, {1, "", true}, {30, "", true}, {34, "a", false}, {59, "", true}, {60, "b", false}, {61, "c", false}}, "61"},
		"changes without end":     {[]at{{0, "old", false}, {1, "a", false}, {30, "b", false}, {59, "c", false}, {61, "d", false}}, "61"},
		"told once":               {[]at{{0, "old", false}, {2, "new", false}, {7, "new", false}, {9, "new", false}, {14, "new", false}, {16, "newer", false}, {21, "newer", false}}, "7 21"},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			second := 0
			l := newLab(t, "copies")
			l.copies.Hold(l.from, Copy{Path: "/copies/1", Code: "old"})
			begin := time.Now()
			w := &watching{copies: l.copies, from: l.from, changed: func(string) { told = append(told, strconv.Itoa(second)) }}
			for _, s := range c.steps {
				second = s.after
				now := begin.Add(time.Duration(second) * time.Second)
				if s.event {
					w.heard = true
					w.stir(now)
				} else if wait := w.step(look{Code: s.code}, true, now); wait < 0 || wait > quiet {
					t.Errorf("looks again after %v", wait)
				}
			}
			if got := strings.Join(told, " "); got != c.told {
				t.Errorf("told at %q, want %q", got, c.told)
			}
		})
	}
}

// What has no copy yet is nobody's business; nor is a folder that cannot be read for a moment.
func TestNothingTaken(t *testing.T) {
	l := newLab(t, "copies")
	w := &watching{copies: l.copies, from: l.from, changed: func(string) { t.Error("told") }}
	begin := time.Now()
	for n := range 20 {
		w.step(look{Code: "any"}, n%2 == 0, begin.Add(time.Duration(n)*10*time.Second))
	}
}

// What is accepted leads nowhere but into the folder, whatever the names on the way are.
func TestInside(t *testing.T) {
	for target, want := range map[string]string{
		"App.dll": "App.dll", "./App.dll": "./App.dll", "../App.dll": "../App.dll", "../b/c": "../b/c", "..": "..", "../..": "", "../../x": "", "x/../y": "",
		"x/../../y": "", "/srv/www/x/y": "../x/y", "/srv/www": "..", "/srv/www/a/x": "x", "/srv/www2/x": "", "/etc/passwd": "", "/srv/www/../x": "", "/": "", "a//b/.": "a//b/.",
	} {
		if got, ok := inside("/srv/www", "a/link", target); ok != (want != "") || ok && filepath.Clean(got) != filepath.Clean(want) {
			t.Errorf("%q: %q, %v; want %q", target, got, ok, want)
		}
	}
}

// FuzzInside makes the link in a folder and follows it.
func FuzzInside(f *testing.F) {
	for _, target := range []string{"x", "../x", "../../x", "b/../../..", "b", "/etc", "../a/b/x", "b/../x"} {
		f.Add(target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		top, err := filepath.EvalSymlinks(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		root := filepath.Join(top, "root")
		if err := os.MkdirAll(root+"/a/d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("..", root+"/a/b"); err != nil { // as it may stand in the folder already
			t.Fatal(err)
		}
		link, ok := inside(root, "a/link", target)
		if !ok || os.Symlink(link, root+"/a/link") != nil {
			return
		}
		if real, err := filepath.EvalSymlinks(root + "/a/link"); err == nil && real != root && !strings.HasPrefix(real, root+"/") {
			t.Errorf("%q leads to %s", target, real)
		}
	})
}
