package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mostLeftOut is how many rows that Linux can have may have no test.
const mostLeftOut = 10

// plan is what the files beside the rows say.
type plan struct {
	rows      []listed
	leftOut   map[string]string // reason
	different map[string]string // decision
}

// listed is one line of list.txt.
type listed struct {
	id, linux, what string
}

// needed says whether the row is to have a test.
func (l listed) needed() bool { return l.linux == "yes" || l.linux == "partly" }

func readPlan(dir, decisions string) (*plan, error) {
	p := &plan{leftOut: map[string]string{}, different: map[string]string{}}
	lines, err := read(filepath.Join(dir, "list.txt"))
	if err != nil {
		return nil, err
	}
	known := map[string]listed{}
	for _, line := range lines {
		linux, what, _ := strings.Cut(line[1], " ")
		switch linux {
		case "yes", "partly", "no", "optional":
		default:
			return nil, fmt.Errorf("list.txt: %s: %q is none of yes, partly, no and optional", line[0], linux)
		}
		known[line[0]] = listed{line[0], linux, what}
		p.rows = append(p.rows, known[line[0]])
	}
	for name, to := range map[string]map[string]string{"left-out.txt": p.leftOut, "different.txt": p.different} {
		lines, err := read(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			if known[line[0]].id == "" {
				return nil, fmt.Errorf("%s: list.txt has no %s", name, line[0])
			}
			to[line[0]] = line[1]
		}
	}
	if len(p.leftOut) > mostLeftOut {
		return nil, fmt.Errorf("left-out.txt: %d rows, %d are allowed", len(p.leftOut), mostLeftOut)
	}
	subjects, err := subjectsOf(decisions)
	if err != nil {
		return nil, err
	}
	for id, decision := range p.different {
		if !subjects[decision] {
			return nil, fmt.Errorf("different.txt: %s: no decision %q in %s", id, decision, filepath.Base(decisions))
		}
	}
	return p, nil
}

// subjectsOf gives the first column of the table of differences, and the decisions of the design that chose some themselves.
func subjectsOf(decisions string) (map[string]bool, error) {
	content, err := os.ReadFile(decisions)
	if err != nil {
		return nil, err
	}
	subjects := map[string]bool{"D8": true, "D10": true, "D11": true}
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "| "); ok {
			subject, _, _ := strings.Cut(rest, " | ")
			subjects[subject] = true
		}
	}
	return subjects, nil
}
