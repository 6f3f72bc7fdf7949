package main

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/tests/testlog"
)

// rowsPackage is the one whose run is read.
const rowsPackage = "tests/rows"

// shown is what the run says of one row.
type shown struct {
	tests       map[string]bool // the tests whose subtests name it
	saw         int
	passed      bool
	failed      bool
	skipped     string // why
	skippedTest string
}

// count adds up a run.
type count struct {
	plan   *plan
	rows   map[string]*shown
	output map[string][]string
	failed []string
	skips  []string // tests
	ran    bool
}

func newCount(p *plan) *count {
	return &count{plan: p, rows: map[string]*shown{}, output: map[string][]string{}}
}

// named is the second level of a test's name where that begins with an id.
var named = regexp.MustCompile(`^([^/]+/([A-Z][0-9]{2})_[^/]*)(/.*)?$`)

// row gives the row that a test shows, if it does, and whether it is the row itself, not a part of it.
func (c *count) row(test string) (s *shown, whole bool) {
	m := named.FindStringSubmatch(test)
	if m == nil {
		return nil, false
	}
	if c.rows[m[2]] == nil {
		c.rows[m[2]] = &shown{tests: map[string]bool{}}
	}
	s = c.rows[m[2]]
	s.tests[m[1][:strings.IndexByte(m[1], '/')]] = true
	return s, m[3] == ""
}

func (c *count) add(e testlog.Event) {
	row, whole := c.row(e.Test)
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output", "build-output":
		c.output[key] = append(c.output[key], e.Output)
	case "build-fail":
		c.failed = append(c.failed, "build")
	case "attr":
		if row != nil && e.Key == "saw" {
			row.saw++
		}
	case "fail":
		c.failed = append(c.failed, strings.TrimSpace(testlog.Short(e.Package)+" "+e.Test))
		if row != nil {
			row.failed = true
		}
	case "skip":
		if e.Test != "" {
			c.skips = append(c.skips, e.Test)
		}
		if row != nil {
			row.skipped, row.skippedTest = testlog.Reason(c.output[key]), e.Test
		}
	case "pass":
		c.ran = c.ran || e.Test == "" && testlog.Short(e.Package) == rowsPackage
		if whole && row != nil {
			row.passed = true
		}
	}
}

// covered says whether a row was shown.
func (c *count) covered(id string) bool {
	s := c.rows[id]
	return s != nil && s.passed && !s.failed && s.skippedTest == "" && s.saw > 0
}

func (c *count) print(out io.Writer) {
	for _, key := range slices.Sorted(maps.Keys(c.output)) {
		if key == " " || slices.Contains(c.failed, strings.TrimSpace(testlog.Short(key))) {
			for _, line := range c.output[key] {
				fmt.Fprint(out, line)
			}
		}
	}
	var open, skipped []string
	covered, of, extra := 0, 0, 0
	for _, l := range c.plan.rows {
		switch {
		case l.needed():
			of++
		case c.covered(l.id):
			extra++
		}
		switch s := c.rows[l.id]; {
		case c.covered(l.id):
			covered++
		case !l.needed() || c.plan.leftOut[l.id] != "":
		case s != nil && s.skippedTest != "":
			skipped = append(skipped, fmt.Sprintf("skip  %s %s: %s", l.id, l.what, s.skipped))
		default:
			open = append(open, fmt.Sprintf("      %s %s", l.id, l.what))
		}
	}
	for _, line := range skipped {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out, "not covered:")
	for _, line := range open {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintln(out, "left out:")
	for _, id := range slices.Sorted(maps.Keys(c.plan.leftOut)) {
		fmt.Fprintf(out, "      %s: %s\n", id, c.plan.leftOut[id])
	}
	fmt.Fprintln(out, "different on purpose:")
	for _, id := range slices.Sorted(maps.Keys(c.plan.different)) {
		state := "not covered"
		if c.covered(id) {
			state = "covered"
		}
		fmt.Fprintf(out, "      %s: %s (%s)\n", id, c.plan.different[id], state)
	}
	fmt.Fprintf(out, "rows: %d covered (%d of them beyond the %d that must be), %d skipped, %d not covered, %d left out, %d different on purpose\n",
		covered, extra, of, len(skipped), len(open), len(c.plan.leftOut), len(c.plan.different))
}

// verdict is nil when the run may stand.
func (c *count) verdict(allowed map[string]bool, strict bool) error {
	known := map[string]bool{}
	var open []string
	for _, l := range c.plan.rows {
		known[l.id] = true
		s := c.rows[l.id]
		skipped := !strict && s != nil && s.skippedTest != "" && !s.failed
		if l.needed() && c.plan.leftOut[l.id] == "" && !c.covered(l.id) && !skipped {
			open = append(open, l.id)
		}
	}
	var wrong []string
	for _, id := range slices.Sorted(maps.Keys(c.rows)) {
		switch tests := slices.Sorted(maps.Keys(c.rows[id].tests)); {
		case !known[id]:
			wrong = append(wrong, fmt.Sprintf("%s is in no list: %s", id, tests[0]))
		case len(tests) > 1:
			wrong = append(wrong, fmt.Sprintf("%s is named by %s", id, strings.Join(tests, " and ")))
		case c.rows[id].passed && c.rows[id].saw == 0:
			wrong = append(wrong, fmt.Sprintf("%s passed and saw nothing", id))
		}
	}
	var unnamed []string
	for _, test := range c.skips {
		if !allowed[rowsPackage+" "+test] {
			unnamed = append(unnamed, test)
		}
	}
	switch slices.Sort(c.failed); {
	case len(c.failed) > 0:
		return fmt.Errorf("FAILED: %s", strings.Join(slices.Compact(c.failed), ", "))
	case !c.ran:
		return fmt.Errorf("%s was not tested", rowsPackage)
	case len(wrong) > 0:
		return fmt.Errorf("rows: %s", strings.Join(wrong, "; "))
	case strict && len(unnamed) > 0:
		return fmt.Errorf("skipped and not named in tests/skips.txt: %s", strings.Join(unnamed, ", "))
	case len(open) > 0:
		return fmt.Errorf("not covered, and not in left-out.txt: %s", strings.Join(open, ", "))
	}
	return nil
}
