package scenario

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// forms are the ways in which people publish; nothing is set for any of them.
func forms() []string {
	return []string{"probe", "probe-win", "probe-linux", "probe-single", "slim", "classic"}
}

// Every form starts by `serve FOLDER`, answers, and ends by itself when asked.
func TestDotnetServe(t *testing.T) {
	top := lab.Dotnet(t)
	for _, form := range forms() {
		t.Run(form, func(t *testing.T) {
			dir := lab.Dir(t)
			t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
			s := serve(t, dir, filepath.Join(top, "apps", form))
			if a := lab.Get(t, s.address, "/"); a.Status != 200 {
				t.Fatalf("%d %s\n%s", a.Status, a.Body, s.Log())
			}
			s.Stop(t)
			if left := instances(t, dir+"/data"); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
			if !strings.Contains(s.Log(), "instance stopped") || strings.Contains(s.Log(), "killed") {
				t.Errorf("it did not end by itself:\n%s", s.Log())
			}
		})
	}
}

// Every form runs as a site's folder on a joined host, without any other setting.
func TestDotnetPushed(t *testing.T) {
	top := lab.Dotnet(t)
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	for _, form := range forms() {
		text := siteText(form, filepath.Join(top, "apps", form), "")
		text = strings.Replace(text, "  - listener: http\n", "  - {listener: http, hostnames: ["+form+".example]}\n", 1)
		file := lab.Write(t, f.Dir, form+".yaml", text)
		f.Must("apply", "-f", file, "--wait")
		if a := f.Get("web1", form, "/"); a.Status != 200 {
			t.Errorf("%s: %d %s", form, a.Status, a.Body)
		}
		if out := f.Must("describe", "site", form); strings.Contains(out, "hostingModel") {
			t.Errorf("%s: notes in\n%s", form, out)
		}
	}
	// It is stopped by the request that the module sends, which it takes with 202.
	f.Must("recycle", "probe")
	f.Get("web1", "probe", "/")
	lab.Eventually(t, func() string {
		if out := f.Must("logs", "probe", "--stream", "event"); !strings.Contains(out, "[1006]") || !strings.Contains(out, "202") || !strings.Contains(out, "[1033]") {
			return out
		}
		return ""
	})
}

// who is what the application sees of a request.
type who struct {
	Pid                            int
	Scheme, Host, PathBase, Path   string
	RemoteIP                       string `json:"remoteIp"`
	Upgradable                     bool
	Headers                        map[string][]string
	Query, RawTarget, Method, User string
}

func ask(t *testing.T, address, path, host string) who {
	t.Helper()
	a, err := lab.Try(address, path, host)
	if err != nil || a.Status != 200 {
		t.Fatalf("GET %s: %d %s, %v", path, a.Status, a.Body, err)
	}
	var w who
	if err := json.Unmarshal([]byte(a.Body), &w); err != nil {
		t.Fatal(err)
	}
	return w
}

