package webconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// in puts the text of a section into a file as publishing writes it; it begins on line 6.
func in(section string) []byte {
	return []byte("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<configuration>\n<location path=\".\" inheritInChildApplications=\"false\"><system.webServer>\n" +
		"<handlers><add name=\"aspNetCore\" path=\"*\" verb=\"*\" modules=\"AspNetCoreModuleV2\" resourceType=\"Unspecified\" /></handlers>\n\n" +
		section + "\n</system.webServer></location>\n</configuration>")
}

// variable puts something into a variable; it begins in column 91.
func variable(inner string) string {
	return `<aspNetCore processPath="a"><environmentVariables><environmentVariable name="A" value="1">` + inner + `</environmentVariable></environmentVariables></aspNetCore>`
}

func pointer[T any](v T) *T { return &v }

// All twelve attributes and the variables.
func TestWhole(t *testing.T) {
	got, err := Parse("web.config", in(`<aspNetCore processPath="dotnet" arguments=".\A.dll" startupTimeLimit="60" shutdownTimeLimit="20" requestTimeout="1.02:03:04"
 rapidFailsPerMinute="0" processesPerApplication="1" disableStartUpErrorPage="True" hostingModel="OutOfProcess" stdoutLogEnabled="true" stdoutLogFile=".\logs\out" forwardWindowsAuthToken="true">
<environmentVariables><environmentVariable name="A" value="1 &lt; 2" /><environmentVariable name="Empty" value="" /></environmentVariables>
<handlerSettings><handlerSetting name="debugLevel" value="file" /></handlerSettings></aspNetCore>
<rewrite><rules /></rewrite>`))
	if err != nil {
		t.Fatal(err)
	}
	notes := got.Notes
	if at := got.Places["empty="]; at.Line != 8 || got.Places["hostingModel"].Line != 7 {
		t.Errorf("places %v", got.Places)
	}
	got.Notes, got.Places = nil, nil
	want := &Config{
		File: "web.config", Section: "aspNetCore", ProcessPath: "dotnet", Arguments: `.\A.dll`, HostingModel: "outofprocess",
		StartupTimeLimit: pointer(time.Minute), ShutdownTimeLimit: pointer(20 * time.Second), RequestTimeout: pointer(26*time.Hour + 3*time.Minute + 4*time.Second),
		RapidFailsPerMinute: pointer(uint32(0)), DisableStartUpErrorPage: pointer(true),
		Processes: pointer(uint32(1)), StdoutLogEnabled: true, StdoutLogFile: `.\logs\out`, Settings: map[string]string{"debuglevel": "file"},
		Env:      []site.Variable{{Name: "A", Value: "1 < 2"}, {Name: "Empty"}},
		Handlers: []Handler{{Name: "aspNetCore", Path: "*", Module: "AspNetCoreModuleV2", At: Place{"web.config", 4, 11}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.ContainsFunc(notes, func(n Note) bool {
		return strings.HasPrefix(n.Text, "rewrite") && strings.Contains(n.Text, "not honoured yet") && n.Line > 0
	}) {
		t.Errorf("nothing says rewrite: %v", notes)
	}
}

// That no token is sent is told where Windows authentication is on, and nowhere else.
func TestWindowsToken(t *testing.T) {
	for text, want := range map[string]bool{
		`<aspNetCore processPath="a" />`:                                                   false,
		`<aspNetCore processPath="a" forwardWindowsAuthToken="true" />`:                    false,
		`<aspNetCore processPath="a" />` + windows("true"):                                 true,
		windows("true") + `<aspNetCore processPath="a" />`:                                 true,
		`<aspNetCore processPath="a" />` + windows("false"):                                false,
		`<aspNetCore processPath="a" forwardWindowsAuthToken="true" />` + windows("true"):  true,
		`<aspNetCore processPath="a" forwardWindowsAuthToken="false" />` + windows("true"): false,
	} {
		config, err := Parse("web.config", in(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(config.Notes, func(n Note) bool { return strings.HasPrefix(n.Text, "forwardWindowsAuthToken") && n.Line > 0 }); got != want {
			t.Errorf("%s: %v, want %v: %v", text, got, want, config.Notes)
		}
	}
}

func windows(enabled string) string {
	return `<security><authentication><windowsAuthentication enabled="` + enabled + `" /></authentication></security>`
}

// A section that is nearly one of ours is no error, since it might be anybody's, but a warning that has the right name.
func TestNearlyOurs(t *testing.T) {
	for section, want := range map[string]string{
		"aspNetCor": "aspNetCore is meant?", "httpPlattform": "httpPlatform is meant?", "httpError": "httpErrors is meant?", "httpProtokol": "httpProtocol is meant?",
		"urlCompression": "", "httpTracing": "", "httpLogging": "", "modules": "", "caching": "", "cgi": "", "defaultDocument": "", "serverRuntime": "", "staticContent": "",
	} {
		config, err := Parse("web.config", in("<"+section+"/>"))
		if err != nil {
			t.Fatal(err)
		}
		warned := slices.ContainsFunc(config.Notes, func(n Note) bool { return n.Kind == Warning })
		if said := fmt.Sprint(config.Notes); warned != (want != "") || !strings.Contains(said, want) {
			t.Errorf("%s: %s, want %q", section, said, want)
		}
	}
}

// Ranges and values; each attribute's problem with its place.
func TestRanges(t *testing.T) {
	for attribute, problem := range map[string]string{
		`startupTimeLimit="3600"`:       "",
		`startupTimeLimit="3601"`:       "0 to 3600",
		`startupTimeLimit="-1"`:         "0 to 3600",
		`shutdownTimeLimit="600"`:       "",
		`shutdownTimeLimit="601"`:       "0 to 600",
		`lockItem="true"`:               "",
		`rapidFailsPerMinute="100"`:     "",
		`rapidFailsPerMinute="101"`:     "0 to 100",
		`requestTimeout="15.00:00:00"`:  "",
		`requestTimeout="15.00:00:01"`:  "15.00:00:00",
		`requestTimeout="360:00:00"`:    "",
		`requestTimeout="00:60:00"`:     "01:00:00",
		`requestTimeout="120"`:          "hours:minutes:seconds",
		`processesPerApplication="1"`:   "",
		`processesPerApplication="100"`: "",
		`processesPerApplication="0"`:   "1 to 100",
		`processesPerApplication="101"`: "1 to 100",
		`hostingModel="InProcess"`:      "",
		`hostingModel="both"`:           "inprocess or outofprocess",
		`stdoutLogEnabled="1"`:          "neither true nor false",
		`forwardWindowsAuthToken="yes"`: "neither true nor false",
		`disableStartUpErrorPage="on"`:  "neither true nor false",
		`stdoutLogMaxFiles="3"`:         "is no attribute of aspNetCore",
		`StartupTimeLimit="3"`:          "startupTimeLimit is meant",
		`startupRetryCount="2"`:         "is no attribute of aspNetCore",
	} {
		_, err := Parse("web.config", in(`<aspNetCore processPath="dotnet" `+attribute+` />`))
		if problem == "" {
			if err != nil {
				t.Errorf("%s: %v", attribute, err)
			}
			continue
		}
		all, ok := errors.AsType[Errors](err)
		if !ok || len(all) != 1 || all[0].Line != 6 || all[0].Column != 34 || !strings.Contains(all[0].Message, problem) {
			t.Errorf("%s: %v, want 6:34 %q", attribute, err, problem)
		}
	}
}

// What makes a file unusable, with its place.
func TestProblems(t *testing.T) {
	for content, want := range map[string]string{
		"":                             "web.config:1:1: is not XML",
		"<a/>":                         "web.config:1:1: <a>: is no root element",
		"<!DOCTYPE x><configuration/>": "web.config:1:1: a document type declaration is refused",
		"<configuration>\n <a>\n</b>":  "web.config:3:",
		"<?xml version='1.0' encoding='latin1'?><configuration/>": "save the file as UTF-8",
		"\ufeff<a/>": "web.config:1:1: <a>: is no root element",
		"\xff\xff":   "web.config: is neither UTF-8",
		"<configuration>" + strings.Repeat("<a>", 300) + strings.Repeat("</a>", 300) + "</configuration>": "nested more than",
		string(in(`<aspNetCore />`)): "web.config:6:1: processPath: is missing",
		string(in(`<aspnetcore />`)): "web.config:6:1: <aspnetcore>: is spelled wrongly: aspNetCore is meant",
		string(in(`<aspNetCore processPath="a"/><aspNetCore processPath="b"/>`)):                                                                        "stands twice",
		string(in(`<aspNetCore processPath="a"><x/></aspNetCore>`)):                                                                                     "<x>: is no element of aspNetCore",
		string(in(`<aspNetCore processPath="a"><environmentVariables><environmentVariable name="A=B" value="x"/></environmentVariables></aspNetCore>`)): "has no = and no NUL",
		string(in(`<security><authentication><anonymousAuthentication enabled="false"/></authentication></security>`)):                                  "anonymousAuthentication: is disabled",
		string(in(`<aspNetCore processPath="a" processPath="b"/>`)):                                                                                     "web.config:6:29: processPath=\"b\": stands twice",
		string(in(`<aspNetCore processPath="a"><environmentVariables x="1"/></aspNetCore>`)):                                                            "6:51: x=\"1\": is no attribute of environmentVariables",
		string(in(`<aspNetCore processPath="a"><environmentVariables><clear x="1"/></environmentVariables></aspNetCore>`)):                              "6:58: x=\"1\": is no attribute of clear",
		string(in(`<aspNetCore processPath="a"><environmentVariables><remove name="A"/></environmentVariables></aspNetCore>`)):                          "<remove>: is no element of environmentVariables",
		string(in(`<aspNetCore processPath="a"><environmentVariables><environmentVariable name="A"/></environmentVariables></aspNetCore>`)):             "6:51: value: is missing",
		string(in(variable(`<b/>`))): "<b>: is no element of environmentVariable",
		string(in(variable(`lost`))): "6:91: environmentVariable: holds text",
		string(in(`<aspNetCore processPath="a"><handlerSettings><handlerSetting name="a" val="b"/></handlerSettings></aspNetCore>`)):            "val=\"b\": is no attribute of handlerSetting",
		`<configuration><system.webServer><handlers><add name="a" modules="AspNetCoreModuleV2"/></handlers></system.webServer></configuration>`: "1:44: path: is missing",
		string(in(`<handlers/>`)): "6:1: <handlers>: stands twice",
	} {
		if _, err := Parse("web.config", []byte(content)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", content, err, want)
		}
	}
}

// What is accepted and does nothing yet is said, never passed over.
func TestNotes(t *testing.T) {
	for section, want := range map[string]string{
		`<rewrite/>`: "6:1: rewrite is not honoured yet",
	} {
		config, err := Parse("web.config", in(section))
		if err != nil {
			t.Errorf("%s: %v", section, err)
			continue
		}
		if !slices.ContainsFunc(config.Notes, func(n Note) bool { return strings.HasPrefix(fmt.Sprintf("%d:%d: %s", n.Line, n.Column, n.Text), want) }) {
			t.Errorf("%s: nothing says %q: %v", section, want, config.Notes)
		}
	}
	config, err := Parse("web.config", in(`<aspNetCore processPath="a" hostingModel="outofprocess" stdoutLogEnabled="false" forwardWindowsAuthToken="false"/>`))
	if err != nil || config.InProcess || len(config.Notes) != 0 {
		t.Errorf("%+v, %v", config, err)
	}
}

// A clear drops what stands before it, so that its names are free again.
func TestClear(t *testing.T) {
	config, err := Parse("web.config", in(`<aspNetCore processPath="a"><environmentVariables><environmentVariable name="A" value="1"/><clear/><environmentVariable name="a" value="2"/></environmentVariables></aspNetCore>`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]site.Variable{{Name: "a", Value: "2"}}, config.Env); diff != "" {
		t.Error(diff)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	if _, err := Find(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"Web.Config", "web.config", "web.Release.config"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Find(dir); err != nil || (name != "web.Release.config" && filepath.Base(got) != name) || filepath.Base(got) == "web.Release.config" {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.config")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		config, err := Parse("web.config", content)
		if (config == nil) == (err == nil) {
			t.Fatalf("%v, %v", config, err)
		}
		all, ok := errors.AsType[Errors](err)
		if err != nil && (!ok || len(all) == 0) {
			t.Fatalf("%v", err)
		}
		for _, e := range all {
			if e.Line < 0 || e.Line > len(content)+1 || e.Line > 0 && e.Column < 1 {
				t.Errorf("%+v", e)
			}
		}
	})
}
