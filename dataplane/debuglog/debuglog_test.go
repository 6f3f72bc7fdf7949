package debuglog

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/rootfile"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text    string
		level   Level
		to      Sinks
		unknown string
	}{
		{"", Off, Sinks{}, ""},
		{"file", Info, Sinks{File: true}, ""},
		{" File , TRACE ", Trace, Sinks{File: true}, ""},
		{"eventlog,console,error", Error, Sinks{Events: true, Console: true}, ""},
		{"warning,error", Warning, Sinks{}, ""},
		{"4", Off, Sinks{}, "4"},
		{"file,,noise", Info, Sinks{File: true}, "noise"},
	} {
		level, to, unknown := Parse(c.text)
		if level != c.level || to != c.to || strings.Join(unknown, " ") != c.unknown {
			t.Errorf("%q: %v %+v %q", c.text, level, to, unknown)
		}
	}
}

// lab is a log that writes until close.
type lab struct {
	*testing.T
	log   *Log
	root  string
	close func()

	mu             sync.Mutex
	events, warned []string
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, root: t.TempDir()}
	keep := func(to *[]string) func(string) {
		return func(text string) {
			l.mu.Lock()
			defer l.mu.Unlock()
			*to = append(*to, text)
		}
	}
	l.log = New(Config{Site: "shop", Application: "/", Version: "v1.2", Commit: "c0ffee", Record: keep(&l.events), Warn: keep(&l.warned)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { l.log.Run(ctx); close(done) }()
	l.close = func() { cancel(); <-done }
	t.Cleanup(l.close)
	return l
}

func (l *lab) place(path string) Place { return Place{rootfile.Folder{Path: l.root}, path} }

// read gives the lines of a file once each has been seen to have the form of DBG-4.
func (l *lab) read(path string) []string {
	l.Helper()
	text, err := os.ReadFile(filepath.Join(l.root, path))
	if err != nil {
		l.Fatal(err)
	}
	form := regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z, PID: ` + fmt.Sprint(os.Getpid()) + `\] \[ancora\] [^\r\n]+$`)
	lines := strings.Split(strings.TrimSuffix(string(text), "\r\n"), "\r\n")
	for i, line := range lines {
		if !form.MatchString(line) {
			l.Errorf("line %d: %q", i+1, line)
		}
		_, lines[i], _ = strings.Cut(line, "[ancora] ")
	}
	return lines
}

// Each line has its form, the first says whose it is, and a level tells what those below it tell.
func TestFile(t *testing.T) {
	l := newLab(t)
	l.log.Write(Error, "nobody asked")
	l.log.Set(1, Settings{Level: Warning, Sinks: Sinks{File: true}, Place: l.place("sub/debug.txt")})
	l.log.Write(Error, "ü of\r\n%d lines", 2)
	l.log.Write(Warning, "warned")
	l.log.Write(Info, "too much")
	l.close()
	lines := l.read("sub/debug.txt")
	if len(lines) != 3 || lines[1] != "ü of  2 lines" || lines[2] != "warned" {
		t.Errorf("%q", lines)
	}
	for _, word := range []string{"Initializing logs", "v1.2", "c0ffee", fmt.Sprint("Process Id: ", os.Getpid())} {
		if !strings.Contains(lines[0], word) {
			t.Errorf("%q does not have %q", lines[0], word)
		}
	}
}

// The file of the environment is begun, says where the log goes on, and older settings do not bring it back.
func TestSwitch(t *testing.T) {
	l := newLab(t)
	to := func(first, place string) Settings {
		s := Settings{Level: Info, Sinks: Sinks{File: true}, Place: l.place(place)}
		if first != "" {
			s.First = l.place(first)
		}
		return s
	}
	l.log.Set(2, to("env.log", "config.log"))
	l.log.Write(Info, "one")
	l.log.Set(1, to("", "old.log"))
	l.log.Write(Info, "two")
	l.log.Set(3, to("env.log", "later.log"))
	l.log.Write(Info, "three")
	l.close()
	for path, want := range map[string][]string{
		"env.log":    {"Initializing", "Switching debug log files to '" + l.root + "/config.log'"},
		"config.log": {"Initializing", "one", "two", "Switching debug log files to '" + l.root + "/later.log'"},
		"later.log":  {"Initializing", "three"},
	} {
		lines := l.read(path)
		if len(lines) != len(want) {
			t.Errorf("%s: %q", path, lines)
			continue
		}
		for i := range want {
			if !strings.HasPrefix(lines[i], want[i]) {
				t.Errorf("%s: %q, want %q", path, lines[i], want[i])
			}
		}
	}
	if _, err := os.Stat(filepath.Join(l.root, "old.log")); err == nil {
		t.Error("older settings have won")
	}
}

// A file that is full is put aside, and only one such is kept.
func TestBounded(t *testing.T) {
	l := newLab(t)
	full := []byte("[x]\r\n")
	path := filepath.Join(l.root, "debug.log")
	for round := range 3 {
		if err := os.WriteFile(path, full, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, fileSize); err != nil {
			t.Fatal(err)
		}
		w := &writer{log: l.log}
		s := Settings{Level: Info, Sinks: Sinks{File: true}, Place: l.place("debug.log")}
		w.write(line{text: fmt.Sprint("round ", round), settings: s})
		w.close()
		if info, err := os.Stat(path); err != nil || info.Size() > 1000 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if entries, err := os.ReadDir(l.root); err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

// Where there can be no file it is said once; events go on.
func TestNoFile(t *testing.T) {
	l := newLab(t)
	beside := filepath.Join(t.TempDir(), "beside")
	if err := os.Symlink(beside, filepath.Join(l.root, "debug.log")); err != nil {
		t.Fatal(err)
	}
	l.log.Set(1, Settings{Level: Info, Sinks: Sinks{File: true, Events: true}, Place: l.place("debug.log")})
	l.log.Write(Info, "one")
	l.log.Write(Info, "two")
	l.close()
	if strings.Join(l.events, "|") != "one|two" || len(l.warned) != 1 || !strings.Contains(l.warned[0], "debug.log") {
		t.Errorf("events %q, warnings %q", l.events, l.warned)
	}
	if _, err := os.Lstat(beside); err == nil {
		t.Error("a symbolic link was followed")
	}
}
