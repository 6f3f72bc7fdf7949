package scenario

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// A folder with one program is served: it starts on the first request and nothing of it is left after the stop.
func TestServeFolder(t *testing.T) {
	dir := lab.Dir(t)
	folder := lab.Folder(t, dir, "shop", nil)
	program, err := os.ReadFile(lab.Bin(t, "childapp"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "shop"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir, folder)
	if left := instances(t, dir+"/data"); len(left) > 0 {
		t.Errorf("processes %v run before the first request", left)
	}
	if a := lab.Get(t, s.address, "/"); a.Status != 200 || !strings.HasPrefix(a.Body, "hello pid=") {
		t.Errorf("%d %q", a.Status, a.Body)
	}
	if running := instances(t, dir+"/data"); len(running) != 1 {
		t.Errorf("processes %v, want one", running)
	}
	s.Stop(t)
	if code := s.Wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if left := instances(t, dir+"/data"); len(left) > 0 {
		t.Errorf("processes %v are left", left)
	}
	if _, err := lab.Try(s.address, "/", ""); err == nil {
		t.Error("the port still answers")
	}
}

// The child's environment is exactly what D15 and the module's contract say, and nothing of the agent's own.
func TestServeEnvironment(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "/nowhere")
	t.Setenv("CREDENTIALS_DIRECTORY", "/nowhere")
	t.Setenv("AGENT_SECRET", "x")
	t.Setenv("LC_TIME", "C")
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("TZ", "UTC")
	t.Setenv("DOTNET_ROOT", "")
	t.Setenv("PATH", "/usr/bin:/bin")
	s := serveSite(t, "env: {Color: blue, Empty: \"\"}\n")
	body := lab.Get(t, s.address, "/env").Body
	got := map[string]string{}
	var names []string
	for line := range strings.Lines(body) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if ok {
			got[name] = value
			names = append(names, name)
		}
	}
	port := got["ASPNETCORE_PORT"]
	if n, err := strconv.Atoi(port); err != nil || n < 10000 || n > 32767 {
		t.Errorf("port %q", port)
	}
	want := map[string]string{
		"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LC_TIME": "C", "TZ": "UTC",
		"HOME": got["HOME"], "USER": got["USER"], "LOGNAME": got["USER"],
		"Color": "blue", "Empty": "",
		"ASPNETCORE_PORT": port, "ASPNETCORE_APPL_PATH": "/", "ASPNETCORE_TOKEN": got["ASPNETCORE_TOKEN"],
		"ASPNETCORE_IIS_HTTPAUTH": "anonymous;", "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED": "true",
		"ASPNETCORE_IIS_PHYSICAL_PATH": s.dir + "/root/", "ASPNETCORE_URLS": "http://127.0.0.1:" + port, "PORT": port,
		"ASPNETCORE_HOSTINGSTARTUPASSEMBLIES": ";Microsoft.AspNetCore.Server.IISIntegration",
		"ANCORA_INSTANCE":                     got["ANCORA_INSTANCE"],
	}
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s=%q (there: %v), want %q", name, v, ok, value)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if _, ok := want[name]; !ok && name != "DOTNET_ROOT" {
			t.Errorf("%s=%q reaches the application", name, got[name])
		}
	}
	if info, err := os.Stat(got["HOME"]); err != nil || !info.IsDir() {
		t.Errorf("HOME %q: %v", got["HOME"], err)
	}
	if len(got["ASPNETCORE_TOKEN"]) < 32 || len(got["ANCORA_INSTANCE"]) < 16 {
		t.Errorf("token %q, mark %q", got["ASPNETCORE_TOKEN"], got["ANCORA_INSTANCE"])
	}
}

// Applications that always run are taken over by a new worker before it starts any: not one process is another.
func TestServeWorkerKilledAlways(t *testing.T) {
	s := serveSite(t, "start: always\ninstances: 8\n")
	all := func(n int) (pids []int) {
		lab.Eventually(t, func() string {
			pids = instances(t, s.dir+"/data")
			if ready := strings.Count(s.Log(), "instance ready"); len(pids) != 8 || ready < 8 || strings.Count(s.Log(), "instance adopted") < n {
				return fmt.Sprint(pids, "\n", s.Log())
			}
			return ""
		})
		return pids
	}
	before := all(0)
	for n := range 4 {
		killWorker(t, s.Program, s.dir+"/data")
		if now := all(8 * (n + 1)); !slices.Equal(now, before) {
			t.Fatalf("%v run, %v ran before\n%s", now, before, s.Log())
		}
	}
}

