package check

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// rolled is one question to the .NET host: which version it takes, or none.
type rolled struct {
	there               string // versions that are installed
	wanted, roll, takes string
}

func questions() []rolled {
	return []rolled{
		{"8.0.5 8.0.11 8.1.0", "8.0.0", "", "8.0.11"},
		{"8.1.2 8.2.0", "8.0.7", "", "8.1.2"},
		{"8.0.5", "8.0.6", "", ""},
		{"9.0.0 10.0.12", "8.0.0", "", ""},
		{"8.0.5 8.1.0", "8.0.0", "Disable", ""},
		{"8.0.0 8.0.5", "8.0.0", "Disable", "8.0.0"},
		{"8.0.5 8.1.0", "8.0.0", "LatestPatch", "8.0.5"},
		{"8.1.0", "8.0.0", "LatestPatch", ""},
		{"8.0.5 8.1.0 8.3.1 9.0.0", "8.0.0", "LatestMinor", "8.3.1"},
		{"8.0.5 9.0.0", "8.0.0", "Major", "8.0.5"},
		{"9.0.1 9.1.0 10.0.0", "8.0.0", "Major", "9.0.1"},
		{"8.0.5 9.0.0 10.0.3", "8.0.0", "LatestMajor", "10.0.3"},
		{"6.0.0", "8.0.0", "LatestMajor", ""},
		{"8.0.0-rc.1", "8.0.0", "", ""},
		{"8.1.0-rc.1", "8.0.0", "", "8.1.0-rc.1"},
		{"8.0.5 8.0.9-rc.1", "8.0.0", "", "8.0.5"},
		{"8.0.0-rc.2.10 8.0.0-rc.2.9", "8.0.0-rc.2.9", "", "8.0.0-rc.2.9"},
		{"8.0.0-rc.2.10 8.0.0-rc.2.9", "8.0.0-rc.2.8", "", "8.0.0-rc.2.9"},
		{"8.0.0-rc.1 8.0.0", "8.0.0-rc.1", "", "8.0.0-rc.1"},
		{"8.0.0 8.0.2", "8.0.0-rc.1", "", "8.0.2"},
		{"8.0.0-rc.1 8.0.0", "8.0.0-alpha", "LatestMinor", "8.0.0"},
	}
}

func TestPick(t *testing.T) {
	for _, q := range questions() {
		d := &DotNet{Config: RuntimeConfig{Frameworks: []Reference{{Name: "Microsoft.NETCore.App", Version: q.wanted, RollForward: q.roll}}}}
		for v := range strings.FieldsSeq(q.there) {
			d.Installed = append(d.Installed, Installed{Reference: Reference{Name: "Microsoft.NETCore.App", Version: v}})
		}
		all, problems := d.resolve(func(string) string { return "" })
		if len(all) != 1 || len(problems) > 0 || all[0].found != q.takes {
			t.Errorf("%+v: %+v %v", q, all, problems)
		}
	}
}

// The real host takes the same versions. It says so, or ends with 150, before it needs more of a runtime than its folder.
func TestPickAsTheHostDoes(t *testing.T) {
	top := lab.Dotnet(t)
	for _, q := range questions() {
		root := t.TempDir()
		muxer, err := os.ReadFile(filepath.Join(top, "runtime/dotnet"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "dotnet"), muxer, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(top, "runtime/host"), filepath.Join(root, "host")); err != nil {
			t.Fatal(err)
		}
		for v := range strings.FieldsSeq(q.there) {
			put(t, root, "shared/Microsoft.NETCore.App/"+v+"/Microsoft.NETCore.App.deps.json", "{}")
		}
		roll := ""
		if q.roll != "" {
			roll = fmt.Sprintf(`, "rollForward": %q`, q.roll)
		}
		put(t, root, "App.runtimeconfig.json", fmt.Sprintf(`{"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": %q}%s}}`, q.wanted, roll))
		put(t, root, "App.dll", "")
		cmd := exec.Command(filepath.Join(root, "dotnet"), filepath.Join(root, "App.dll"))
		cmd.Env = []string{"COREHOST_TRACE=1", "COREHOST_TRACE_VERBOSITY=4"}
		out, _ := cmd.CombinedOutput() // it ends badly in any case
		code := cmd.ProcessState.ExitCode()
		if q.takes == "" && code != 150 || q.takes != "" && !strings.Contains(string(out), "Chose FX version ["+root+"/shared/Microsoft.NETCore.App/"+q.takes+"]") {
			t.Errorf("%+v: exit code %d\n%.3000s", q, code, out)
		}
	}
}

