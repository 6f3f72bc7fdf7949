// Command mutants plants bugs, one at a time, and sees that a named test fails for each: a test that cannot fail shows
// nothing. A bug is a file of bugs/: what it is, which file, which test must fail with which words, and the code before and
// after. It is planted by an overlay of the build, never in the tree.
//
//	go run ./tests/mutants [-bugs DIR] [NAME...]
//
// A bug with `rows:` is one of tests/rows/bugs: exactly the rows that it names must fail, of those and a sample of the others in
// its test. With -together all bugs are planted at once and every row is run: none but those that the bugs name may fail.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	bugs := flag.String("bugs", "tests/mutants/bugs", "the directory of the bugs")
	all := flag.Bool("together", false, "plant all bugs of rows at once, and run every row")
	flag.Parse()
	if *all {
		if err := together(*bugs, flag.Args()); err != nil {
			fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
			os.Exit(1)
		}
		return
	}
	survivors, err := run(*bugs, flag.Args())
	if err != nil {
		fmt.Fprintf(os.Stderr, "mutants: %v\n", err)
		os.Exit(1)
	}
	if len(survivors) > 0 {
		fmt.Fprintf(os.Stderr, "mutants: not noticed: %s\n", strings.Join(survivors, ", "))
		os.Exit(1)
	}
}

// bug is one planted mistake.
type bug struct {
	name, what    string
	file          string
	pkg, test     string
	says          string // what the failing assertion prints
	rows          string // ids, when the test is one of tests/rows
	before, after string
}

// read gives the bugs of a directory, or those of them that are named.
func read(dir string, names []string) (bugs []*bug, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, fmt.Errorf("no bugs in %s: run it in the project's top directory", dir))
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		b, err := parse(strings.TrimSuffix(filepath.Base(file), ".txt"), string(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if len(names) == 0 || slices.Contains(names, b.name) {
			bugs = append(bugs, b)
		}
	}
	return bugs, nil
}

func run(dir string, names []string) (survivors []string, err error) {
	bugs, err := read(dir, names)
	if err != nil {
		return nil, err
	}
	for _, b := range bugs {
		noticed, err := plant(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.name, err)
		}
		word := "noticed by"
		if !noticed {
			word = "NOT noticed by"
			survivors = append(survivors, b.name)
		}
		fmt.Printf("%-24s %s %s: %s\n", b.name, word, b.test, b.what)
	}
	return survivors, nil
}

// parse reads `key: value` lines and the two blocks behind `--- before` and `--- after`.
func parse(name, text string) (*bug, error) {
	b := &bug{name: name}
	fields := map[string]*string{"what": &b.what, "file": &b.file, "package": &b.pkg, "test": &b.test, "says": &b.says, "rows": &b.rows}
	head, blocks, ok := strings.Cut(text, "--- before\n")
	before, after, both := strings.Cut(blocks, "--- after\n")
	if !ok || !both {
		return nil, errors.New("there are no blocks --- before and --- after")
	}
	b.before, b.after = before, after
	for line := range strings.Lines(head) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || fields[key] == nil {
			return nil, fmt.Errorf("%q is no known field", strings.TrimSpace(line))
		}
		*fields[key] = value
	}
	for key, value := range fields {
		ofRows := key == "rows" || b.rows != "" && (key == "package" || key == "says")
		if *value == "" && !ofRows {
			return nil, fmt.Errorf("%s is missing", key)
		}
	}
	return b, nil
}

// plant runs the test with the bug and says whether it failed by its assertion. A bug that does not build, or whose code has
// moved, is an error: it would prove nothing.
func plant(b *bug) (noticed bool, err error) {
	dir, err := os.MkdirTemp("", "ancora-mutant-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	overlay, err := overlayOf(dir, b)
	if err != nil {
		return false, err
	}
	if b.rows != "" {
		return plantRows(b, overlay, dir)
	}
	// The flag goes through the environment, so that programs which the test builds have the bug as well.
	env := append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay), "ANCORA_BIN=")
	build := exec.Command("go", "build", "./...")
	build.Env = env
	if out, err := build.CombinedOutput(); err != nil {
		return false, fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	test := exec.Command("go", "test", "-count=1", "-timeout", "5m", "-run", "^"+b.test+"$", b.pkg)
	test.Env = env
	out, err := test.CombinedOutput()
	if err == nil {
		return false, nil
	}
	if !strings.Contains(string(out), "--- FAIL: "+b.test) || !strings.Contains(string(out), b.says) {
		return false, fmt.Errorf("%s fails without %q:\n%s", b.test, b.says, out)
	}
	return true, nil
}

// overlayOf writes the files with the bugs and what a build needs to take them.
func overlayOf(dir string, bugs ...*bug) (string, error) {
	replace := map[string]string{}
	for n, b := range bugs {
		original, err := filepath.Abs(b.file)
		if err != nil {
			return "", err
		}
		from, before := replace[original]
		if !before {
			from = original
		}
		content, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(content), b.before); n != 1 {
			return "", fmt.Errorf("the code before stands %d times in %s", n, b.file)
		}
		planted := filepath.Join(dir, fmt.Sprintf("%d-%s", n, filepath.Base(b.file)))
		if err := os.WriteFile(planted, []byte(strings.Replace(string(content), b.before, b.after, 1)), 0o600); err != nil {
			return "", err
		}
		replace[original] = planted
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o600)
}
