package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const (
	pkg  = "github.com/ancora-fleet/ancora/tests/rows"
	done = `{"Action":"pass","Package":"` + pkg + `"}` + "\n"
)

func happened(action, test, more string) string {
	return fmt.Sprintf(`{"Action":%q,"Package":%q,"Test":%q%s}`+"\n", action, pkg, test, more)
}

// passed is a row that shows something.
func passed(test string) string {
	return happened("attr", test, `,"Key":"saw","Value":"answer: 200"`) + happened("pass", test, "")
}

func files(t *testing.T, change map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	content := map[string]string{
		"list.txt":      "# rows\nA01 yes plain\nA02 partly rest\nA03 no never\nB01 yes other\n",
		"left-out.txt":  "A02 nobody needs it\nB01 nor this\n",
		"different.txt": "A02 rapid fails\n",
		"decisions.md":  "| subject | the module |\n|---|---|\n| rapid fails | several |\n",
		"skips.txt":     "tests/rows TestX/A02_b no such thing here\n",
	}
	for name, text := range change {
		content[name] = text
	}
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReport(t *testing.T) {
	skip := happened("output", "TestX/A01_a", `,"Output":"    a_test.go:1: no runtime\n"`) + happened("skip", "TestX/A01_a", "")
	for name, c := range map[string]struct {
		in     string
		files  map[string]string
		strict bool
		says   string
		err    string
	}{
		"covered":              {in: passed("TestX/A01_a") + done, says: "rows: 1 covered (0 of them beyond the 3 that must be), 0 skipped, 0 not covered, 2 left out, 1 different"},
		"an observation below": {in: happened("attr", "TestX/A01_a/part", `,"Key":"saw","Value":"x"`) + happened("pass", "TestX/A01_a", "") + done, says: "rows: 1 covered"},
		"nothing seen":         {in: happened("pass", "TestX/A01_a", "") + done, says: "rows: 0 covered", err: "A01 passed and saw nothing"},
		"another attribute":    {in: happened("attr", "TestX/A01_a", `,"Key":"x","Value":"y"`) + happened("pass", "TestX/A01_a", "") + done, err: "A01 passed and saw nothing"},
		"seen and failed":      {in: happened("attr", "TestX/A01_a", `,"Key":"saw","Value":"x"`) + happened("output", "TestX/A01_a", `,"Output":"is broken\n"`) + happened("fail", "TestX/A01_a", ""), says: "is broken", err: "FAILED: tests/rows TestX/A01_a"},
		"a part failed":        {in: passed("TestX/A01_a") + happened("fail", "TestX/A01_a/part", ""), says: "rows: 0 covered", err: "FAILED"},
		"skip":                 {in: skip + done, says: "skip  A01 plain: no runtime"},
		"skip is not covered":  {in: skip + done, says: "rows: 0 covered"},
		"a part was skipped":   {in: passed("TestX/A01_a") + happened("skip", "TestX/A01_a/part", "") + done, says: "rows: 0 covered"},
		"strict skip":          {in: skip + done, strict: true, err: "not named in tests/skips.txt: TestX/A01_a"},
		"allowed skip":         {in: passed("TestX/A01_a") + happened("skip", "TestX/A02_b", "") + done, strict: true, says: "1 covered"},
		"not covered":          {in: passed("TestX/A01_a") + done, files: map[string]string{"left-out.txt": "B01 nobody needs it\n"}, err: "not covered, and not in left-out.txt: A02"},
		"skips on strict":      {in: happened("skip", "TestX/A02_b", "") + done, strict: true, files: map[string]string{"left-out.txt": "B01 nobody needs it\n"}, err: "left-out.txt: A01, A02"},
		"unknown":              {in: passed("TestX/A01_a") + passed("TestX/C09_c") + done, err: "C09 is in no list: TestX"},
		"named twice":          {in: passed("TestX/A01_a") + passed("TestY/A01_b") + done, err: "A01 is named by TestX and TestY"},
		"two cases":            {in: passed("TestX/A01_a") + passed("TestX/A01_b") + done, says: "rows: 1 covered"},
		"one case fails":       {in: passed("TestX/A01_a") + happened("fail", "TestX/A01_b", ""), says: "rows: 0 covered", err: "FAILED"},
		"one case is skipped":  {in: passed("TestX/A01_a") + happened("skip", "TestX/A01_b", "") + done, says: "rows: 0 covered"},
		"beyond":               {in: passed("TestX/A01_a") + passed("TestX/A03_c") + done, says: "2 covered (1 of them beyond"},
		"no run":               {err: "tests/rows was not tested"},
		"no row":               {in: happened("fail", "TestZ", "") + done, err: "FAILED: tests/rows TestZ"},
		"listed twice":         {files: map[string]string{"list.txt": "A01 yes a\nA01 yes b\n"}, err: "list.txt: A01 stands twice"},
		"listed wrongly":       {files: map[string]string{"list.txt": "A01 maybe a\n"}, err: "none of yes, partly"},
		"left out unknown":     {files: map[string]string{"left-out.txt": "Z01 why\n"}, err: "left-out.txt: list.txt has no Z01"},
		"left out, no reason":  {files: map[string]string{"left-out.txt": "A01\n"}, err: "A01 has nothing behind it"},
		"no decision":          {files: map[string]string{"different.txt": "A02 rapid fail\n"}, err: `A02: no decision "rapid fail"`},
		"decided elsewhere":    {in: passed("TestX/A01_a") + done, files: map[string]string{"different.txt": "A02 D11\n"}, says: "A02: D11 (not covered)"},
	} {
		dir := files(t, c.files)
		var out bytes.Buffer
		err := report(strings.NewReader(c.in), &out, dir, filepath.Join(dir, "decisions.md"), filepath.Join(dir, "skips.txt"), c.strict)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
		if !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %q does not say %q", name, out.String(), c.says)
		}
	}
}

func TestMostLeftOut(t *testing.T) {
	list, out := "", ""
	for i := range mostLeftOut + 1 {
		list += fmt.Sprintf("A%02d yes a\n", i)
		out += fmt.Sprintf("A%02d why\n", i)
	}
	dir := files(t, map[string]string{"list.txt": list, "left-out.txt": out, "different.txt": ""})
	if _, err := readPlan(dir, filepath.Join(dir, "decisions.md")); err == nil || !strings.Contains(err.Error(), "11 rows, 10 are allowed") {
		t.Error(err)
	}
}

// The committed files are sound.
func TestPlan(t *testing.T) {
	top := lab.Root()
	p, err := readPlan(filepath.Join(top, "tests/rows"), filepath.Join(top, "docs/decisions/0002-ancm-differences.md"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.rows) != 259 {
		t.Errorf("list.txt has %d rows", len(p.rows))
	}
}
