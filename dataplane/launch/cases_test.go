package launch

import (
	"errors"
	"fmt"
	"maps"
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
		Outcome, Model, Program, Status string
		Args                            []string
		Env                             map[string]string
		Forced                          map[string]string `yaml:"env_forced"`
		EnvNot                          []string          `yaml:"env_not"`
		Attributes                      map[string]int
		Handlers                        []struct{ Path, Verb string }
		Limits                          []placeLimits
		Warmup                          []string
		Headers                         *struct{ Add map[string]string }
		ErrorPages                      map[string]string `yaml:"error_pages"`
		Log                             *struct {
			Enabled bool
			Path    string
		}
		Debug                     *struct{ Path, Level string } `yaml:"debug_log"`
		StackLimit                uint64                        `yaml:"stack_limit"`
		Honoured, Ignored, Either []string
		Says, Warns               [][]string
		Errors                    []struct {
			Lines, Cols []int
			Names       []string
		}
	}
}

// later names, by file, what of a case has no effect yet. What is named and has its effect after all fails the test.
func later() map[string][]string {
	return nil
}

// The shapes that people deploy: what is started, with what, what holds, and what is said.
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
	for _, c := range cases {
		name := strings.TrimSuffix(c.File, ".config")
		t.Run(name, func(t *testing.T) {
			wrong := &problems{}
			c.check(t, wrong)
			for _, what := range later()[name] {
				if _, ok := wrong.of[what]; !ok {
					t.Errorf("%s is as it must be: take it off the list", what)
				}
				delete(wrong.of, what)
			}
			for _, what := range slices.Sorted(maps.Keys(wrong.of)) {
				t.Errorf("%s: %s", what, wrong.of[what])
			}
		})
	}
}

// problems is what is not as a case says, by the name of what it says.
type problems struct{ of map[string]string }

func (p *problems) add(what, format string, args ...any) {
	if p.of == nil {
		p.of = map[string]string{}
	}
	p.of[what] += fmt.Sprintf(format, args...) + "\n"
}

