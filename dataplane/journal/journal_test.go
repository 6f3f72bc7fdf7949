package journal

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// lab is a journal over captures that the test writes as the keeper does.
type lab struct {
	*testing.T
	root    string
	journal *Journal
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, root: t.TempDir()}
	l.open()
	return l
}

func (l *lab) open() {
	l.Helper()
	var err error
	if l.journal, err = Open(l.root, nil); err != nil {
		l.Fatal(err)
	}
}

// run opens the next run of an application for writing.
func (l *lab) run(app string) (*capture.Writer, uint64) {
	l.Helper()
	n, err := l.journal.NextRun("shop", app)
	if err != nil {
		l.Fatal(err)
	}
	w, err := capture.OpenWriter(capture.RunDir(l.root, "shop", app, n))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { w.Close() })
	return w, n
}

func (l *lab) write(w *capture.Writer, s capture.Stream, text string) {
	l.Helper()
	if err := w.Append(s, []byte(text)); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) read(q Query) []Entry {
	l.Helper()
	q.Site = "shop"
	var all []Entry
	for e, err := range l.journal.Read(l.Context(), q) {
		if err != nil {
			l.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

func texts(entries []Entry) string {
	var all []string
	for _, e := range entries {
		all = append(all, string(e.Line))
	}
	return strings.Join(all, "|")
}

// Lines come in the order in which they ended, with their streams and numbers; what is not ended counts with the run's end.
func TestRead(t *testing.T) {
	l := newLab(t)
	w, _ := l.run("/")
	l.write(w, Stdout, "one\ntw")
	l.write(w, Stderr, "err\n")
	l.write(w, Stdout, "o\n\nopen")
	if got := texts(l.read(Query{})); got != "one|err|two|" {
		t.Errorf("%q", got)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	all := l.read(Query{})
	if got := texts(all); got != "one|err|two||open" {
		t.Errorf("%q", got)
	}
	for i, e := range all {
		if e.Sequence != uint64(i+1) || e.Run != 1 || e.Site != "shop" || e.Application != "/" || e.Time.IsZero() {
			t.Errorf("%+v", e)
		}
	}
	if got := texts(l.read(Query{Streams: []Stream{Stderr}})); got != "err" {
		t.Errorf("stderr: %q", got)
	}
	two := 2
	if got := texts(l.read(Query{Tail: &two})); got != "|open" {
		t.Errorf("tail: %q", got)
	}
	none := 0
	if got := l.read(Query{Tail: &none}); len(got) != 0 {
		t.Errorf("tail 0: %v", got)
	}
	if got := l.read(Query{Since: time.Now().Add(time.Hour)}); len(got) != 0 {
		t.Errorf("since: %v", got)
	}
}

// Behind any cursor come exactly the lines behind its line, also when the index is gone and the journal is opened again.
func TestCursorGoesOn(t *testing.T) {
	l := newLab(t)
	for range 3 {
		w, n := l.run("/")
		for i := range 1400 {
			l.write(w, Stdout, fmt.Sprintf("run %d line %d\n", n, i))
			if i%100 == 0 {
				l.write(w, Stderr, fmt.Sprintf("run %d error %d\n", n, i))
			}
		}
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
	}
	all := l.read(Query{})
	if len(all) != 3*1414 {
		t.Fatalf("%d lines", len(all))
	}
	check := func(when string) {
		for _, at := range []int{0, 1, 99, 1413, 1414, 1415, 3000, len(all) - 2, len(all) - 1} {
			rest := l.read(Query{Cursors: []string{all[at].Cursor}})
			if len(rest) != len(all)-at-1 {
				t.Fatalf("%s: behind line %d come %d lines, want %d", when, at, len(rest), len(all)-at-1)
			}
			if len(rest) > 0 && (string(rest[0].Line) != string(all[at+1].Line) || rest[0].Sequence != all[at+1].Sequence || rest[0].Run != all[at+1].Run) {
				t.Fatalf("%s: behind line %d comes %q, want %q", when, at, rest[0].Line, all[at+1].Line)
			}
		}
	}
	check("first")
	deleted := 0
	err := filepath.WalkDir(l.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.Contains(d.Name(), "index") {
			deleted++
			return os.Remove(path)
		}
		return err
	})
	if err != nil || deleted == 0 {
		t.Fatalf("%d deleted, %v", deleted, err)
	}
	l.open()
	check("without the index")
	other := newLab(t)
	w, _ := other.run("/")
	other.write(w, Stdout, "x\n")
	if got := texts(other.read(Query{Cursors: []string{all[5].Cursor}})); got != "x" {
		t.Errorf("a cursor of another journal: %q", got)
	}
}

// Following gives what comes, of new runs too, and what the agent says behind a run's end.
func TestFollow(t *testing.T) {
	l := newLab(t)
	w, _ := l.run("/")
	l.write(w, Stdout, "before\n")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lines := make(chan string)
	zero := 0
	go func() {
		defer close(lines)
		for e, err := range l.journal.Read(ctx, Query{Site: "shop", Follow: true, Tail: &zero, Streams: []Stream{Stdout, EventStream}}) {
			if err != nil {
				return
			}
			lines <- string(e.Line)
		}
	}()
	// Following has begun when a line that is written now comes.
	for i, begun := 0, false; !begun; i++ {
		l.write(w, Stdout, "begin\n")
		select {
		case <-lines:
			begun = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	next := func(want string) {
		t.Helper()
		for line := range lines {
			if line == want {
				return
			}
			if line != "begin" {
				t.Fatalf("%q comes, want %q", line, want)
			}
		}
		t.Fatalf("%q never comes", want)
	}
	l.write(w, Stdout, "now\n")
	next("now")
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	l.write(w, EventStream, "last words\n")
	next("last words")
	second, _ := l.run("/")
	l.write(second, Stdout, "again\n")
	next("again")
	cancel()
	for range lines {
	}
}

// Secrets are taken out when lines are read, also when they are cut over two movements or two lines' ends.
func TestRedaction(t *testing.T) {
	l := newLab(t)
	w, n := l.run("/")
	if err := l.journal.SetSecrets("shop", "/", n, []string{"s3cret-token"}); err != nil {
		t.Fatal(err)
	}
	l.write(w, Stdout, "the token is s3cr")
	l.write(w, Stdout, "et-token.\nno secret\n")
	for _, e := range l.read(Query{}) {
		if strings.Contains(string(e.Line), "s3cret") {
			t.Errorf("%q", e.Line)
		}
	}
	if got := strings.Join(l.journal.LastOutput("shop", "/", n, 1000), "|"); strings.Contains(got, "s3cret") || !strings.Contains(got, "no secret") {
		t.Errorf("last output: %q", got)
	}
}

// The last runs that have ended, whatever runs now.
func TestPrevious(t *testing.T) {
	l := newLab(t)
	for i := range 3 {
		w, _ := l.run("/")
		l.write(w, Stdout, fmt.Sprintf("run %d\n", i+1))
		if i < 2 {
			if err := w.End(); err != nil {
				t.Fatal(err)
			}
			l.write(w, EventStream, "said later\n")
			if err := w.End(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n, want := range map[int]string{1: "run 2", 2: "run 1|run 2", 5: "run 1|run 2"} {
		if got := texts(l.read(Query{Previous: n})); got != want {
			t.Errorf("the last %d: %q, want %q", n, got, want)
		}
	}
}

func TestEvents(t *testing.T) {
	e := Event{ID: EventStartFailed, Message: "it \"fails\"", Reason: "a\nb", Exit: "code 3", Output: []string{"one", "\x1b[31m"}}
	text := e.Encode()
	line := bytes.TrimSuffix(text, []byte("\n"))
	if strings.ContainsAny(string(line), "\n\x1b") || len(line) == len(text) {
		t.Errorf("control bytes in %q, or no end", text)
	}
	got, err := ParseEvent(line)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(e) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "[1]", "[1020]", `[1020] "a" b`, `[1020] "a" reason=x`} {
		if _, err := ParseEvent([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Whatever bytes a program writes, in whatever pieces: the lines are those of the bytes, and a cursor goes on behind each.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nb\n\nc"), uint8(2))
	f.Add([]byte("\r\n\x00\xff"), uint8(1))
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		if len(text) > 4096 {
			return
		}
		l := newLab(t)
		w, _ := l.run("/")
		for rest := text; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			l.write(w, Stdout, string(rest[:n]))
			rest = rest[n:]
		}
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
		want := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if len(text) == 0 {
			want = nil
		}
		all := l.read(Query{})
		if len(all) != len(want) {
			t.Fatalf("%d lines of %q, want %d", len(all), text, len(want))
		}
		for i, e := range all {
			if string(e.Line) != want[i] {
				t.Errorf("line %d is %q, want %q", i, e.Line, want[i])
			}
		}
	})
}
