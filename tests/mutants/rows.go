package main

import (
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/tests/testlog"
)

// rowsPackage shows the module's behaviours on the programs in ANCORA_BIN, so a bug there is built into those.
const rowsPackage = "./tests/rows"

var rowOf = regexp.MustCompile(`^[^/]+/([A-N][0-9]{2})_[^/]*$`)

// others is how many rows of a test are run beside those that must fail.
const others = 6

var (
	testFunc  = regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\) \{$`)
	idOfARow  = regexp.MustCompile(`"([A-N][0-9]{2}) `)
	sourceDir = filepath.FromSlash("tests/rows")
)

// rowsOf gives the ids of the rows of one test, and those of all, from their source.
func rowsOf(test string) (own, all []string, err error) {
	files, err := filepath.Glob(filepath.Join(sourceDir, "*_test.go"))
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, err
		}
		found := testFunc.FindAllSubmatchIndex(content, -1)
		for n, at := range found {
			end := len(content)
			if n+1 < len(found) {
				end = found[n+1][0]
			}
			for _, m := range idOfARow.FindAllSubmatch(content[at[1]:end], -1) {
				all = append(all, string(m[1]))
				if string(content[at[2]:at[3]]) == test {
					own = append(own, string(m[1]))
				}
			}
		}
	}
	if len(own) == 0 {
		return nil, nil, fmt.Errorf("no test %s with rows in %s", test, sourceDir)
	}
	slices.Sort(own)
	slices.Sort(all)
	return slices.Compact(own), slices.Compact(all), nil
}

// sample gives the rows to run for a bug: those that must fail, of whatever test, and some of the others of its own, which must not;
// other ones for each bug.
func sample(b *bug) ([]string, error) {
	own, all, err := rowsOf(b.test)
	if err != nil {
		return nil, err
	}
	wanted := strings.Fields(b.rows)
	for _, id := range wanted {
		if !slices.Contains(all, id) {
			return nil, fmt.Errorf("there is no row %s", id)
		}
	}
	rest := slices.DeleteFunc(own, func(id string) bool { return slices.Contains(wanted, id) })
	from := int(crc32.ChecksumIEEE([]byte(b.name)))
	for n := range min(others, len(rest)) {
		wanted = append(wanted, rest[(from+n)%len(rest)])
	}
	return wanted, nil
}

// plantRows runs the rows named against programs with the bug, and a sample of the others, and says whether exactly those named failed.
func plantRows(b *bug, overlay, dir string) (noticed bool, err error) {
	run, err := sample(b)
	if err != nil {
		return false, err
	}
	red, ran, err := failing(overlay, dir, fmt.Sprintf(".*/^(%s)_", strings.Join(run, "|")))
	if err != nil {
		return false, err
	}
	if missing := slices.DeleteFunc(run, func(id string) bool { return ran[id] }); len(missing) > 0 {
		return false, fmt.Errorf("rows %v did not run", missing)
	}
	wanted, got := strings.Fields(b.rows), slices.Sorted(maps.Keys(red))
	slices.Sort(wanted)
	if len(got) == 0 {
		return false, nil
	}
	if !slices.Equal(wanted, got) {
		return false, fmt.Errorf("rows %v fail, want exactly %v", got, wanted)
	}
	return true, nil
}

// together runs every row against programs with all the bugs, so that what one of them breaks besides the rows that it names is
// seen. Bugs of the same lines are planted one after the other. One may hide what another does: that each makes its rows fail is shown
// where it is planted alone.
func together(dir string, names []string) error {
	left, err := read(dir, names)
	if err != nil {
		return err
	}
	for len(left) > 0 {
		var bugs, later []*bug
		planted := map[string]string{} // what stands in the files
		for _, b := range left {
			if planted[b.file] == "" {
				content, err := os.ReadFile(b.file)
				if err != nil {
					return err
				}
				planted[b.file] = string(content)
			}
			if strings.Count(planted[b.file], b.before) != 1 {
				later = append(later, b)
				continue
			}
			planted[b.file] = strings.Replace(planted[b.file], b.before, b.after, 1)
			bugs = append(bugs, b)
		}
		if len(bugs) == 0 {
			return fmt.Errorf("the code of %s has moved", later[0].name)
		}
		if err := atOnce(bugs); err != nil {
			return err
		}
		left = later
	}
	return nil
}

// atOnce runs every row against programs with some bugs: those that the bugs name must fail, and no others.
func atOnce(bugs []*bug) error {
	work, err := os.MkdirTemp("", "ancora-mutant-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	overlay, err := overlayOf(work, bugs...)
	if err != nil {
		return err
	}
	red, ran, err := failing(overlay, work, ".")
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, b := range bugs {
		for _, id := range strings.Fields(b.rows) {
			wanted[id] = true
		}
	}
	unnamed := slices.DeleteFunc(slices.Sorted(maps.Keys(red)), func(id string) bool { return wanted[id] })
	hidden := slices.DeleteFunc(slices.Sorted(maps.Keys(wanted)), func(id string) bool { return red[id] != "" })
	for _, id := range unnamed {
		fmt.Fprintf(os.Stderr, "%s says:\n%s", id, red[id])
	}
	if len(unnamed) > 0 {
		return fmt.Errorf("%d bugs at once, %d rows: %v fail and no bug names them", len(bugs), len(ran), unnamed)
	}
	fmt.Printf("%d bugs at once: of %d rows only those fail that they name, %d; hidden by another bug: %v\n", len(bugs), len(ran), len(red), hidden)
	return nil
}

// failing builds the programs by an overlay, runs the rows that match a pattern of `go test -run`, and gives which ran, and what those
// have said that failed.
func failing(overlay, dir, pattern string) (red map[string]string, ran map[string]bool, err error) {
	bin := filepath.Join(dir, "bin")
	build := exec.Command("go", "build", "-trimpath", "-overlay="+overlay, "-o", bin+"/", "./controlplane/cmd/ancora", "./agent/cmd/ancora-agent", "./tests/childapp")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, nil, fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	test := exec.Command("go", "test", "-count=1", "-parallel", "3", "-timeout", "20m", "-json", "-run", pattern, rowsPackage)
	test.Env = append(os.Environ(), "ANCORA_BIN="+bin)
	out, err := test.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := test.Start(); err != nil {
		return nil, nil, err
	}
	red, ran = map[string]string{}, map[string]bool{}
	said := map[string]string{} // by test
	var skipped []string
	err = testlog.Read(out, func(e testlog.Event) {
		m := rowOf.FindStringSubmatch(e.Test)
		if m == nil {
			return
		}
		switch e.Action {
		case "pass":
			ran[m[1]] = true
		case "output":
			said[e.Test] += e.Output
		case "fail":
			ran[m[1]] = true
			red[m[1]] += said[e.Test]
		case "skip":
			skipped = append(skipped, m[1])
		}
	}, func(text string) { fmt.Fprintln(os.Stderr, text) })
	if exit := test.Wait(); exit != nil && len(red) == 0 {
		return nil, nil, fmt.Errorf("the rows do not run: %w", exit)
	}
	if err == nil && len(skipped) > 0 {
		err = fmt.Errorf("rows %v are skipped: what they need is not here", skipped)
	}
	return red, ran, err
}
