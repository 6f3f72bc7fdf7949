package scenario

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// A stop lets a request of three seconds finish, in both models, and the application then ends by itself.
func TestDotnetStopFinishesRequests(t *testing.T) {
	top := lab.Dotnet(t)
	for _, model := range []string{"inprocess", "outofprocess"} {
		t.Run(model, func(t *testing.T) {
			dir := lab.Dir(t)
			t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
			folder := copied(t, top, dir, "root", "probe", "", "")
			config := filepath.Join(folder, "web.config")
			lab.Write(t, folder, "web.config", strings.Replace(read(t, config), `"inprocess"`, `"`+model+`"`, 1))
			s := serve(t, dir, folder)
			app := ask(t, s.address, "/who", "").Pid
			v := visit(t, s.address, "GET /slow?ms=3000 HTTP/1.1", "")
			s.counts(t, `ancora_requests_in_flight{site="root"} 1`)
			s.Signal(syscall.SIGTERM)
			if a := v.response(t); a.Status != 200 || a.Body != "slept\n" {
				t.Errorf("%d %q\n%s", a.Status, a.Body, s.Log())
			}
			s.Wait(t)
			if lab.Alive(app) || !strings.Contains(s.Log(), "instance stopped") || strings.Contains(s.Log(), "killed") {
				t.Errorf("it did not end by itself:\n%s", s.Log())
			}
		})
	}
}

