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

// rowsOf gives the ids of the rows of one test, from its source.
func rowsOf(test string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(sourceDir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found := testFunc.FindAllSubmatchIndex(content, -1)
		for n, at := range found {
			if string(content[at[2]:at[3]]) != test {
				continue
			}
			end := len(content)
			if n+1 < len(found) {
				end = found[n+1][0]
			}
			ids := map[string]bool{}
			for _, m := range idOfARow.FindAllSubmatch(content[at[1]:end], -1) {
				ids[string(m[1])] = true
			}
			return slices.Sorted(maps.Keys(ids)), nil
		}
	}
	return nil, fmt.Errorf("no test %s in %s", test, sourceDir)
}

// sample gives the rows to run for a bug: those that must fail, and some of the others of their test, which must not; other ones for
// each bug.
func sample(b *bug) ([]string, error) {
	all, err := rowsOf(b.test)
	if err != nil {
		return nil, err
	}
	wanted := strings.Fields(b.rows)
	for _, id := range wanted {
		if !slices.Contains(all, id) {
			return nil, fmt.Errorf("%s has no row %s", b.test, id)
		}
	}
	rest := slices.DeleteFunc(all, func(id string) bool { return slices.Contains(wanted, id) })
	from := int(crc32.ChecksumIEEE([]byte(b.name)))
	for n := range min(others, len(rest)) {
		wanted = append(wanted, rest[(from+n)%len(rest)])
	}
	return wanted, nil
}

// plantRows builds the programs with the bug, runs rows of one test against them, those named and a sample of the others, and says
// whether exactly those named failed.
func plantRows(b *bug, overlay, dir string) (noticed bool, err error) {
	bin := filepath.Join(dir, "bin")
	build := exec.Command("go", "build", "-trimpath", "-overlay="+overlay, "-o", bin+"/", "./controlplane/cmd/ancora", "./agent/cmd/ancora-agent", "./tests/childapp")
	if out, err := build.CombinedOutput(); err != nil {
		return false, fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	run, err := sample(b)
	if err != nil {
		return false, err
	}
	pattern := fmt.Sprintf("^%s$/^(%s)_", b.test, strings.Join(run, "|"))
	test := exec.Command("go", "test", "-count=1", "-parallel", "3", "-timeout", "10m", "-json", "-run", pattern, rowsPackage)
	test.Env = append(os.Environ(), "ANCORA_BIN="+bin)
	out, err := test.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := test.Start(); err != nil {
		return false, err
	}
	red, ran := map[string]bool{}, map[string]bool{}
	readErr := testlog.Read(out, func(e testlog.Event) {
		m := rowOf.FindStringSubmatch(e.Test)
		if m == nil {
			return
		}
		switch e.Action {
		case "pass":
			ran[m[1]] = true
		case "fail":
			ran[m[1]] = true
			red[m[1]] = true
		}
	}, func(string) {})
	_ = test.Wait() // which rows failed has been read
	if readErr != nil {
		return false, readErr
	}
	if missing := slices.DeleteFunc(run, func(id string) bool { return ran[id] }); len(missing) > 0 {
		return false, fmt.Errorf("rows %v of %s did not run", missing, b.test)
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
