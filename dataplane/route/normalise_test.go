package route

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	tests := []struct{ target, path, query string }{
		{"/", "/", ""},
		{"/a/b?c=d;e&%20", "/a/b", "?c=d;e&%20"},
		{"/a?", "/a", "?"},
		{"", "/", ""},
		{"?q", "/", "?q"},
		{"/a//b/", "/a//b/", ""},
		{"//evil/x", "//evil/x", ""},
		{"/%41%7a%2D%2e%5F%7E", "/Az-._~", ""},
		{"/a%2fb%2Fc", "/a%2Fb%2Fc", ""},
		{"/%3f%3F?q", "/%3F%3F", "?q"},
		{"/%c3%a4%25%0d", "/%C3%A4%25%0D", ""},
		{"/%252e%252e/", "/%252e%252e/", ""},
		{"/./a/./b/.", "/a/b/", ""},
		{"/a/../b", "/b", ""},
		{"/a/b/..", "/a/", ""},
		{"/../../a", "/a", ""},
		{"/..", "/", ""},
		{"/a/%2e%2E/b", "/b", ""},
		{"/a/.%2e/%2e/b", "/b", ""},
		{"/a/..%2fb", "/a/..%2Fb", ""},
		{"/a//../b", "/a/b", ""},
		{"/a.b/..c/...", "/a.b/..c/...", ""},
		{"/?../..", "/", "?../.."},
		{"/a|b^c[d]", "/a|b^c[d]", ""},
	}
	for _, tt := range tests {
		path, query, err := Normalise(nil, []byte(tt.target))
		if err != nil || string(path) != tt.path || string(query) != tt.query {
			t.Errorf("%s: %q, %q, %v; want %q, %q", tt.target, path, query, err, tt.path, tt.query)
		}
	}
	refused := []struct {
		target string
		err    error
	}{
		{"/a\\b", ErrBackslash}, {"/a%5Cb", ErrBackslash}, {"/..%5c", ErrBackslash},
		{"/%00", ErrNUL}, {"/%", ErrEncoding}, {"/%2", ErrEncoding}, {"/%zz", ErrEncoding}, {"/%4?x", ErrEncoding},
		{"a", ErrByte}, {"*", ErrByte}, {"/a b", ErrByte}, {"/a#b", ErrByte}, {"/a?b#c", ErrByte}, {"/\x01", ErrByte}, {"/?\x7f", ErrByte}, {"/\xc3\xa4", ErrByte},
	}
	for _, tt := range refused {
		if path, _, err := Normalise(nil, []byte(tt.target)); !errors.Is(err, tt.err) {
			t.Errorf("%q: %q, %v; want %v", tt.target, path, err, tt.err)
		}
	}
}

// FuzzNormalise: a path has one normal spelling, which means what the target meant, and has nothing in it that a later
// reader could take for a way out of the application.
func FuzzNormalise(f *testing.F) {
	for _, seed := range []string{"/a/../%2e%2E/b?c", "/%41%2f", "//x/./", "/..", "?q", "/%5c", "/a/b/%2e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		before := strings.Clone(target)
		path, query, err := Normalise(nil, []byte(target))
		if err != nil {
			return
		}
		if target != before {
			t.Fatal("the target was changed")
		}
		if len(path) == 0 || path[0] != '/' || bytes.ContainsAny(path, "\\\x00?#") || len(path) > len(target)+1 {
			t.Fatalf("path %q", path)
		}
		for _, segment := range bytes.Split(path, []byte("/")) {
			if s := string(segment); s == "." || s == ".." {
				t.Fatalf("dot segment in %q", path)
			}
		}
		again, none, err := Normalise(nil, path)
		if err != nil || !bytes.Equal(again, path) || len(none) != 0 {
			t.Fatalf("%q becomes %q, %q, %v the second time", path, again, none, err)
		}
		if !strings.HasSuffix(target, string(query)) {
			t.Fatalf("query %q", query)
		}
		u, err := url.ParseRequestURI("http://x" + string(path))
		if err != nil {
			return // theirs allows fewer bytes
		}
		theirs, _ := url.PathUnescape(strings.TrimSuffix(target, string(query)))
		if !strings.Contains(theirs, "/.") && !strings.Contains(target, "%") && u.Path != theirs && theirs != "" {
			t.Errorf("%q means %q, was %q", path, u.Path, theirs)
		}
	})
}

func BenchmarkNormalise(b *testing.B) {
	target := []byte("/shop/products/42?sort=name")
	for b.Loop() {
		Normalise(nil, target)
	}
}
