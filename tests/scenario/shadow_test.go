package scenario

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// shadowed is a folder with childapp in it whose instances run from copies, and with a script that starts it as a child.
func shadowed(t *testing.T, program, enabled string) *served {
	t.Helper()
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", map[string]string{"Some.dll": "code", "web.config": configText(false,
		`<aspNetCore processPath="`+program+`" hostingModel="outofprocess"><handlerSettings><handlerSetting name="enableShadowCopy" value="`+enabled+`"/></handlerSettings></aspNetCore>`)})
	if err := lab.CopyProgram(lab.Bin(t, "childapp"), filepath.Join(root, "childapp")); err != nil {
		t.Fatal(err)
	}
	// What a shell says of a child that died of SIGBUS; Go's own runtime does not die of it.
	script := lab.Write(t, root, "run.sh", "#!/bin/sh\n./childapp\nexit 135\n")
	if err := os.Chmod(script, 0o755); err != nil {
		t.Fatal(err)
	}
	return serve(t, dir, root)
}

// program is the file that the process which answers was started from.
func (s *served) program(t *testing.T) (pid, file string) {
	t.Helper()
	answering := ""
	lab.Eventually(t, func() string { // nobody answers for a moment when the worker is lost
		a, err := lab.Try(s.address, "/pid", "")
		if err != nil || a.Status != 200 {
			return fmt.Sprint(a, err)
		}
		answering = strings.TrimSpace(a.Body)
		return ""
	})
	file, err := os.Readlink("/proc/" + answering + "/exe")
	if err != nil {
		t.Fatal(err)
	}
	return answering, file
}

// An instance goes on from its copy over the loss of the worker, which knows the copy and what of the folder differs from it; the
// copy is deleted once the instance is gone.
func TestShadowCopyOverLoss(t *testing.T) {
	s := shadowed(t, `.\childapp.exe`, "true")
	copies := filepath.Join(s.dir, "root/ShadowCopyDirectory")
	before, file := s.program(t)
	if file != copies+"/0/childapp" {
		t.Fatalf("process %s is %s", before, file)
	}
	id, err := os.ReadFile(s.dir + "/data/keeper-id")
	if err != nil {
		t.Fatal(err)
	}
	for _, worker := range lab.Marked(strings.TrimSpace(string(id)) + "/worker") {
		_ = syscall.Kill(worker, syscall.SIGKILL)
	}
	s.says(t, "instance adopted")
	if now, file := s.program(t); now != before || file != copies+"/0/childapp" {
		t.Errorf("process %s is %s, it was %s", now, file, before)
	}
	program := filepath.Join(s.dir, "root/childapp")
	if err := os.Rename(program, program+".old"); err != nil {
		t.Fatal(err)
	}
	if err := lab.CopyProgram(lab.Bin(t, "childapp"), program); err != nil {
		t.Fatal(err)
	}
	lab.Eventually(t, func() string {
		if now, file := s.program(t); now == before || file != copies+"/1/childapp" {
			return fmt.Sprintf("process %s is %s", now, file)
		}
		return ""
	})
	lab.Eventually(t, func() string {
		if _, err := os.Lstat(copies + "/0"); err == nil {
			return "the first copy is still there"
		}
		return ""
	})
}

// recorded are the events of all runs of an agent, as they are kept.
func recorded(data string) string {
	files, _ := filepath.Glob(data + "/captures/*/*/*/event.*")
	var all strings.Builder
	for _, f := range files {
		content, _ := os.ReadFile(f)
		all.Write(content)
	}
	return all.String()
}

// Who dies of SIGBUS after a file of its folder was written to is told so, with the file and what to do; nobody else is.
func TestBusError(t *testing.T) {
	s := shadowed(t, `.\run.sh`, "false")
	killed := func() {
		t.Helper()
		pid, _ := s.program(t)
		child, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(err)
		}
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	killed()
	lab.Eventually(t, func() string {
		if got := recorded(s.dir + "/data"); !strings.Contains(got, "135") {
			return got
		}
		return ""
	})
	lab.Get(t, s.address, "/pid")
	if got := recorded(s.dir + "/data"); strings.Contains(got, "[2020]") {
		t.Errorf("no file has changed:\n%s", got)
	}
	lab.Write(t, s.dir+"/root", "Some.dll", "")
	killed()
	lab.Eventually(t, func() string {
		got := recorded(s.dir + "/data")
		for _, word := range []string{"[2020]", "changed since its start: Some.dll.", "enableShadowCopy", "135"} {
			if !strings.Contains(got, word) {
				return fmt.Sprintf("no %q in\n%s", word, got)
			}
		}
		return ""
	})
}

// A real application dies of it when its assembly is cut off; with copies it does not notice.
func TestDotnetBusError(t *testing.T) {
	top := lab.Dotnet(t)
	for enabled, dies := range map[string]bool{"false": true, "true": false} {
		dir := lab.Dir(t)
		root := filepath.Join(dir, "root")
		if err := os.CopyFS(root, os.DirFS(filepath.Join(top, "apps/probe"))); err != nil {
			t.Fatal(err)
		}
		lab.Write(t, root, "web.config", configText(false,
			`<aspNetCore processPath="dotnet" arguments=".\Probe.dll"><handlerSettings><handlerSetting name="enableShadowCopy" value="`+enabled+`"/></handlerSettings></aspNetCore>`))
		p := lab.Start(t, []string{"DOTNET_ROOT=" + filepath.Join(top, "runtime")}, lab.Bin(t, "ancora-agent"), "serve", root, "--listen", "127.0.0.1:0", "--data", dir+"/data")
		s := &served{p, p.Ready(t)["address"], dir}
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		if err := os.Truncate(filepath.Join(root, "Probe.dll"), 0); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/who", "/env", "/paths", "/cookies"} { // code that was not needed until now
			if a := lab.Get(t, s.address, path); a.Status != 200 && !dies {
				t.Errorf("%s: %d %s", path, a.Status, a.Body)
			}
		}
		if dies {
			lab.Eventually(t, func() string {
				if got := recorded(dir + "/data"); !strings.Contains(got, "[2020]") || !strings.Contains(got, "changed since its start: Probe.dll.") {
					return got
				}
				return ""
			})
		}
		p.Stop(t)
	}
}