// A worker killed under load refuses no connection and touches no application.
func TestServeWorkerKilled(t *testing.T) {
	s := serveSite(t, "")
	before := pid(t, s.address)
	stop, failed, served := make(chan struct{}), make(chan string, 100), atomic.Int64{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if conn, err := net.DialTimeout("tcp", s.address, lab.Deadline); err != nil {
				failed <- "connection refused: " + err.Error()
			} else {
				conn.Close()
			}
			if a, err := lab.Try(s.address, "/pid", ""); err == nil && strings.TrimSpace(a.Body) == before {
				served.Add(1)
			} else if err == nil {
				failed <- fmt.Sprintf("%d %q", a.Status, a.Body)
			}
		}
	}()
	for range 3 {
		workers := lab.Children(s.Pid())
		n := served.Load()
		lab.Eventually(t, func() string {
			if served.Load() > n+5 {
				return ""
			}
			return "no request is answered"
		})
		for _, w := range workers {
			if strconv.Itoa(w) != before {
				_ = syscall.Kill(w, syscall.SIGKILL)
			}
		}
	}
	n := served.Load()
	lab.Eventually(t, func() string {
		if served.Load() > n+20 {
			return ""
		}
		return "no request is answered after the last kill"
	})
	close(stop)
	<-done
	close(failed)
	for problem := range failed {
		t.Error(problem)
	}
	if now := pid(t, s.address); now != before {
		t.Errorf("the application is process %s, was %s", now, before)
	}
}

// A worker that panics, which a Go program does with code 2 (also on SIGQUIT), is started again like one that was killed.
func TestServeWorkerPanics(t *testing.T) {
	s := serveSite(t, "")
	before := pid(t, s.address)
	for _, w := range lab.Children(s.Pid()) {
		if strconv.Itoa(w) != before {
			_ = syscall.Kill(w, syscall.SIGQUIT)
		}
	}
	lab.Eventually(t, func() string {
		if strings.Contains(s.Log(), "worker ended, starting another: code=2") {
			return ""
		}
		return "the keeper does not see it end"
	})
	if now := pid(t, s.address); now != before {
		t.Errorf("the application is process %s, was %s", now, before)
	}
}

// A keeper killed leaves an application behind; the next keeper ends it first, so that nothing runs twice.
func TestServeKeeperKilled(t *testing.T) {
	s := serveSite(t, "", "-no-shutdown-request") // the worker, which lives a little longer, would end it
	before, _ := strconv.Atoi(pid(t, s.address))
	s.Kill(t)
	again := serve(t, s.dir, s.dir+"/site.yaml")
	if lab.Alive(before) {
		t.Errorf("process %d of the earlier keeper still runs", before)
	}
	now, _ := strconv.Atoi(pid(t, again.address))
	if now == before {
		t.Errorf("the same process %d answers", now)
	}
	if running := instances(t, s.dir+"/data"); len(running) != 1 || running[0] != now {
		t.Errorf("processes %v run, want %d alone", running, now)
	}
}