// A client that leaves is noticed by the application within 100 ms: ten try, the best of them is not the machine's fault.
func TestDotnetNoticesLeavers(t *testing.T) {
	top := lab.Dotnet(t)
	dir := lab.Dir(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	s := serve(t, dir, filepath.Join(top, "apps/probe"))
	ask(t, s.address, "/who", "")
	best := time.Duration(1<<63 - 1)
	for try := range 10 {
		begin := time.Now() // before the application's own clock for the request
		v := visit(t, s.address, "GET /hang HTTP/1.1", "")
		s.counts(t, `ancora_requests_in_flight{site="probe"} 1`)
		left := time.Since(begin)
		v.Close()
		var took time.Duration
		lab.Eventually(t, func() string {
			lines := strings.Split(s.Out(), "probe: request aborted after ")
			if len(lines) != try+2 {
				return fmt.Sprintf("%d of %d are noticed:\n%s", len(lines)-1, try+1, s.Out())
			}
			var ms int
			if _, err := fmt.Sscanf(lines[try+1], "%d ms", &ms); err != nil {
				t.Fatal(err)
			}
			took = time.Duration(ms) * time.Millisecond
			return ""
		})
		best = min(best, took-left)
	}
	t.Logf("figure: seen %v after the client has left, best of ten", best)
	if best > 100*time.Millisecond {
		t.Errorf("the application sees it %v after the client has left", best)
	}
}

// What the application prints of its token is hidden in every place where ancora shows it: its log file, the debug log, the
// logs of the site with their events, and what the programs say themselves.
func TestDotnetTokenHidden(t *testing.T) {
	top := lab.Dotnet(t)
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	folder := copied(t, top, f.Dir, "shop", "probe", `stdoutLogEnabled="true" stdoutLogFile=".\logs\stdout"`,
		`<handlerSettings><handlerSetting name="debugFile" value=".\logs\debug.txt"/><handlerSetting name="debugLevel" value="file,trace"/></handlerSettings>`)
	logs := lab.Folder(t, folder, "logs", nil)
	if err := os.Chmod(logs, 0o777); err != nil {
		t.Fatal(err)
	}
	f.Must("apply", "-f", lab.Write(t, f.Dir, "shop.yaml", siteText("shop", folder, "")), "--wait")
	var env map[string]string
	if err := json.Unmarshal([]byte(f.Get("web1", "shop", "/env?prefix=ASPNETCORE_").Body), &env); err != nil {
		t.Fatal(err)
	}
	token := env["ASPNETCORE_TOKEN"]
	if a, err := lab.Try("127.0.0.1:"+env["ASPNETCORE_PORT"], "/", ""); err != nil || a.Status != 400 || len(token) < 32 {
		t.Fatalf("without the token %q: %d, %v", token, a.Status, err)
	}
	const printed = "does not match the expected pairing token"
	lab.Eventually(t, func() string {
		if out := f.Must("logs", "shop"); !strings.Contains(out, printed) {
			return out
		}
		return ""
	})
	told := map[string]string{"agent": web1.Log() + web1.Out(), "controller": f.Controller.Log() + f.Controller.Out()}
	for _, args := range []string{"logs shop", "logs shop --stream event", "describe site shop", "get instances -o yaml"} {
		told[args] = f.Must(strings.Fields(args)...)
	}
	lab.Eventually(t, func() string {
		var all strings.Builder
		err := filepath.WalkDir(logs, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				told[path] = read(t, path)
				all.WriteString(path + ":\n" + told[path])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if text := all.String(); !strings.Contains(text, printed) || !strings.Contains(text, "debug.txt") {
			return text
		}
		return ""
	})
	for what, text := range told {
		if strings.Contains(text, token) {
			t.Errorf("%s shows the token:\n%s", what, text)
		}
	}
}

// What a publish with EnvironmentName writes decides over the environment of the application.
func TestDotnetEnvironmentName(t *testing.T) {
	top := lab.Dotnet(t)
	dir := lab.Dir(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	t.Setenv("ASPNETCORE_ENVIRONMENT", "Production")
	folder := copied(t, top, dir, "root", "probe", "", "")
	lab.Write(t, folder, "web.config", `<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <location path="." inheritInChildApplications="false">
    <system.webServer>
      <handlers>
        <add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2" resourceType="Unspecified" />
      </handlers>
      <aspNetCore processPath="dotnet" arguments=".\Probe.dll" stdoutLogEnabled="false" stdoutLogFile=".\logs\stdout" hostingModel="inprocess">
        <environmentVariables>
          <environmentVariable name="ASPNETCORE_ENVIRONMENT" value="Staging" />
        </environmentVariables>
      </aspNetCore>
    </system.webServer>
  </location>
</configuration>
`)
	s := serve(t, dir, folder)
	var paths struct{ Environment string }
	if err := json.Unmarshal([]byte(lab.Get(t, s.address, "/paths").Body), &paths); err != nil || paths.Environment != "Staging" {
		t.Errorf("environment %q, %v", paths.Environment, err)
	}
}

// hostingModel edited under load is a swap to the other rules: no request fails, and requestTimeout begins and ceases to apply.
func TestDotnetModelEditedUnderLoad(t *testing.T) {
	top := lab.Dotnet(t)
	dir := lab.Dir(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	folder := copied(t, top, dir, "root", "probe", `requestTimeout="00:00:04"`, "")
	s := serve(t, dir, folder)
	l := &load{done: make(chan struct{})}
	for range 4 {
		l.all.Go(func() { l.ask(s.address, "any") })
	}
	inside := read(t, filepath.Join(folder, "web.config"))
	for _, c := range []struct {
		config string
		want   int
	}{{inside, 200}, {strings.Replace(inside, `"inprocess"`, `"outofprocess"`, 1), 502}, {inside, 200}} {
		before := ask(t, s.address, "/who", "").Pid
		lab.Write(t, folder, "web.config", c.config+" ")
		lab.Eventually(t, func() string {
			if ask(t, s.address, "/who", "").Pid == before {
				return "the old process answers"
			}
			return ""
		})
		if a := lab.Get(t, s.address, "/slow?ms=6000"); a.Status != c.want || c.want == 502 && !strings.Contains(a.Body, "502.3") {
			t.Errorf("%d %s, want %d", a.Status, a.Body, c.want)
		}
	}
	l.end(t)
}

// Kestrel keeps its own limit of a body, whatever web.config allows: its 413 reaches the client, and an event says whose it is.
func TestDotnetRefusesBodies(t *testing.T) {
	top := lab.Dotnet(t)
	dir := lab.Dir(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	folder := copied(t, top, dir, "root", "probe", "", "")
	lab.Write(t, folder, "web.config", strings.Replace(read(t, filepath.Join(folder, "web.config")), "</system.webServer>",
		`<security><requestFiltering><requestLimits maxAllowedContentLength="40000000"/></requestFiltering></security></system.webServer>`, 1))
	s := serve(t, dir, folder)
	for range 3 {
		if a := visit(t, s.address, "POST /upload HTTP/1.1\r\nContent-Length: 31000000", "").response(t); a.Status != 413 || a.Header.Get("X-Ancora-Error") != "" {
			t.Errorf("%d %v", a.Status, a.Header)
		}
	}
	s.event(t, "[2021]", "413", "MaxRequestBodySize")
	if n := strings.Count(recorded(s.dir+"/data"), "[2021]"); n != 1 {
		t.Errorf("%d events in a moment", n)
	}
	if a := visit(t, s.address, "POST /upload HTTP/1.1\r\nContent-Length: 40000001", "").response(t); a.Status != 413 || a.Header.Get("X-Ancora-Error") != "413" {
		t.Errorf("over the limit here: %d %v", a.Status, a.Header)
	}
}
