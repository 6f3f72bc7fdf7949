package webconfig

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// parentText is a file whose inner part is in a location that says whether those below have it.
func parentText(inherit, inner string) []byte {
	return []byte("<configuration><location path=\".\" inheritInChildApplications=\"" + inherit + "\"><system.webServer>" + inner + "</system.webServer></location></configuration>")
}

const parentInner = `<handlers><add name="aspNetCore" path="api/*" modules="AspNetCoreModule"/></handlers>
<aspNetCore processPath="dotnet" arguments=".\P.dll" startupTimeLimit="7" shutdownTimeLimit="9" stdoutLogEnabled="true">
<environmentVariables><environmentVariable name="Both" value="parent"/><environmentVariable name="Only" value="parent"/></environmentVariables></aspNetCore>`

// child is what an application has whose parent's file says parent, and its own says own; empty: it has none.
func child(t *testing.T, parent []byte, own string) *Config {
	t.Helper()
	above, err := Bequest(nil, "parent.config", parent)
	if err != nil {
		t.Fatal(err)
	}
	if own == "" {
		return Below(above)
	}
	config, err := ParseBelow(above, "web.config", []byte(own))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// L10 and N20: attributes, variables and handlers come from above, of equal names the own wins; not from a location that stops it.
func TestInherit(t *testing.T) {
	const own = `<configuration><system.webServer><handlers><add name="ASPNETCORE" path="*.x" modules="AspNetCoreModuleV2"/></handlers>
<aspNetCore processPath="./C" startupTimeLimit="5"><environmentVariables><environmentVariable name="BOTH" value="child"/></environmentVariables></aspNetCore></system.webServer></configuration>`
	got := child(t, parentText("true", parentInner), own)
	if *got.StartupTimeLimit != 5*time.Second || got.ShutdownTimeLimit == nil || *got.ShutdownTimeLimit != 9*time.Second || !got.StdoutLogEnabled || got.ProcessPath != "./C" {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff([]site.Variable{{Name: "Only", Value: "parent"}, {Name: "BOTH", Value: "child"}}, got.Env); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Handler{{Name: "ASPNETCORE", Path: "*.x", Module: "AspNetCoreModuleV2", At: Place{"web.config", 1, 44}}}, got.Handlers); diff != "" {
		t.Error(diff)
	}
	alone := child(t, parentText("False", parentInner), own)
	if alone.ShutdownTimeLimit != nil || len(alone.Env) != 1 || alone.StdoutLogEnabled {
		t.Errorf("it inherits what the parent keeps: %+v", alone)
	}
}

// What a child's file leaves out, and what it takes away.
func TestInheritParts(t *testing.T) {
	wrap := func(inner string) string {
		return "<configuration><system.webServer>" + inner + "</system.webServer></configuration>"
	}
	parent := parentText("true", parentInner)
	for name, c := range map[string]struct{ own, want string }{
		"no file":           {"", `"" "" 7s [Both Only] ["api/*"]`},
		"no section":        {wrap(""), `"" "" 7s [Both Only] ["api/*"]`},
		"an empty section":  {wrap(`<aspNetCore stdoutLogEnabled="false"/>`), `"aspNetCore" "dotnet" 7s [Both Only] ["api/*"]`},
		"another section":   {wrap(`<httpPlatform processPath="node"/>`), `"httpPlatform" "node" none [] ["api/*"]`},
		"variables cleared": {wrap(`<aspNetCore><environmentVariables><clear/><environmentVariable name="A" value=""/></environmentVariables></aspNetCore>`), `"aspNetCore" "dotnet" 7s [A] ["api/*"]`},
		"handler removed":   {wrap(`<handlers><remove name="aspnetcore"/></handlers><aspNetCore/>`), `"aspNetCore" "dotnet" 7s [Both Only] []`},
		"handlers cleared":  {wrap(`<handlers><clear/></handlers>`), `"" "" 7s [Both Only] []`},
		"handler replaced":  {wrap(`<handlers><add name="aspNetCore" path="*" modules="AspNetCoreModuleV2"/></handlers>`), `"" "" 7s [Both Only] all`},
		"handler beside":    {wrap(`<handlers><add name="own" path="x" modules="AspNetCoreModuleV2"/></handlers>`), `"" "" 7s [Both Only] ["api/*" "x"]`},
	} {
		config := child(t, parent, c.own)
		limit, handlers, names := "none", "all", []string{}
		if config.StartupTimeLimit != nil {
			limit = config.StartupTimeLimit.String()
		}
		if all := config.Mapping(); all != nil {
			paths := []string{}
			for _, h := range all {
				paths = append(paths, fmt.Sprintf("%q", h.Path))
			}
			handlers = fmt.Sprint(paths)
		}
		for _, v := range config.Env {
			names = append(names, v.Name)
		}
		if got := fmt.Sprintf("%q %q %s %v %s", config.Section, config.ProcessPath, limit, names, handlers); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if handlers == "[]" && !slices.ContainsFunc(config.Notes, func(n Note) bool { return n.Kind == Warning && strings.Contains(n.Text, "no handler") }) {
			t.Errorf("%s: %v", name, config.Notes)
		}
	}
	// The module is the parent's where the child names none: the first one knew only processes of their own.
	if child(t, parent, wrap(`<aspNetCore/>`)).InProcess {
		t.Error("the first module is forgotten")
	}
}

// What is wrong above is wrong below, with the place in the file above; what only the application itself misses is not.
func TestBequestProblems(t *testing.T) {
	for inner, want := range map[string]string{
		`<aspNetCore startupTimeLimit="7"/>`:         "",
		`<aspNetCore startupTimeLimit="9999"/>`:      "parent.config:1:",
		`<aspNetCore hostingModel="other"/>`:         "hostingModel",
		`<iisnode/>`:                                 "",
		`<handlers><add name="a" x="y"/></handlers>`: "is no attribute of add",
	} {
		if _, err := Bequest(nil, "parent.config", parentText("true", inner)); (err == nil) != (want == "") || want != "" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", inner, err, want)
		}
		if _, err := Bequest(nil, "parent.config", parentText("false", inner)); err != nil {
			t.Errorf("%s, kept: %v", inner, err)
		}
	}
	for _, path := range []string{"stock", "files/upload"} {
		file := strings.Replace(string(parentText("true", parentInner)), `path="."`, `path="`+path+`"`, 1)
		if got, err := Bequest(nil, "parent.config", []byte(file)); err != nil || got.StartupTimeLimit != nil {
			t.Errorf("location %s: %+v, %v", path, got, err)
		}
	}
}

// Three levels: each sees what the one above it leaves.
func TestInheritTwice(t *testing.T) {
	top, err := Bequest(nil, "a", parentText("true", `<aspNetCore processPath="a" startupTimeLimit="7" shutdownTimeLimit="7" requestTimeout="00:00:07"/>`))
	if err != nil {
		t.Fatal(err)
	}
	middle, err := Bequest(top, "b", parentText("false", `<aspNetCore processPath="b" startupTimeLimit="8"/>`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseBelow(middle, "c", parentText("true", `<aspNetCore processPath="c" shutdownTimeLimit="9"/>`))
	if err != nil || *got.StartupTimeLimit != 7*time.Second || *got.ShutdownTimeLimit != 9*time.Second || *got.RequestTimeout != 7*time.Second {
		t.Errorf("%+v, %v", got, err)
	}
	if at := got.Places["startupTimeLimit"]; at.File != "a" {
		t.Errorf("%+v", at)
	}
}