// Whatever an application leaves behind ends with it, wherever it went.
func TestServeLeavesNothing(t *testing.T) {
	for _, kind := range []string{"plain", "setsid", "double"} {
		t.Run(kind, func(t *testing.T) {
			s := serveSite(t, "", "-fork", kind)
			pid(t, s.address)
			lab.Eventually(t, func() string {
				if n := len(instances(t, s.dir+"/data")); n >= 2 {
					return ""
				}
				return "nothing was forked"
			})
			s.Stop(t)
			if left := instances(t, s.dir+"/data"); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
}

// An application that does not listen to SIGTERM is killed when its time is over.
func TestServeIgnoresTerm(t *testing.T) {
	s := serveSite(t, "stop: {timeout: 1s}\n", "-ignore-term")
	before, _ := strconv.Atoi(pid(t, s.address))
	s.Stop(t)
	if lab.Alive(before) {
		t.Error("it still runs")
	}
}

// What does not start gets the module's page and says why in the log, and not to the visitor.
func TestServeStartFailures(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		log  string
	}{
		"exits":     {[]string{"-exit", "3"}, "exit code 3 before it listened"},
		"silent":    {[]string{"-silent"}, "did not listen on port"},
		"elsewhere": {[]string{"-elsewhere"}, "127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveSite(t, "ready: {timeout: 2s}\nstop: {timeout: 1s}\n", c.args...)
			a := lab.Get(t, s.address, "/")
			if a.Status != 502 || !strings.Contains(a.Body, "502.5") || strings.Contains(a.Body, "cannot start") {
				t.Errorf("%d %s", a.Status, a.Body)
			}
			lab.Eventually(t, func() string {
				if !strings.Contains(s.Log(), c.log) {
					return "the log does not say " + c.log
				}
				return ""
			})
		})
	}
}

// Too many failures in a minute refuse further starts, and the answer says until when.
func TestServeRapidFails(t *testing.T) {
	s := serveSite(t, "rapidFailsPerMinute: 2\n", "-exit", "3")
	for i := range 3 {
		if a := lab.Get(t, s.address, "/"); a.Status != 502 {
			t.Fatalf("request %d: %d %s", i, a.Status, a.Body)
		}
	}
	a := lab.Get(t, s.address, "/")
	if retry, _ := strconv.Atoi(a.Header.Get("Retry-After")); a.Status != 502 || retry < 1 || retry > 60 {
		t.Errorf("%d, Retry-After %q", a.Status, a.Header.Get("Retry-After"))
	}
}

// app_offline.htm takes the application out of service, and its end brings it back.
func TestServeAppOffline(t *testing.T) {
	s := serveSite(t, "")
	pid(t, s.address)
	lab.Folder(t, s.dir, "root", map[string]string{"app_offline.htm": "<p>closed today</p>"})
	lab.Eventually(t, func() string {
		if a := lab.Get(t, s.address, "/"); a.Status != 503 || a.Body != "<p>closed today</p>" || a.Header.Get("X-Ancora-Offline") != "local" {
			return fmt.Sprintf("%d %q", a.Status, a.Body)
		}
		return ""
	})
	lab.Eventually(t, func() string {
		if n := len(instances(t, s.dir+"/data")); n > 0 {
			return fmt.Sprintf("%d processes still run", n)
		}
		return ""
	})
	if err := os.Remove(s.dir + "/root/app_offline.htm"); err != nil {
		t.Fatal(err)
	}
	lab.Eventually(t, func() string {
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			return fmt.Sprintf("%d %q", a.Status, a.Body)
		}
		return ""
	})
}

// A mistake ends the start with one clear message and exit code 2.
func TestServeBadInput(t *testing.T) {
	dir := lab.Dir(t)
	lab.Folder(t, dir, "empty", nil)
	broken := lab.Write(t, dir, "broken.yaml", "apiVersion: ancora/v1\nkind: Site\nname: Shop\nplacement: {hosts: all}\nbindings: [{listener: http}]\napplications: [{root: /srv, recycle: {every: 24h}, colour: red}]\n")
	for what, wants := range map[string][]string{
		broken:           {"broken.yaml:3:", "recycle.every: is not known; known here: age", "colour", "broken.yaml:6:"},
		dir + "/empty":   {"nothing to start"},
		dir + "/missing": {"no such file"},
	} {
		r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), "serve", what, "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data-"+filepath.Base(what)))
		if r.Code != 2 {
			t.Errorf("%s: exit code %d", what, r.Code)
		}
		for _, want := range wants {
			if !strings.Contains(r.Errors, want) {
				t.Errorf("%s: no %q in %q", what, want, r.Errors)
			}
		}
	}
}

// Two agents cannot have one data directory.
func TestServeOneKeeperEach(t *testing.T) {
	s := serveSite(t, "")
	r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), "serve", s.dir+"/site.yaml", "--listen", "127.0.0.1:0", "--data", s.dir+"/data")
	if r.Code == 0 || !strings.Contains(r.Errors, "in use by another agent") {
		t.Errorf("%d %s", r.Code, r.Errors)
	}
}

