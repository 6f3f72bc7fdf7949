package rows

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// publish copies a published application (probe, classic, slim, ...) into a folder of its own, with text as its web.config; with
// none it keeps the one it was published with.
func publish(r *recorder, form, text string) string {
	r.Helper()
	folder := filepath.Join(lab.Dir(r), "www")
	if err := os.CopyFS(folder, os.DirFS(filepath.Join(lab.Dotnet(r), "apps", form))); err != nil {
		r.Fatal(err)
	}
	if text != "" {
		lab.Write(r, folder, "web.config", text)
	}
	return folder
}

// probe publishes the probe with more attributes of aspNetCore and more elements in it.
func probe(r *recorder, attributes, inner string) string {
	return publish(r, "probe", webConfig(`processPath="dotnet" arguments=".\Probe.dll" `+attributes, inner))
}

// child makes a folder with childapp in it and a web.config that starts it.
func child(r *recorder, arguments, attributes, inner string) string {
	r.Helper()
	folder := filepath.Join(lab.Dir(r), "www")
	lab.Folder(r, folder, ".", map[string]string{
		"web.config": webConfig(fmt.Sprintf(`processPath=".\childapp.exe" arguments="%s" %s`, arguments, attributes), inner),
	})
	if err := lab.CopyProgram(lab.Bin(r, "childapp"), filepath.Join(folder, "childapp")); err != nil {
		r.Fatal(err)
	}
	return folder
}

const (
	outOfProcess = ` hostingModel="outofprocess" `
	inProcess    = ` hostingModel="inprocess" `
)

// webConfig is a file as it is published: attributes and children of aspNetCore.
func webConfig(attributes, inner string) string {
	return `<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <location path="." inheritInChildApplications="false">
    <system.webServer>
      <handlers>
        <add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2" resourceType="Unspecified" />
      </handlers>
      <aspNetCore ` + attributes + `>` + inner + `</aspNetCore>
    </system.webServer>
  </location>
</configuration>
`
}

// variables is the element environmentVariables; names and values alternate.
func variables(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, `<environmentVariable name="%s" value="%s" />`, pairs[i], pairs[i+1])
	}
	return "<environmentVariables>" + b.String() + "</environmentVariables>"
}

// settings is the element handlerSettings; names and values alternate.
func settings(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, `<handlerSetting name="%s" value="%s" />`, pairs[i], pairs[i+1])
	}
	return "<handlerSettings>" + b.String() + "</handlerSettings>"
}

// siteFile writes a site file with one application below each path, which are folders, and gives the file.
func siteFile(r *recorder, name string, applications ...string) string {
	r.Helper()
	text := "apiVersion: ancora/v1\nkind: Site\nname: " + name + "\nplacement: {hosts: all}\nbindings: [{listener: http}]\napplications:\n"
	for _, a := range applications {
		text += "  - {" + a + "}\n"
	}
	return lab.Write(r, lab.Dir(r), name+".yaml", text)
}

// programs are the C# programs that were compiled in this run, by their source.
var programs struct {
	sync.Mutex
	dir    string
	folder map[string]string
}

func cleanPrograms() {
	if programs.dir != "" {
		_ = os.RemoveAll(programs.dir)
	}
}

// compile makes an application App.dll of a C# source and publishes it with text as its web.config.
func compile(r *recorder, source, text string) string {
	r.Helper()
	folder := filepath.Join(lab.Dir(r), "www")
	if err := os.CopyFS(folder, os.DirFS(compiled(r, source))); err != nil {
		r.Fatal(err)
	}
	lab.Write(r, folder, "web.config", text)
	return folder
}

// appConfig starts what compile made.
func appConfig(attributes, inner string) string {
	return webConfig(`processPath="dotnet" arguments=".\App.dll" `+attributes, inner)
}

func compiled(t testing.TB, source string) string {
	t.Helper()
	top := lab.Dotnet(t)
	programs.Lock()
	defer programs.Unlock()
	if folder, ok := programs.folder[source]; ok {
		return folder
	}
	if programs.dir == "" {
		dir, err := lab.TempDir("ancora-rows-")
		if err != nil {
			t.Fatal(err)
		}
		programs.dir, programs.folder = dir, map[string]string{}
	}
	folder := filepath.Join(programs.dir, fmt.Sprint(len(programs.folder)))
	config, err := os.ReadFile(filepath.Join(top, "apps/probe/Probe.runtimeconfig.json"))
	if err != nil {
		t.Fatal(err)
	}
	lab.Folder(t, folder, ".", map[string]string{"App.runtimeconfig.json": string(config)})
	cs := lab.Write(t, programs.dir, "App.cs", source)
	if out, err := exec.Command(filepath.Join(top, "src/compile"), filepath.Join(folder, "App.dll"), cs).CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, out)
	}
	programs.folder[source] = folder
	return folder
}

// library makes a .dll without a program in it and gives its path.
func library(r *recorder, source string) string {
	r.Helper()
	dir := lab.Dir(r)
	cs, dll := lab.Write(r, dir, "Library.cs", source), filepath.Join(dir, "Library.dll")
	cmd := exec.Command(filepath.Join(lab.Dotnet(r), "src/compile"), dll, cs)
	cmd.Env = append(os.Environ(), "LIBRARY=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.Fatalf("compile: %v\n%s", err, out)
	}
	return dll
}
