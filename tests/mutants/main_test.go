package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// The bugs can be planted: their code is where they say, and those of the rows are of rows that there are. They take too long to be
// planted with each change.
func TestBugs(t *testing.T) {
	t.Chdir(lab.Root())
	sections := map[string]int{}
	for _, dir := range []string{"tests/mutants/bugs", "tests/rows/bugs"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
		if err != nil || len(files) < 30 {
			t.Errorf("%s: %d bugs, want 30: %v", dir, len(files), err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b, err := parse(filepath.Base(file), string(content))
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			source, err := os.ReadFile(b.file)
			if n := strings.Count(string(source), b.before); err != nil || n != 1 {
				t.Errorf("%s: the code before stands %d times in %s, %v", file, n, b.file, err)
			}
			if b.rows == "" {
				continue
			}
			run, err := sample(b)
			if err != nil || len(slices.Compact(slices.Sorted(slices.Values(run)))) != len(run) {
				t.Errorf("%s: rows %v, %v", file, run, err)
			}
			for _, id := range strings.Fields(b.rows) {
				sections[id[:1]]++
			}
		}
	}
	for _, section := range strings.Split("A B C D E F G H I J K L M N", " ") {
		if sections[section] == 0 {
			t.Errorf("no bug of section %s of the rows", section)
		}
	}
}