func TestVersions(t *testing.T) {
	for _, name := range []string{"ancora", "ancora-agent"} {
		out, err := exec.Command(lab.Bin(t, name), "version").Output()
		if err != nil || !strings.HasPrefix(string(out), name+" ") {
			t.Errorf("%s version: %q, %v", name, out, err)
		}
	}
}

// A proxy that is named is believed about the client, and the application is told what the proxy has said; any other is
// appended as the client that it is.
func TestServeTrustedProxy(t *testing.T) {
	for _, c := range []struct{ trusted, want string }{
		{"127.0.0.1", "X-Forwarded-For: 6.6.6.6, 192.0.2.7\n"},
		{"10.0.0.0/8", "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 127.0.0.1:"},
	} {
		dir := lab.Dir(t)
		lab.Folder(t, dir, "root", nil)
		file := lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "", lab.Bin(t, "childapp")))
		s := serve(t, dir, file, "--trusted-proxy", c.trusted)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address+"/headers", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Forwarded-For", "6.6.6.6, 192.0.2.7")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.Contains(string(body), c.want) {
			t.Errorf("trusted %s: %v\n%s", c.trusted, err, body)
		}
	}
	r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), "serve", t.TempDir(), "--trusted-proxy", "10.0.0.1/8", "--trusted-proxy", "x")
	if r.Code != 2 || !strings.Contains(r.Errors, "the network is 10.0.0.0/8") || !strings.Contains(r.Errors, `"x" is not a network`) {
		t.Errorf("%d %s", r.Code, r.Errors)
	}
}

// An application of the generic profile gets nothing that only IIS means.
func TestServeGenericFields(t *testing.T) {
	s := serveSite(t, "profile: generic\n")
	body := lab.Get(t, s.address, "/headers").Body
	for _, want := range []string{"X-Forwarded-For: 127.0.0.1\n", "X-Forwarded-Proto: http\n", "X-Forwarded-Host: " + s.address + "\n"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if strings.Contains(strings.ToLower(body), "ms-aspnetcore") {
		t.Errorf("a field of IIS in\n%s", body)
	}
}

// An application that listens on a unix socket is forwarded to like any other: nobody else can reach it, and it outlives the
// worker.
func TestServeUnixSocket(t *testing.T) {
	s := serveSite(t, "profile: generic\nsocket: unix\nenv: {Where: \"at ${SOCKET}\"}\n")
	got := lab.Get(t, s.address, "/env").Body
	_, rest, _ := strings.Cut("\n"+got, "\nSOCKET=")
	path, _, _ := strings.Cut(rest, "\n")
	for _, want := range []string{"\nWhere=at " + path + "\n", "\nASPNETCORE_URLS=http://unix:" + path + "\n"} {
		if !strings.Contains("\n"+got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains("\n"+got, "\nPORT=") {
		t.Errorf("a port is offered that nobody asks on:\n%s", got)
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of the socket: %v, %v", info, err)
	}
	pid := lab.Get(t, s.address, "/pid").Body
	for _, child := range lab.Children(s.Pid()) {
		if fmt.Sprint(child) != strings.TrimSpace(pid) {
			_ = syscall.Kill(child, syscall.SIGKILL)
		}
	}
	if again := lab.Get(t, s.address, "/pid").Body; again != pid {
		t.Errorf("process %s answers, before the loss of the worker it was %s", again, pid)
	}
	s.Stop(t)
	s.Wait(t)
	if _, err := os.Stat(path); err == nil {
		t.Error("the socket is left")
	}
}

// The client of a WebSocket hears that the agent goes away, and the agent does not wait for it.
func TestServeStopsWebSockets(t *testing.T) {
	s := serveSite(t, "")
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(lab.Deadline))
	const head = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	if _, err := io.WriteString(conn, head+"\x81\x82\x00\x00\x00\x00hi"); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	if answer, err := http.ReadResponse(r, nil); err != nil || answer.StatusCode != 101 {
		t.Fatal(answer, err)
	}
	echo := make([]byte, 4)
	if _, err := io.ReadFull(r, echo); err != nil || string(echo) != "\x81\x02hi" {
		t.Fatalf("%q, %v", echo, err)
	}
	s.Stop(t)
	if rest, _ := io.ReadAll(r); !strings.HasPrefix(string(rest), "\x88\x02\x03\xe9") {
		t.Errorf("%q, want a close frame with 1001", rest)
	}
	if code := s.Wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
