package route

import (
	"strings"
	"testing"
)

// Which requests a handler takes, by the rules of IIS (SCH-6).
func TestHandlers(t *testing.T) {
	for pattern, paths := range map[string]struct{ takes, leaves []string }{
		"*":            {[]string{"", "/", "/a", "/a/b.c", "/%2F"}, nil},
		"*.aspx":       {[]string{"/a.aspx", "/x/B.ASPX", "/.aspx"}, []string{"", "/", "/a.aspx/b", "/a.aspxx", "/aspx"}},
		"api/*":        {[]string{"/api/", "/API/x", "/api/x/y"}, []string{"", "/", "/api", "/apis/x", "/x/api/y"}},
		"/api/*":       {[]string{"/api/x"}, []string{"/x/api/y"}},
		`in\*`:         {[]string{"/in/x"}, []string{"/in"}},
		"trace.axd":    {[]string{"/trace.axd", "/x/Trace.axd"}, []string{"/trace.axd/x", "/xtrace.axd"}},
		"a?c":          {[]string{"/abc", "/x/a-c"}, []string{"/ac", "/abbc"}},
		"*/v1/*":       {[]string{"/a/v1/", "/a/b/v1/c"}, []string{"/v1/x", "/a/v2/"}},
		"my files/*":   {[]string{"/my%20files/a"}, []string{"/my/files/a"}},
		"größe*":       {[]string{"/gr%C3%B6%C3%9Fe", "/gr%C3%B6%C3%9Fer"}, []string{"/grosse"}},
		"100%/*":       {[]string{"/100%25/x"}, []string{"/100/x"}},
		"*a*b*":        {[]string{"/xxaxxbxx", "/ab"}, []string{"/ba", "/b"}},
		"":             {[]string{"", "/", "/a/"}, []string{"/a"}},
		"*aaaaaaaaaab": {nil, []string{"/" + strings.Repeat("a", 4000)}},
	} {
		h := NewHandlers([]Handler{{Path: pattern}})
		for _, path := range paths.takes {
			if !h.Take([]byte("GET"), []byte(path)) {
				t.Errorf("%q leaves %q", pattern, path)
			}
		}
		for _, path := range paths.leaves {
			if h.Take([]byte("GET"), []byte(path)) {
				t.Errorf("%q takes %q", pattern, path)
			}
		}
	}
}

// Several handlers take what any of them takes, each with its own methods; none takes nothing.
func TestHandlersTogether(t *testing.T) {
	h := NewHandlers([]Handler{{Path: "api/*", Verbs: []string{"GET", "POST"}}, {Path: "*.map"}})
	for request, want := range map[string]bool{
		"GET /api/x": true, "POST /api/x": true, "PUT /api/x": false, "get /api/x": false, "PUT /a.map": true, "GET /": false, "DELETE /api/x.map": true,
	} {
		method, path, _ := strings.Cut(request, " ")
		if h.Take([]byte(method), []byte(path)) != want {
			t.Errorf("%s: want %v", request, want)
		}
	}
	if NewHandlers(nil).Take([]byte("GET"), []byte("/")) {
		t.Error("no handler takes a request")
	}
	path := []byte("/x/y/z.map")
	if n := testing.AllocsPerRun(100, func() { h.Take([]byte("PUT"), path) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// No pattern and no path stops it, or takes what is no match by the definition of the wildcards.
func FuzzHandlers(f *testing.F) {
	f.Add("api/*", "/api/x")
	f.Add("*?a*", "/bca")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		got := wild([]byte(pattern), []byte(path))
		if len(pattern) < 12 && len(path) < 12 && got != slowly(pattern, path) {
			t.Errorf("%q %q: %v", pattern, path, got)
		}
		NewHandlers([]Handler{{Path: pattern}}).Take([]byte("GET"), []byte(path))
	})
}

func slowly(pattern, path string) bool {
	switch {
	case pattern == "":
		return path == ""
	case pattern[0] == '*':
		return slowly(pattern[1:], path) || path != "" && slowly(pattern, path[1:])
	}
	return path != "" && (pattern[0] == '?' || pattern[0] == lower(path[0])) && slowly(pattern[1:], path[1:])
}
