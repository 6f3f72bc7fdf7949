package webconfig

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// fileCase is what cases.yaml says of a file, as far as the file alone decides it; the rest is launch's.
type fileCase struct {
	File, As, Parent string
	Expect           struct {
		Outcome, Model, Status    string
		Attributes                map[string]int
		Honoured, Ignored, Either []string
		Log                       *struct{ Enabled bool }
		Errors                    []wantedError
	}
}

type wantedError struct {
	Lines, Cols []int
	Names       []string
}

// refused is what a later version runs; until then it is refused by name.
func refused() map[string][]string {
	return map[string][]string{}
}

// elsewhere names the files whose mistake only the folder shows.
func elsewhere() []string { return []string{"009-placeholders-two-applications.config"} }

func TestCases(t *testing.T) {
	data, err := os.ReadFile("testdata/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []fileCase
	if err := yaml.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.config")
	if err != nil || len(files) == 0 || len(cases) != len(files) {
		t.Fatalf("%d cases, %d files, %v", len(cases), len(files), err)
	}
	for _, c := range cases {
		t.Run(c.File, func(t *testing.T) { c.check(t) })
	}
}

func (c *fileCase) check(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", c.File))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if c.As == "" {
		c.As = "web.config"
	}
	if err := os.WriteFile(filepath.Join(dir, c.As), content, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := Find(dir); err != nil || filepath.Base(found) != c.As {
		t.Fatalf("found %q, %v", found, err)
	}
	var above *Config
	if c.Parent != "" {
		parent, err := os.ReadFile(filepath.Join("testdata", c.Parent))
		if err == nil {
			above, err = Bequest(nil, c.Parent, parent)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	config, err := ParseBelow(above, c.As, content)
	if all, ok := refused()[c.File]; ok {
		for _, later := range all {
			if err == nil || !strings.Contains(err.Error(), later) {
				t.Errorf("%v, want %q", err, later)
			}
		}
		return
	}
	if c.Expect.Outcome == "refuse" && !slices.Contains(elsewhere(), c.File) {
		c.wrong(t, err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	c.compare(t, config)
}

func (c *fileCase) wrong(t *testing.T, err error) {
	all, ok := errors.AsType[Errors](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	if code := all.Code(); code != c.Expect.Status {
		t.Errorf("status %s, want %s", code, c.Expect.Status)
	}
	for _, want := range c.Expect.Errors {
		if !slices.ContainsFunc(all, want.is) {
			t.Errorf("no error at lines %v columns %v with %q in\n%v", want.Lines, want.Cols, want.Names, err)
		}
	}
}

func (w wantedError) is(e Error) bool {
	for _, name := range w.Names {
		if !strings.Contains(strings.ToLower(e.Error()), strings.ToLower(name)) {
			return false
		}
	}
	return e.Line >= w.Lines[0] && e.Line <= w.Lines[1] && (w.Cols == nil || e.Column >= w.Cols[0] && e.Column <= w.Cols[1])
}

func (c *fileCase) compare(t *testing.T, config *Config) {
	model := map[bool]string{true: "inprocess", false: "outofprocess"}[config.InProcess]
	if config.Section == "httpPlatform" {
		model = "httpplatform"
	}
	if config.Section != "" && c.Expect.Model != "" && model != c.Expect.Model {
		t.Errorf("model %s, want %s", model, c.Expect.Model)
	}
	for name, got := range map[string]*time.Duration{"startupTimeLimit": config.StartupTimeLimit, "requestTimeout": config.RequestTimeout} {
		want, set := c.Expect.Attributes[name]
		if set != (got != nil) || set && *got != time.Duration(want)*time.Second {
			t.Errorf("%s is %v (set: %v), want %d s", name, got, got != nil, want)
		}
	}
	for _, section := range slices.Concat(c.Expect.Honoured, c.Expect.Ignored, c.Expect.Either) {
		said(t, config, section)
	}
	if c.Expect.Log != nil && c.Expect.Log.Enabled && !config.StdoutLogEnabled {
		t.Error("the stdout log is off")
	}
}

func said(t *testing.T, config *Config, words string) {
	t.Helper()
	if !slices.ContainsFunc(config.Notes, func(n Note) bool { return strings.Contains(n.Text, words) && n.Line > 0 && n.Column > 0 }) {
		t.Errorf("nothing says %q: %v", words, config.Notes)
	}
}
