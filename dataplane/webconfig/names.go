package webconfig

import (
	"slices"
	"strings"
)

// meant says which name somebody likely wanted who wrote one that does not exist: the same in another case, or one that is
// off by few letters; else which names there are.
func meant(name string, known []string) string {
	best := nearest(name, known)
	switch {
	case strings.EqualFold(best, name):
		return best + " is meant"
	case best != "":
		return best + " is meant?"
	case len(known) == 0:
		return "it has none"
	}
	return strings.Join(known, ", ")
}

// nearest gives the name that is off by the fewest letters, if they are few; empty: none is.
func nearest(name string, known []string) string {
	best, distance := "", min(max(len(name)/4, 1), 3)+1
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return k
		}
		if d := edits(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// nearly gives the section of ours that one of system.webServer likely is meant to be. The others that IIS has are off by more.
func nearly(section string) string {
	return nearest(section, []string{"aspNetCore", "httpPlatform", "handlers", "security", "httpProtocol", "httpErrors", "webSocket", "applicationInitialization"})
}

// edits counts the letters to insert, delete or replace to get from one name to another. Names of attributes are short; what
// is longer than that is nobody's slip.
func edits(a, b string) int {
	const long = 64
	if len(a) > long || len(b) > long {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			step := 1
			if a[i] == b[j] {
				step = 0
			}
			left, row[j+1] = row[j+1], min(left+step, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// only finds attributes other than the known ones.
func (r *reader) only(e *element, known ...string) {
	if r.describing != nil {
		for _, name := range known {
			r.describing.add(Attribute{Name: name, Kind: Text})
		}
		return
	}
	for _, a := range e.attributes {
		if !slices.Contains(known, a.name) {
			r.wrong(a.at, a.name, a.value, "is no attribute of %s: %s", e.name, meant(a.name, known))
		}
	}
}

// stranger is an element that does not belong where it stands.
func (r *reader) stranger(e *element, in string, known ...string) {
	r.wrong(e.at, "<"+e.name+">", "", "is no element of %s: %s", in, meant(e.name, known))
}
