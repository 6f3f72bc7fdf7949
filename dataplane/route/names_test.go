package route

import (
	"strings"
	"testing"
)

// FuzzNames: a host name means what the rules say, spelled out the slow way.
func FuzzNames(f *testing.F) {
	names := Names[string]{"": "default", "a.b": "a.b", "*.b": "*.b", "*.c.b": "*.c.b", "b": "b"}
	for _, seed := range []string{"a.b", "A.B.:80", "x.b", "x.c.b", "c.b", ".b", "b", "*.b", "[::1]:80", "x.y.b", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got, ok := names.Lookup([]byte(host))
		if !ok {
			t.Fatal("the default was not found")
		}
		name := strings.TrimSuffix(string(trimPort([]byte(host))), ".")
		if name != string(trimPort([]byte(host))) || len(name) > 256 {
			return
		}
		name = asciiLower(name)
		want, exact := names[name]
		if first, rest, ok := strings.Cut(name, "."); !exact || name == "" {
			if want = names["*."+rest]; !ok || first == "" || want == "" {
				want = "default"
			}
		}
		if got != want {
			t.Errorf("%q: %s, want %s", host, got, want)
		}
	})
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}
