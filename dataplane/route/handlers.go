package route

import (
	"bytes"
	"fmt"
	"slices"
)

// Handler says which requests of an application go to it, as IIS maps handlers (SCH-6).
type Handler struct {
	// Path holds `*` for any run of characters and `?` for any one; with a slash it is compared with the whole path below the
	// application, else with the last segment of it, both without regard to case.
	Path string
	// Verbs are methods in upper case; none is every one.
	Verbs []string
}

// Handlers is what goes to an application when not everything does. It never changes.
type Handlers struct{ all []mapping }

type mapping struct {
	pattern []byte // in lower case, spelled like a normalised path, without a slash at its beginning
	whole   bool
	verbs   []string
}

// NewHandlers compiles handlers; what one of them takes goes to the application. None takes nothing.
func NewHandlers(list []Handler) *Handlers {
	h := &Handlers{}
	for _, one := range list {
		m := mapping{verbs: slices.Clone(one.Verbs)}
		path := bytes.ReplaceAll([]byte(one.Path), []byte{'\\'}, []byte{'/'})
		m.whole = bytes.IndexByte(path, '/') >= 0
		for _, c := range bytes.TrimLeft(path, "/") {
			if c <= ' ' || c >= 0x7f || c == '#' || c == '%' {
				m.pattern = fmt.Appendf(m.pattern, "%%%02x", c)
			} else {
				m.pattern = append(m.pattern, lower(c))
			}
		}
		h.all = append(h.all, m)
	}
	return h
}

// Take reports whether a request goes to the application; below is its path below that of the application. It costs no
// allocation.
func (h *Handlers) Take(method, below []byte) bool { return h.Index(method, below) >= 0 }

// Index gives the place of the first handler that takes a request in the list that NewHandlers was given, -1 when none does.
func (h *Handlers) Index(method, below []byte) int {
	if len(below) > 0 && below[0] == '/' {
		below = below[1:]
	}
	last := below[bytes.LastIndexByte(below, '/')+1:]
	for i := range h.all {
		m := &h.all[i]
		path := last
		if m.whole {
			path = below
		}
		if m.takesVerb(method) && wild(m.pattern, path) {
			return i
		}
	}
	return -1
}

func (m *mapping) takesVerb(method []byte) bool {
	for _, verb := range m.verbs {
		if string(method) == verb {
			return true
		}
	}
	return len(m.verbs) == 0
}

// wild compares a path with a pattern in at most len(pattern)*len(path) steps: only the last `*` is ever tried again.
func wild(pattern, path []byte) bool {
	p, star, from := 0, -1, 0
	for i := 0; i < len(path); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == lower(path[i])):
			p++
			i++
		case star >= 0:
			from++
			p, i = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
