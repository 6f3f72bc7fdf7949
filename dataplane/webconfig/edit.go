package webconfig

import (
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/filter"
)

// Edit is what a section changes of the rules that its place inherits.
type Edit struct {
	// Path is the place, as location names it; empty: the application itself.
	Path string
	Do   func(*filter.Rules)
	// From is the section.
	From filter.Source
}

// Rules gives what holds at each place that is edited: what its parents say, then what it says itself. Those of the
// application itself come first; nothing is edited, nothing holds.
func Rules(edits []Edit) []filter.Rules {
	if len(edits) == 0 {
		return nil
	}
	paths := []string{""}
	for _, e := range edits {
		if !slices.ContainsFunc(paths, func(p string) bool { return strings.EqualFold(p, e.Path) }) {
			paths = append(paths, e.Path)
		}
	}
	slices.SortStableFunc(paths, func(a, b string) int { return len(a) - len(b) })
	all := make([]filter.Rules, 0, len(paths))
	for _, path := range paths {
		rules := filter.Rules{Path: path}
		for _, parent := range paths {
			if !within(path, parent) {
				continue
			}
			for _, e := range edits {
				if strings.EqualFold(e.Path, parent) {
					before := rules
					e.Do(&rules)
					rules.Owe(&before, e.From)
				}
			}
		}
		all = append(all, rules)
	}
	return all
}

// EditsBelow gives the edits that an application inherits from the one above it, whose path lies path below, without slashes at
// its ends. Its own come behind them.
func EditsBelow(edits []Edit, path string) []Edit {
	// What is said nearer to the application counts after what is said further up.
	edits = slices.SortedStableFunc(slices.Values(edits), func(a, b Edit) int { return len(a.Path) - len(b.Path) })
	var inherited []Edit
	for _, e := range edits {
		switch {
		case within(path, e.Path):
			inherited = append(inherited, Edit{Path: "", Do: e.Do, From: e.From})
		case within(e.Path, path):
			inherited = append(inherited, Edit{Path: e.Path[len(path)+1:], Do: e.Do, From: e.From})
		}
	}
	return inherited
}

// within reports whether a path is another or below it.
func within(path, parent string) bool {
	n := len(parent)
	return n == 0 || len(path) >= n && strings.EqualFold(path[:n], parent) && (len(path) == n || path[n] == '/')
}