func (c *caseFile) check(t *testing.T, wrong *problems) {
	root := folder(t, nil)
	c.fill(t, root)
	var above *webconfig.Config
	if c.Parent != "" {
		var err error
		if above, err = webconfig.Bequest(nil, "parent.config", read(t, c.Parent)); err != nil {
			t.Fatal(err)
		}
	}
	config, err := webconfig.ParseBelow(above, "web.config", read(t, c.File))
	var plan *Plan
	if err == nil {
		plan, err = Resolve(c.input(t, root, config))
	}
	switch {
	case c.Expect.Outcome == "refuse":
		c.refused(err, wrong)
	case err != nil:
		wrong.add("outcome", "%v", err)
	default:
		c.started(root, plan, wrong)
		c.holds(plan, config, wrong)
		c.logs(root, plan, wrong)
		c.told(plan, wrong)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile("../webconfig/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return content
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

// refused looks for every error with its place, and for the status.
func (c *caseFile) refused(err error, wrong *problems) {
	all, ok := errors.AsType[webconfig.Errors](err)
	if !ok {
		wrong.add("outcome", "%v", err)
		return
	}
	for _, want := range c.Expect.Errors {
		if !slices.ContainsFunc(all, func(e webconfig.Error) bool {
			return holds(e.Error(), want.Names) && e.Line >= want.Lines[0] && e.Line <= want.Lines[1] && (want.Cols == nil || e.Column >= want.Cols[0] && e.Column <= want.Cols[1])
		}) {
			wrong.add(fmt.Sprint("errors ", want.Lines[0]), "lines %v cols %v with %q are not in\n%v", want.Lines, want.Cols, want.Names, err)
		}
	}
	if code := all.Code(); code != c.Expect.Status {
		wrong.add("status", "%s, want %s", code, c.Expect.Status)
	}
}

// started compares program, arguments and environment.
func (c *caseFile) started(root string, plan *Plan, wrong *problems) {
	const port = 23456
	argv := plan.Command(port, "", "")
	clean := func(s string) string {
		return strings.ReplaceAll(strings.ReplaceAll(s, root+"/", "./"), "23456", "{port}")
	}
	if want := c.Expect.Program; clean(argv[0]) != want && (strings.HasPrefix(want, "./") || filepath.Base(argv[0]) != filepath.Base(want)) {
		wrong.add("program", "%s, want %s", argv[0], want)
	}
	args := make([]string, 0, len(argv))
	for _, a := range argv[1:] {
		args = append(args, clean(a))
	}
	if diff := cmp.Diff(append([]string{}, c.Expect.Args...), args); diff != "" {
		wrong.add("args", "%s", diff)
	}
	env := map[string]string{}
	for _, v := range plan.Environ(port, "", "token") {
		name, value, _ := strings.Cut(v, "=")
		env[name] = clean(value)
	}
	for kind, all := range map[string]map[string]string{"env ": c.Expect.Env, "env_forced ": c.Expect.Forced} {
		for name, want := range all {
			if got, ok := env[name]; !ok || got != want {
				wrong.add(kind+name, "%q (there: %v), want %q", got, ok, want)
			}
		}
	}
	for _, name := range c.Expect.EnvNot {
		if value, ok := env[name]; ok {
			wrong.add("env_not", "%s=%q arrives", name, value)
		}
	}
}

// holds compares what is in force.
func (c *caseFile) holds(plan *Plan, config *webconfig.Config, wrong *problems) {
	limits := site.TheLimits()
	for name, is := range map[string]struct{ got, standard int }{
		"startupTimeLimit":        {int(plan.Startup / time.Second), int(limits.StartupTimeLimit.Default)},
		"shutdownTimeLimit":       {int(plan.Shutdown / time.Second), int(limits.ShutdownTimeLimit.Default)},
		"requestTimeout":          {int(plan.Request / time.Second), int(limits.RequestTimeout.Default)},
		"rapidFailsPerMinute":     {plan.RapidFails, int(limits.RapidFailsPerMinute.Default)},
		"startupRetryCount":       {plan.Retries, 0},
		"processesPerApplication": {plan.Instances, 1},
	} {
		want, set := c.Expect.Attributes[name]
		if !set {
			want = is.standard
		}
		if name == "requestTimeout" && plan.InProcess { // it has no effect there, which is said
			want = 0
		}
		if is.got != want {
			wrong.add("attribute "+name, "%d, want %d", is.got, want)
		}
	}
	model := map[bool]string{true: "inprocess", false: "outofprocess"}[config.InProcess]
	if config.Section == "httpPlatform" {
		model = "httpplatform"
	}
	if model != c.Expect.Model && config.Section != "" {
		wrong.add("model", "%s, want %s", model, c.Expect.Model)
	}
	var handlers []struct{ Path, Verb string }
	for _, h := range plan.Handlers {
		handlers = append(handlers, struct{ Path, Verb string }{h.Path, strings.Join(h.Verbs, ",")})
	}
	if diff := cmp.Diff(c.Expect.Handlers, handlers); diff != "" {
		wrong.add("handlers", "%s", diff)
	}
	c.rules(plan, wrong)
	if plan.Stack != c.Expect.StackLimit {
		wrong.add("stack_limit", "%d, want %d", plan.Stack, c.Expect.StackLimit)
	}
	var warm []string
	for _, w := range plan.Warmup {
		warm = append(warm, w.Target)
	}
	if diff := cmp.Diff(c.Expect.Warmup, warm); diff != "" {
		wrong.add("warmup", "%s", diff)
	}
}

// logs compares where output and debug log go.
func (c *caseFile) logs(root string, plan *Plan, wrong *problems) {
	inRoot := func(path string) string { return strings.ReplaceAll(path, "{root}", root) }
	stdout := ""
	if c.Expect.Log != nil && c.Expect.Log.Enabled {
		stdout = inRoot(c.Expect.Log.Path)
	}
	if got := place(plan.Stdout); got != stdout && (stdout != "" || c.Expect.Log != nil) {
		wrong.add("log", "%q, want %q", got, stdout)
	}
	if d := c.Expect.Debug; d != nil && (place(plan.Debug.Place) != inRoot(d.Path) || plan.Debug.Level.String() != d.Level) {
		wrong.add("debug_log", "%+v, want %+v", plan.Debug, *d)
	}
}

func place(f File) string {
	if f.Path == "" {
		return ""
	}
	return f.Folder + "/" + f.Path
}

// told looks for what must be said of the rest.
func (c *caseFile) told(plan *Plan, wrong *problems) {
	said := func(words []string, kinds ...webconfig.Kind) bool {
		return slices.ContainsFunc(plan.Notes, func(n webconfig.Note) bool {
			return holds(n.Text, words) && (len(kinds) == 0 || slices.Contains(kinds, n.Kind))
		})
	}
	missing := func(what string) { wrong.add(what, "nothing says it in\n%v", plan.Notes) }
	for kind, sections := range map[webconfig.Kind][]string{webconfig.Honoured: c.Expect.Honoured, webconfig.Ignored: c.Expect.Ignored} {
		for _, section := range sections {
			if !said([]string{section}, kind) {
				missing(string(kind) + " " + section)
			}
		}
	}
	for _, section := range c.Expect.Either {
		if !said([]string{section}, webconfig.Honoured, webconfig.Ignored) {
			missing("either " + section)
		}
	}
	for _, words := range c.Expect.Says {
		if !said(words) {
			missing("says " + strings.Join(words, " "))
		}
	}
	for _, words := range c.Expect.Warns {
		if !said(words, webconfig.Warning) {
			missing("warns " + strings.Join(words, " "))
		}
	}
}

func holds(text string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(w)) {
			return false
		}
	}
	return true
}
