package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscapeLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext":           "plain\ttext",
		"größe 漢字 👩‍💻":          "größe 漢字 👩‍💻",
		"\x1b]0;owned\x07":      `\x1b]0;owned\x07`,
		"a\rb\nc":               `a\rb\nc`,
		"\x00\x7f":              `\x00\x7f`,
		"\u0085\u009b31m":       `\u0085\u009b31m`,
		"\x9b31m":               `\x9b31m`,
		"bad \xff\xc3":          `bad \xff\xc3`,
		"rtl \u202egnp.exe":     `rtl \u202egnp.exe`,
		"\u2028\u2029\ufeff":    `\u2028\u2029\ufeff`,
		"tag \U000e0041":        `tag \U000e0041`,
		"real \ufffd character": "real \ufffd character",
	} {
		if got := escapeLine(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := escapeText("a\nb\x1b"); got != "a\nb\\x1b" {
		t.Errorf("escapeText: %q", got)
	}
}

// JSON means the same behind escapeJSON, and holds nothing that acts on a terminal.
func TestEscapeJSON(t *testing.T) {
	in := "c1 \u009b, rtl \u202e, tag \U000e0041, ok ü 👩"
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	safe := escapeJSON(string(text))
	var back string
	if err := json.Unmarshal([]byte(safe), &back); err != nil || back != in {
		t.Errorf("%s: %q, %v", safe, back, err)
	}
	if unsafeIndex(safe, true) >= 0 || !strings.Contains(safe, "ü 👩") {
		t.Error(safe)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b[31mred\u202e\xff")
	f.Fuzz(func(t *testing.T, in string) {
		out := escapeLine(in)
		if !utf8.ValidString(out) {
			t.Fatalf("%q: no UTF-8: %q", in, out)
		}
		for _, r := range out {
			if unicode.IsControl(r) && r != '\t' {
				t.Fatalf("%q: %q holds %U", in, out, r)
			}
		}
		if escapeLine(out) != out {
			t.Fatalf("%q: not stable", in)
		}
	})
}
