package route

import (
	"slices"
	"testing"
)

// What Explain says is what Lookup finds.
func TestExplain(t *testing.T) {
	table, err := New([]Entry{
		{"http", "shop.example", "/", door("shop")}, {"http", "shop.example", "/api/", door("api")}, {"http", "*.example", "/", door("any")}, {"http", "Mail.Example.", "/m", door("mail")},
		{"other", "", "/", door("default")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		listener, host, name string
		known                bool
		paths                []string
	}{
		{"http", "SHOP.example:8080", "shop.example", true, []string{"/api", "/"}},
		{"http", "x.example", "*.example", true, []string{"/"}},
		{"http", "mail.example", "mail.example", true, []string{"/m"}},
		{"http", "a.b.example", "", false, nil},
		{"other", "whoever", "", true, []string{"/"}},
		{"none", "whoever", "", false, nil},
	} {
		s := table.Explain(c.listener, []byte(c.host))
		if s.Hostname != c.name || s.Known != c.known || !slices.Equal(s.Paths, c.paths) {
			t.Errorf("%s: %+v", c.host, s)
		}
		if _, _, found := table.Lookup(c.listener, []byte(c.host), []byte("/m")); found != c.known {
			t.Errorf("%s: looked up %v", c.host, found)
		}
	}
	if s := table.Explain("http", nil); !slices.Equal(s.Hostnames, []string{"*.example", "mail.example", "shop.example"}) {
		t.Errorf("%v", s.Hostnames)
	}
	if s := (*Table)(nil).Explain("http", nil); s.Known {
		t.Errorf("%+v", s)
	}
}
