package site

import "strings"

// Problem is one thing that is wrong with a site. Path names the field as the site file spells it, for example
// applications[0].ready.timeout.
type Problem struct{ Path, Message string }

func (p Problem) String() string { return p.Path + ": " + p.Message }

// Problems is everything that is wrong with a site, in the order of the file.
type Problems []Problem

// Error gives one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}
