package webconfig

import (
	"slices"
	"strings"
)

// meant says which name somebody likely wanted who wrote one that does not exist: the same in another case, or one that is
// off by few letters; else which names there are.
func meant(name string, known []string) string {
	best, distance := "", min(max(len(name)/4, 1), 3)+1
	for _, k := range known {
		if strings.EqualFold(k, name) {
			return k + " is meant"
		}
		if d := edits(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return best + " is meant?"
	case len(known) == 0:
		return "it has none"
	}
	return strings.Join(known, ", ")
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