// What the module's contract gives an application: activation, token, forwarded fields, path base, upgrade, and an end by
// the shutdown request.
func TestDotnetContract(t *testing.T) {
	top := lab.Dotnet(t)
	dir := lab.Dir(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	file := lab.Write(t, dir, "site.yaml", fmt.Sprintf(`apiVersion: ancora/v1
kind: Site
name: probe
placement: {hosts: all}
bindings: [{listener: http}]
applications:
  - {path: /, root: %[1]s/apps/probe}
  - {path: /sub/app, root: %[1]s/apps/probe}
`, top))
	s := serve(t, dir, file)
	w := ask(t, s.address, "/who?a=%20b", "shop.example:8080")
	if w.Scheme != "http" || w.Host != "shop.example:8080" || w.PathBase != "" || w.Path != "/who" || w.RemoteIP != "127.0.0.1" || w.Query != "?a=%20b" {
		t.Errorf("%+v", w)
	}
	if len(w.Headers["X-Original-For"]) == 0 || len(w.Headers["MS-ASPNETCORE-TOKEN"]) != 1 {
		t.Errorf("fields %v", w.Headers)
	}
	if sub := ask(t, s.address, "/Sub/App/who", ""); sub.PathBase != "/Sub/App" || sub.Path != "/who" || sub.Pid == w.Pid {
		t.Errorf("path base: %+v", sub)
	}
	var env map[string]string
	if err := json.Unmarshal([]byte(lab.Get(t, s.address, "/env?prefix=ASPNETCORE_").Body), &env); err != nil {
		t.Fatal(err)
	}
	port := env["ASPNETCORE_PORT"]
	for name, want := range map[string]string{
		"ASPNETCORE_APPL_PATH": "/", "ASPNETCORE_IIS_HTTPAUTH": "anonymous;", "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED": "true",
		"ASPNETCORE_URLS": "http://127.0.0.1:" + port, "ASPNETCORE_IIS_PHYSICAL_PATH": filepath.Join(top, "apps/probe") + "/",
	} {
		if env[name] != want {
			t.Errorf("%s=%q, want %q", name, env[name], want)
		}
	}
	if got := lab.Get(t, s.address, "/schemes").Body; strings.Contains(got, "Windows") {
		t.Errorf("authentication schemes %q", got)
	}
	if a, err := lab.Try("127.0.0.1:"+port, "/", ""); err != nil || a.Status != 400 {
		t.Errorf("beside the proxy, without the token: %d, %v", a.Status, err)
	}
	if got := upgrade(t, s.address); got != "HTTP/1.1 101" {
		t.Errorf("upgrade: %q", got)
	}
	// A visitor cannot stop it: the event field is stripped.
	if got := post(t, s.address, "/iisintegration", "MS-ASPNETCORE-EVENT: shutdown\r\n"); got == "HTTP/1.1 202" {
		t.Error("a visitor's shutdown request was taken")
	}
	if again := ask(t, s.address, "/who", ""); again.Pid != w.Pid {
		t.Errorf("process %d answers, was %d", again.Pid, w.Pid)
	}
	s.Stop(t)
	if lab.Alive(w.Pid) {
		t.Error("it still runs")
	}
	if log := s.Log(); strings.Count(log, "instance stopped") != 2 {
		t.Errorf("not both ended by themselves:\n%s", log)
	}
}

// upgrade asks for a WebSocket and gives the beginning of the answer.
func upgrade(t *testing.T, address string) string {
	t.Helper()
	return raw(t, address, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
}

func post(t *testing.T, address, path, fields string) string {
	t.Helper()
	return raw(t, address, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"+fields+"\r\n")
}

func raw(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line[:min(len(line), len("HTTP/1.1 200"))]
}

// web.config is live: a touched file recycles without a dropped request, a broken one keeps what runs and says where.
func TestDotnetLiveConfig(t *testing.T) {
	top := lab.Dotnet(t)
	f := lab.NewFleet(t)
	f.Join("web1", "role=web")
	folder := filepath.Join(f.Dir, "probe")
	if r := lab.Run(t, nil, "/bin/cp", "-r", filepath.Join(top, "apps/probe"), folder); r.Code != 0 {
		t.Fatal(r.Errors)
	}
	if r := lab.Run(t, nil, "/bin/chmod", "-R", "u+w", folder); r.Code != 0 {
		t.Fatal(r.Errors)
	}
	f.Must("apply", "-f", lab.Write(t, f.Dir, "probe.yaml", siteText("probe", folder, "")), "--wait")
	address := f.Hosts["web1"].Address
	before := ask(t, address, "/who", "").Pid
	config := filepath.Join(folder, "web.config")
	good := read(t, config)
	lab.Write(t, folder, "web.config", strings.Replace(good, "<aspNetCore ", "<aspNetCore startupTimeLimit=\"99999\" ", 1))
	lab.Eventually(t, func() string {
		if out := f.Must("describe", "site", "probe"); !strings.Contains(out, "REJECTED") || !strings.Contains(out, "web.config:") || !strings.Contains(out, "0 to 3600 seconds") {
			return out
		}
		return ""
	})
	if now := ask(t, address, "/who", "").Pid; now != before {
		t.Errorf("a broken file touched the application: process %d, was %d", now, before)
	}
	lab.Write(t, folder, "web.config", good)
	lab.Eventually(t, func() string {
		if out := f.Must("get", "sites", "probe"); !strings.Contains(out, "serving") {
			return out
		}
		return ""
	})
	now := ask(t, address, "/who", "").Pid
	lab.Write(t, folder, "web.config", good+"\n")
	lab.Eventually(t, func() string {
		if again := ask(t, address, "/who", "").Pid; again == now {
			return "process " + strconv.Itoa(again) + " still answers"
		}
		return ""
	})
}

// An application whose endpoint speaks HTTP/2 only is found out by its first answer, is served from then on, also after the loss
// of the worker, and ends when it is asked.
func TestDotnetHTTP2Only(t *testing.T) {
	top := lab.Dotnet(t)
	dir := lab.Dir(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	file := lab.Write(t, dir, "site.yaml", siteText("shop", filepath.Join(top, "apps", "probe"), "env: {Kestrel__EndpointDefaults__Protocols: Http2}\n"))
	s := serve(t, dir, file)
	for loss := range 2 {
		if loss > 0 {
			app := instances(t, dir+"/data")
			for _, child := range lab.Children(s.Pid()) {
				if !slices.Contains(app, child) {
					_ = syscall.Kill(child, syscall.SIGKILL)
				}
			}
		}
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			t.Fatalf("%d %s\n%s", a.Status, a.Body, s.Log())
		}
	}
	s.Stop(t)
	s.Wait(t)
	if !strings.Contains(s.Log(), "instance stopped") || strings.Contains(s.Log(), "killed") {
		t.Errorf("it did not end by itself:\n%s", s.Log())
	}
}
