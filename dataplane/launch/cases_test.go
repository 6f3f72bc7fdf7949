package launch

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// caseFile is one real shape of web.config and what reading it must give.
type caseFile struct {
	File        string
	As          string
	Folder      map[string]string
	Inherited   map[string]string
	Roots       []string
	Path        []string
	Exists      []string
	Application string
	Parent      string
	Expect      struct {
		Outcome, Model, Program string
		Args                    []string
		Env                     map[string]string
		Forced                  map[string]string `yaml:"env_forced"`
		EnvNot                  []string          `yaml:"env_not"`
		Attributes              map[string]int
		Ignored                 []string
		Says, Warns             [][]string
		Log                     *struct {
			Enabled bool
			Path    string
		}
		Debug  *struct{ Path, Level string } `yaml:"debug_log"`
		Errors []struct {
			Lines, Cols []int
			Names       []string
		}
	}
}

// narrow names what is refused, or not told, until the feature is there.
func narrow() map[string]string {
	return map[string]string{
		"028-own-error-pages":           "httpErrors pages",
		"029-websocket-off-and-warm-up": "the webSocket section",
		"034-narrow-handler":            "handlers for a part of the addresses",
		"035-sub-application":           "inheritance between applications",
		"042-python-environment":        "more than one process",
	}
}

