package webconfig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// The examples of the published documentation, named after their pages, say what the documentation says that they do; so do the
// defaults and the lists of attributes.
func TestDocumented(t *testing.T) {
	const dll, logs, azure = `.\MyApp.dll`, `.\logs\stdout`, `\\?\%home%\LogFiles\stdout`
	inProcess := func(log string) Config {
		return Config{Section: "aspNetCore", ProcessPath: "dotnet", Arguments: dll, HostingModel: "inprocess", InProcess: true, StdoutLogFile: log}
	}
	with := func(c Config, change func(c *Config)) Config { change(&c); return c }
	want := map[string]Config{
		"web-config-framework-dependent": inProcess(logs),
		"web-config-self-contained":      with(inProcess(logs), func(c *Config) { c.ProcessPath, c.Arguments = `.\MyApp.exe`, "" }),
		"web-config-environment-variables": with(inProcess(logs), func(c *Config) {
			c.Env = []site.Variable{{Name: "ASPNETCORE_ENVIRONMENT", Value: "Development"}, {Name: "CONFIG_DIR", Value: `f:\application_config`}}
		}),
		"web-config-attributes": {
			Section: "aspNetCore", ProcessPath: "dotnet", Arguments: dll, DisableStartUpErrorPage: new(bool), HostingModel: "outofprocess", Processes: ptr(uint32(1)),
			RapidFailsPerMinute: ptr(uint32(10)), RequestTimeout: ptr(2 * time.Minute), ShutdownTimeLimit: ptr(10 * time.Second), StartupTimeLimit: ptr(120 * time.Second),
			StdoutLogFile: "aspnetcore-stdout",
		},
		"advanced-stack-size": with(inProcess(azure), func(c *Config) { c.Settings = map[string]string{"stacksize": "2097152"} }),
		"advanced-application-initialization": {
			Initialization: &Initialization{Pages: []InitializationPage{{Target: "/"}}}, // the root by default
		},
		"advanced-shadow-copy": {
			Section: "aspNetCore", ProcessPath: "%LAUNCHER_PATH%", Arguments: "%LAUNCHER_ARGS%", InProcess: true, StdoutLogFile: logs,
			Settings: map[string]string{"enableshadowcopy": "true", "shadowcopydirectory": "../ShadowCopyDirectory/"},
		},
		"logging-and-diagnostics-stdout": with(inProcess(logs), func(c *Config) { c.StdoutLogEnabled = true }),
		"logging-and-diagnostics-debug-log": with(inProcess(azure), func(c *Config) {
			c.Settings = map[string]string{"debugfile": `.\logs\aspnetcore-debug.log`, "debuglevel": "FILE,TRACE"}
		}),
		"aspnet-core-module-2.1-framework-dependent": {Section: "aspNetCore", ProcessPath: "dotnet", Arguments: dll, StdoutLogFile: logs},
		"aspnet-core-module-2.1-self-contained":      {Section: "aspNetCore", ProcessPath: `.\MyApp.exe`, StdoutLogFile: logs},
		"deploy-staging-slots-warm-up": {
			Initialization: &Initialization{Pages: []InitializationPage{{Target: "/", Host: "shop.example"}, {Target: "/Home/About", Host: "shop.example"}}},
		},
		"httpplatformhandler-jetty": {
			Section: "httpPlatform", ProcessPath: `c:\Program Files\Java\jdk1.8.0_25\bin\java.exe`, StartupTimeLimit: ptr(20 * time.Second), StartupRetryCount: ptr(uint32(20)),
			Arguments:        `-Djava.net.preferIPv4Stack=true -Djetty.port=%HTTP_PLATFORM_PORT% -Djetty.base="c:\jetty" -jar "c:\jetty\start.jar"`,
			StdoutLogEnabled: true,
		},
		"httpplatformhandler-attributes": {
			Section: "httpPlatform", ProcessPath: `.\server.exe`, StartupTimeLimit: ptr(10 * time.Second), StartupRetryCount: ptr(uint32(10)), RapidFailsPerMinute: ptr(uint32(10)),
			RequestTimeout: ptr(2 * time.Minute), StdoutLogFile: "httpplatform-stdout", Processes: ptr(uint32(1)),
		},
		"web-sites-java-custom-upload-tomcat": {
			Section: "httpPlatform", ProcessPath: `%HOME%\site\wwwroot\bin\tomcat\bin\startup.bat`,
			Env: []site.Variable{
				{Name: "CATALINA_OPTS", Value: "-Dport.http=%HTTP_PLATFORM_PORT%"}, {Name: "CATALINA_HOME", Value: `%HOME%\site\wwwroot\bin\tomcat`},
				{Name: "JRE_HOME", Value: `%HOME%\site\wwwroot\bin\java`}, {Name: "JAVA_OPTS", Value: "-Djava.net.preferIPv4Stack=true"},
			},
		},
	}
	files, err := filepath.Glob("testdata/documented/*.config")
	if err != nil || len(files) != len(want) {
		t.Fatalf("%d files, want %d; %v", len(files), len(want), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(file, content)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		name := strings.TrimSuffix(filepath.Base(file), ".config")
		// How it was read is the matter of other tests.
		got.File, got.Handlers, got.Places, got.Edits, got.Notes = "", nil, nil, nil, nil
		if diff := cmp.Diff(want[name], *got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// The root is asked for where a restart asks and no page is named, and there alone.
func TestRootIsInitialized(t *testing.T) {
	for inside, want := range map[string]int{
		` doAppInitAfterRestart="true">`:                                       1,
		` doAppInitAfterRestart="true"><add initializationPage="/a"/><clear/>`: 1,
		` doAppInitAfterRestart="true"><add initializationPage="not a page"/>`: 0,
		` doAppInitAfterRestart="false">`:                                      0,
		`>`:                                                                    0,
	} {
		c, err := Parse("web.config", []byte("<configuration><system.webServer><applicationInitialization"+inside+"</applicationInitialization></system.webServer></configuration>"))
		if err != nil {
			t.Fatal(err)
		}
		if pages := c.Initialization.Pages; len(pages) != want || want == 1 && pages[0] != (InitializationPage{Target: "/"}) {
			t.Errorf("%s: %v", inside, pages)
		}
	}
}

func ptr[T any](v T) *T { return &v }
