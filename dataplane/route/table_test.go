package route

import (
	"errors"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

type door string

func (door) Serve(*forward.Request, forward.ResponseWriter) {}

func TestLookup(t *testing.T) {
	table, err := New([]Entry{
		{"http", "", "/", door("default")},
		{"http", "shop.example", "/", door("shop")},
		{"http", "Shop.Example.", "/API/", door("api")},
		{"http", "shop.example", "/api/v2", door("v2")},
		{"http", "files.example", "/files", door("files")},
		{"http", "files.example", "/großer ordner", door("folder")},
		{"internal", "shop.example", "/", door("internal")},
		{"http", "*.Example", "/", door("any")},
		{"http", "*.shop.example", "/any", door("any shop")},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ listener, host, path, door, base string }{
		{"http", "shop.example", "/", "shop", ""},
		{"http", "SHOP.example:8080", "/x", "shop", ""},
		{"http", "shop.example.", "/x", "shop", ""},
		{"http", "shop.example", "/api", "api", "/api"},
		{"http", "shop.example", "/Api/x", "api", "/Api"},
		{"http", "shop.example", "/api/V2/", "v2", "/api/V2"},
		{"http", "shop.example", "/apis", "shop", ""},
		{"http", "shop.example", "/api%2Fv2", "shop", ""},
		{"http", "files.example", "/files/a", "files", "/files"},
		{"http", "files.example", "/gro%C3%9Fer%20Ordner/a", "folder", "/gro%C3%9Fer%20Ordner"},
		{"http", "files.example", "/other", "", ""},
		{"http", "[::1]:80", "/", "default", ""},
		{"http", "", "/", "default", ""},
		{"internal", "shop.example", "/api", "internal", ""},
		{"internal", "other", "/", "", ""},
		{"none", "shop.example", "/", "", ""},
		{"http", "blog.example", "/api", "any", ""},
		{"http", "BLOG.Example.:81", "/", "any", ""},
		{"http", "a.blog.example", "/", "default", ""}, // one label, not two
		{"http", "example", "/", "default", ""},
		{"http", ".example", "/", "default", ""},
		{"http", "a.shop.example", "/any", "any shop", "/any"},
		{"http", "a.shop.example", "/", "", ""}, // no way from the longer pattern to another
		{"http", "files.example", "/any", "", ""},
	}
	for _, tt := range tests {
		d, base, ok := table.Lookup(tt.listener, []byte(tt.host), []byte(tt.path))
		got, _ := d.(door)
		if string(got) != tt.door || ok != (tt.door != "") || string(base) != tt.base {
			t.Errorf("%s %s %s: %q, base %q, %v", tt.listener, tt.host, tt.path, got, base, ok)
		}
	}
	if _, _, ok := (*Table)(nil).Lookup("http", nil, []byte("/")); ok {
		t.Error("a nil table has a route")
	}
	host, path := []byte("shop.example:80"), []byte("/api/v2/x")
	if n := testing.AllocsPerRun(100, func() { table.Lookup("http", host, path) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	host = []byte("blog.example")
	if n := testing.AllocsPerRun(100, func() { table.Lookup("http", host, path) }); n != 0 {
		t.Errorf("%v allocations for a pattern", n)
	}
}

func TestConflicts(t *testing.T) {
	table, err := New([]Entry{
		{"http", "a", "/x", door("first")},
		{"http", "A.", "/X/", door("second")},
		{"http", "b", "x", door("relative")},
		{"http", "b", "/", nil},
		{"http", "c", "/", door("good")},
	})
	var conflict *Conflict
	if !errors.As(err, &conflict) || conflict.First != 0 || conflict.Second != 1 {
		t.Errorf("%v", err)
	}
	if n := len(err.(interface{ Unwrap() []error }).Unwrap()); n != 3 {
		t.Errorf("%d problems, want 3: %v", n, err)
	}
	for host, want := range map[string]door{"a": "first", "c": "good"} {
		if d, _, _ := table.Lookup("http", []byte(host), []byte("/x")); d != want {
			t.Errorf("%s: %v", host, d)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	var entries []Entry
	for _, path := range []string{"/", "/a", "/b", "/c"} {
		entries = append(entries, Entry{"http", "shop.example", path, door(path)})
	}
	table, _ := New(entries)
	host, path := []byte("shop.example:80"), []byte("/b/x")
	for b.Loop() {
		table.Lookup("http", host, path)
	}
}