// The shapes that people deploy: what is started, with what, and what is said.
func TestCases(t *testing.T) {
	data, err := os.ReadFile("../webconfig/testdata/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []caseFile
	if err := yaml.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 47 {
		t.Fatalf("%d cases", len(cases))
	}
	shown := 0
	for _, c := range cases {
		name := strings.TrimSuffix(c.File, ".config")
		if feature, ok := narrow()[name]; ok {
			t.Logf("%s: not yet: %s", name, feature)
			continue
		}
		shown++
		t.Run(name, func(t *testing.T) { c.check(t) })
	}
	t.Logf("%d of %d cases", shown, len(cases))
}

func (c *caseFile) check(t *testing.T) {
	root := folder(t, nil)
	c.fill(t, root)
	content, err := os.ReadFile("../webconfig/testdata/" + c.File)
	if err != nil {
		t.Fatal(err)
	}
	config, err := webconfig.Parse("web.config", content)
	var plan *Plan
	if err == nil {
		plan, err = Resolve(c.input(t, root, config))
	}
	if c.Expect.Outcome == "refuse" {
		c.refused(t, err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	c.compare(t, root, plan, config)
}

func (c *caseFile) fill(t *testing.T, root string) {
	for name, kind := range c.Folder {
		file := filepath.Join(root, name)
		if kind == "dir" {
			if err := os.MkdirAll(file, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		source := folder(t, map[string]string{"x": kind})
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(source, "x"), file); err != nil {
			t.Fatal(err)
		}
	}
}

func (c *caseFile) input(t *testing.T, root string, config *webconfig.Config) Input {
	programs := c.Path
	if programs == nil {
		programs = []string{"dotnet", "node", "python3", "java", "bash"}
	}
	kinds := map[string]string{}
	for _, p := range programs {
		kinds[p] = "elf"
	}
	environ := []string{"PATH=" + folder(t, kinds)}
	user := User{Name: "www", Home: "/var/lib/www"}
	a := &site.Application{Path: c.Application, Root: root}
	if a.Path == "" {
		a.Path = "/"
	}
	for name, value := range c.Inherited {
		if name == "HOME" {
			user.Home = value
			continue
		}
		for _, file := range c.Exists {
			if rest, ok := strings.CutPrefix(file, value); ok { // a place outside the folder is made below a temporary one
				value = folder(t, map[string]string{strings.TrimPrefix(rest, "/"): "elf"})
			}
		}
		a.Env = append(a.Env, site.Variable{Name: name, Value: value})
	}
	return Input{Application: a, Root: root, Config: config, Environ: environ, Inherited: Inherit(environ, user), Roots: c.Roots}
}

func (c *caseFile) refused(t *testing.T, err error) {
	if err == nil {
		t.Fatal("it is accepted")
	}
	all, placed := errors.AsType[webconfig.Errors](err)
	for _, want := range c.Expect.Errors {
		if !placed {
			for _, name := range want.Names {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("no %q in %v", name, err)
				}
			}
			continue
		}
		if !slices.ContainsFunc(all, func(e webconfig.Error) bool {
			for _, name := range want.Names {
				if !strings.Contains(strings.ToLower(e.Error()), strings.ToLower(name)) {
					return false
				}
			}
			return e.Line >= want.Lines[0] && e.Line <= want.Lines[1] && (want.Cols == nil || e.Column >= want.Cols[0] && e.Column <= want.Cols[1])
		}) {
			t.Errorf("no error at lines %v cols %v with %q in\n%v", want.Lines, want.Cols, want.Names, err)
		}
	}
}

func (c *caseFile) compare(t *testing.T, root string, plan *Plan, config *webconfig.Config) {
	const port = 23456
	argv := plan.Command(port, "")
	clean := func(s string) string {
		s = strings.ReplaceAll(s, root+"/", "./")
		return strings.ReplaceAll(s, "23456", "{port}")
	}
	if want := c.Expect.Program; clean(argv[0]) != want && filepath.Base(argv[0]) != filepath.Base(want) {
		t.Errorf("program %s, want %s", argv[0], want)
	}
	args := make([]string, 0, len(argv))
	for _, a := range argv[1:] {
		args = append(args, clean(a))
	}
	if diff := cmp.Diff(append([]string{}, c.Expect.Args...), args); diff != "" {
		t.Error(diff)
	}
	env := map[string]string{}
	for _, v := range plan.Environ(port, "", "token") {
		name, value, _ := strings.Cut(v, "=")
		env[name] = clean(value)
	}
	for _, all := range []map[string]string{c.Expect.Env, c.Expect.Forced} {
		for name, want := range all {
			if got, ok := env[name]; !ok || got != want {
				t.Errorf("%s=%q (there: %v), want %q", name, got, ok, want)
			}
		}
	}
	for _, name := range c.Expect.EnvNot {
		if value, ok := env[name]; ok {
			t.Errorf("%s=%q arrives", name, value)
		}
	}
	for name, want := range c.Expect.Attributes {
		got := map[string]time.Duration{"startupTimeLimit": plan.Startup, "shutdownTimeLimit": plan.Shutdown, "requestTimeout": plan.Request}[name]
		if name == "rapidFailsPerMinute" {
			got = time.Duration(plan.RapidFails) * time.Second
		}
		if got != time.Duration(want)*time.Second && (got != 0 || want != 0) && name != "processesPerApplication" && name != "startupRetryCount" {
			t.Errorf("%s is %v, want %d s", name, got, want)
		}
	}
	if model := map[bool]string{true: "inprocess", false: "outofprocess"}[config.InProcess]; c.Expect.Model != "httpplatform" && config.Section != "" && model != c.Expect.Model {
		t.Errorf("model %s, want %s", model, c.Expect.Model)
	}
	for _, section := range c.Expect.Ignored {
		c.said(t, plan, []string{section})
	}
	for _, words := range c.Expect.Says {
		c.said(t, plan, words)
	}
	c.compareLogs(t, root, plan)
}

func (c *caseFile) compareLogs(t *testing.T, root string, plan *Plan) {
	inRoot := func(path string) string { return strings.ReplaceAll(path, "{root}", root) }
	stdout := ""
	if c.Expect.Log != nil && c.Expect.Log.Enabled {
		stdout = inRoot(c.Expect.Log.Path)
	} else if c.Expect.Log != nil {
		for _, words := range c.Expect.Warns {
			c.said(t, plan, append([]string{"warning"}, words...))
		}
	}
	if got := place(plan.Stdout); got != stdout && (stdout != "" || c.Expect.Log != nil) {
		t.Errorf("output goes to %q, want %q", got, stdout)
	}
	if d := c.Expect.Debug; d != nil && (place(plan.Debug.Place) != inRoot(d.Path) || plan.Debug.Level.String() != d.Level) {
		t.Errorf("debug log %+v, want %+v", plan.Debug, *d)
	}
}

func place(f File) string {
	if f.Path == "" {
		return ""
	}
	return f.Folder + "/" + f.Path
}

func (c *caseFile) said(t *testing.T, plan *Plan, words []string) {
	t.Helper()
	if !slices.ContainsFunc(plan.Notes, func(note string) bool {
		for _, w := range words {
			if !strings.Contains(strings.ToLower(note), strings.ToLower(w)) {
				return false
			}
		}
		return true
	}) {
		t.Errorf("nothing says %q; notes:\n%s", words, strings.Join(plan.Notes, "\n"))
	}
}
