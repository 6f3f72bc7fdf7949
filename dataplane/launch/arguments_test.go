package launch

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		``:                         nil,
		`  `:                       nil,
		`.\App.dll`:                {`.\App.dll`},
		`a  b	c`:                   {`a`, `b`, `c`},
		`"a b" c`:                  {`a b`, `c`},
		`a"b c"d`:                  {`ab cd`},
		`""`:                       {``},
		`--none "" tail`:           {`--none`, ``, `tail`},
		`"D:\in box\\"`:            {`D:\in box\`},
		`a\\b`:                     {`a\\b`},
		`a\"b`:                     {`a"b`},
		`a\\"b c"`:                 {`a\b c`},
		`"he said ""hi"" to me"`:   {`he said "hi" to me`},
		`--title "Mill ""North"""`: {`--title`, `Mill "North"`},
		`\\server\share`:           {`\\server\share`},
		`"unclosed`:                {`unclosed`},
	} {
		if diff := cmp.Diff(want, split(line)); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
}

func TestExpand(t *testing.T) {
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{"A": "x", "B": "", "C": "%A%"}[name]
		return v, ok
	}
	for text, want := range map[string]string{
		"": "", "100%": "100%", "%A%": "x", "%A%%A%": "xx", "%B%": "", "%NO%": "%NO%", "%NO%A%": "%NOx",
		"%C%": "%A%", "%%": "%%", "50% of %A%": "50% of x",
	} {
		if got := expand(text, lookup); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestWithPort(t *testing.T) {
	for text, want := range map[string]string{
		"${PORT}": "81", "127.0.0.1:${PORT}/x": "127.0.0.1:81/x", "%HTTP_PLATFORM_PORT%": "81", "%http_platform_port%,%ASPNETCORE_PORT%": "81,81",
		"$PORT": "$PORT", "%PORT%": "%PORT%", "plain": "plain",
	} {
		if got := withPort(text, 81); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(`a "b c" \"d\\" ""`)
	f.Fuzz(func(t *testing.T, line string) {
		total := 0
		for _, a := range split(line) {
			total += len(a)
		}
		if total > len(line) {
			t.Errorf("%q grew to %d bytes", line, total)
		}
	})
}

func FuzzExpand(f *testing.F) {
	f.Add("%A% 100%")
	f.Fuzz(func(t *testing.T, text string) {
		none := func(string) (string, bool) { return "", false }
		if got := expand(text, none); got != text {
			t.Errorf("%q became %q although nothing is set", text, got)
		}
	})
}
