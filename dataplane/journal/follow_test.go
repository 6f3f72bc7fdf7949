package journal

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// rest reads what an Output has now, and gives the place behind it.
func rest(t *testing.T, o *Output) (text, place string) {
	t.Helper()
	for {
		line, ok, err := o.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return text, place
		}
		text += string(line.Text)
		place = line.Place
	}
}

// The output of a run comes as it was written, secrets apart: long lines whole, and a place goes on behind each line.
func TestOutput(t *testing.T) {
	l := newLab(t)
	w, n := l.run("/")
	if err := l.journal.SetSecrets("shop", "/", n, []string{"s3cret"}); err != nil {
		t.Fatal(err)
	}
	open := func(place string) *Output {
		o, err := l.journal.Output("shop", "/", n, place)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(o.Close)
		return o
	}
	o := open("")
	if text, _ := rest(t, o); text != "" || o.Over() {
		t.Errorf("%q before there is anything, over: %v", text, o.Over())
	}
	long := strings.Repeat("long ", 40_000)
	l.write(w, Stdout, "one\r\n\nit is s3cret\n"+long+"\n")
	l.write(w, capture.Event, "[1001] \"started\"\n")
	l.write(w, Stderr, "two\n")
	text, place := rest(t, o)
	if text != "one\r\n\nit is ***\n"+long+"\ntwo\n" {
		t.Errorf("%.80q, %d bytes", text, len(text))
	}
	l.write(w, Stdout, "no end")
	if text, _ := rest(t, o); text != "" {
		t.Errorf("%q of a line that goes on", text)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]*Output{"the same": o, "another": open(place)} {
		if text, _ := rest(t, o); text != "no end" || !o.Over() {
			t.Errorf("%s: %q, over: %v", name, text, o.Over())
		}
	}
	if _, err := l.journal.Output("shop", "/other", n, place); err == nil {
		t.Error("a place in another application is taken")
	}
}

// Exactly so many characters, whatever they are made of and wherever their lines were cut (LOG-8).
func TestLastCharacters(t *testing.T) {
	const n = 30_000
	for _, c := range []struct{ name, text, want string }{
		{"one line", strings.Repeat("a", n+5000) + "\n", strings.Repeat("a", n)},
		{"a line that was cut", strings.Repeat("b", 70_000), strings.Repeat("b", n)},
		{"many lines", strings.Repeat("ab\n", n), "\n" + strings.Repeat("ab\n", n/3)[:n-1]},
		{"wide characters", strings.Repeat("ü€𝄞", n), strings.Repeat("ü€𝄞", n/3)},
		{"less", "x\ny\n", "x\ny"},
		{"none", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			w, run := l.run("/")
			for rest := c.text; rest != ""; {
				k := min(50_000, len(rest))
				l.write(w, Stdout, rest[:k])
				rest = rest[k:]
			}
			if err := w.End(); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(l.journal.LastCharacters("shop", "/", run, n), "\n")
			if got != c.want {
				t.Errorf("%d characters, %.40q ...", utf8.RuneCountInString(got), got)
			}
			e := Event{ID: EventStartFailed, Message: "m", Output: l.journal.LastCharacters("shop", "/", run, n)}
			var back []string
			for line := range strings.Lines(string(e.Encode())) {
				if len(line) > maxLine {
					t.Errorf("a line of %d bytes", len(line))
				}
				part, err := ParseEvent([]byte(strings.TrimSuffix(line, "\n")))
				if err != nil {
					t.Fatal(err)
				}
				back = append(back, part.Output...)
			}
			if text := strings.Join(back, ""); text != strings.ReplaceAll(c.want, "\n", "") {
				t.Errorf("the event keeps %d characters", utf8.RuneCountInString(text))
			}
		})
	}
}