func put(t *testing.T, root, name, content string) string {
	t.Helper()
	file := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// A framework has needs of its own, and of two that ask for one the higher version counts.
func TestNeedsOfFrameworks(t *testing.T) {
	d := &DotNet{
		Config: RuntimeConfig{Frameworks: []Reference{{Name: "Microsoft.NETCore.App", Version: "8.0.0"}, {Name: aspNetCore, Version: "8.0.0"}}},
		Installed: []Installed{
			{Reference: Reference{Name: aspNetCore, Version: "8.0.5"}, Needs: []Reference{{Name: "Microsoft.NETCore.App", Version: "8.0.5", RollForward: "LatestPatch"}}},
			{Reference: Reference{Name: "Microsoft.NETCore.App", Version: "8.0.1"}},
		},
	}
	all, _ := d.resolve(func(string) string { return "" })
	if len(all) != 2 || all[0].found != "" || all[0].Version != "8.0.5" || all[1].found != "8.0.5" {
		t.Errorf("%+v", all)
	}
	d.Installed[1].Version = "8.0.7"
	if all, _ = d.resolve(func(string) string { return "" }); len(all) != 2 || all[0].found != "8.0.7" {
		t.Errorf("%+v", all)
	}
}

// The command line beats the variable, that the file; words of earlier versions are read.
func TestWhatRolls(t *testing.T) {
	for name, c := range map[string]struct {
		config, line, variable, want string
	}{
		"file":     {`"rollForward": "Major"`, "", "", "Major"},
		"variable": {`"rollForward": "Major"`, "", "latestminor", "LatestMinor"},
		"line":     {`"rollForward": "Major"`, "disable", "LatestMinor", "Disable"},
		"older":    {`"rollForwardOnNoCandidateFx": 2`, "", "", "Major"},
		"older, 0": {`"rollForwardOnNoCandidateFx": 0`, "", "", "LatestPatch"},
		"none":     {`"tfm": "net8.0"`, "", "", "Minor"},
	} {
		config, err := ParseRuntimeConfig([]byte("\ufeff" + `{"runtimeOptions": {"framework": {"name": "A", "version": "1.0.0"}, ` + c.config + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		d := &DotNet{Config: config, RollForward: c.line}
		if all, problems := d.resolve(func(string) string { return c.variable }); len(all) != 1 || all[0].roll != c.want {
			t.Errorf("%s: %+v %v", name, all, problems)
		}
	}
}

func FuzzRuntimeConfig(f *testing.F) {
	f.Add([]byte(`{"runtimeOptions":{"framework":{"name":"A","version":"1.0.0"},"frameworks":[{"name":"A","version":"1.0.0-a.1+b"}],"includedFrameworks":[],"configProperties":{"a":1}}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		config, err := ParseRuntimeConfig(content)
		if err != nil {
			return
		}
		d := &DotNet{Config: config}
		for _, r := range config.Frameworks {
			d.Installed = append(d.Installed, Installed{Reference: r, Needs: config.Frameworks})
		}
		all, _ := d.resolve(func(string) string { return "" })
		for _, r := range all {
			if v, ok := parseVersion(r.Version); !ok || v.compare(v) != 0 {
				t.Errorf("%+v", r)
			}
		}
	})
}
