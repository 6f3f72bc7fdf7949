// Command report reads `go test -json` of tests/rows and says which rows of list.txt are covered. A row is covered when the
// subtest that names it passed and recorded an observation: one that was skipped, or that saw nothing, shows nothing. Several
// cases of a row are subtests of one test, and all must pass. It fails when a test failed, when a row is unknown or named in two
// tests, and when a row that Linux can have is neither covered nor in left-out.txt. With -strict a skip that the file of -skips does
// not name fails too; without it skipped rows are let pass, as not every machine has what they need.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ancora-fleet/ancora/tests/testlog"
)

func main() {
	strict := flag.Bool("strict", false, "fail on skips that are not named")
	skips := flag.String("skips", "tests/skips.txt", "the skips that are allowed: package, test, reason")
	dir := flag.String("rows", "tests/rows", "where list.txt, left-out.txt and different.txt are")
	decisions := flag.String("decisions", "docs/decisions/0002-ancm-differences.md", "the table of differences")
	flag.Parse()
	if err := report(os.Stdin, os.Stdout, *dir, *decisions, *skips, *strict); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func report(in io.Reader, out io.Writer, dir, decisions, skips string, strict bool) error {
	p, err := readPlan(dir, decisions)
	if err != nil {
		return err
	}
	allowed, err := testlog.Skips(skips)
	if err != nil {
		return err
	}
	c := newCount(p)
	if err := testlog.Read(in, c.add, func(line string) { fmt.Fprintln(out, line) }); err != nil {
		return err
	}
	c.print(out)
	return c.verdict(allowed, strict)
}

// read gives the lines of a file that are no comments, each as its first word and the rest; a first word that stands twice is
// an error.
func read(path string) ([][2]string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all [][2]string
	seen := map[string]bool{}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, rest, _ := strings.Cut(line, " ")
		switch rest = strings.TrimSpace(rest); {
		case seen[id]:
			return nil, fmt.Errorf("%s: %s stands twice", filepath.Base(path), id)
		case rest == "":
			return nil, fmt.Errorf("%s: %s has nothing behind it", filepath.Base(path), id)
		}
		seen[id] = true
		all = append(all, [2]string{id, rest})
	}
	return all, nil
}
