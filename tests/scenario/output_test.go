package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/tests/lab"
)

// published is a web.config for a program, with more attributes and elements of its section.
func published(model, program, arguments, attributes, inner string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <system.webServer>
    <handlers><add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2" resourceType="Unspecified" /></handlers>
    <aspNetCore processPath="%s" arguments="%s" hostingModel="%s" %s>
      %s
    </aspNetCore>
  </system.webServer>
</configuration>`, program, arguments, model, attributes, inner)
}

// writable is a folder that its application may write to, whoever that is.
func writable(t *testing.T, dir, config string) string {
	t.Helper()
	root := lab.Folder(t, dir, "root", map[string]string{"web.config": config})
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	return root
}

// output serves childapp as a model, with what web.config says of its output.
func output(t *testing.T, model, attributes, inner string) (s *served, root string) {
	t.Helper()
	dir := lab.Dir(t)
	root = writable(t, dir, published(model, lab.Bin(t, "childapp"), "", attributes, inner))
	return serve(t, dir, root), root
}

// script is the same for a program that says something and ends.
func script(t *testing.T, model, text, attributes, inner string) (s *served, root string) {
	t.Helper()
	dir := lab.Dir(t)
	root = writable(t, dir, published(model, "/bin/sh", "./start.sh", attributes, inner))
	lab.Write(t, root, "start.sh", text+"\n")
	return serve(t, dir, root), root
}

// logs gives the files below a folder whose names match, by name, oldest first.
func logs(t *testing.T, folder, pattern string) (names []string, text map[string]string) {
	t.Helper()
	text = map[string]string{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, text
	}
	for _, e := range entries {
		if regexp.MustCompile(pattern).MatchString(e.Name()) {
			data, err := os.ReadFile(filepath.Join(folder, e.Name()))
			if err != nil {
				continue // removed for its age
			}
			names = append(names, e.Name())
			text[e.Name()] = string(data)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return number(a) - number(b) })
	return names, text
}

// number is that of a file inside its run.
func number(name string) int {
	parts := strings.Split(strings.TrimSuffix(name, ".log"), "_")
	n, _ := strconv.Atoi(parts[len(parts)-1])
	if len(parts) < 4 {
		return 1
	}
	return n
}

// eventsOf gives what the agent noted of its applications.
func (s *served) eventsOf(t *testing.T) []journal.Event {
	t.Helper()
	j, err := journal.Open(s.dir+"/data/captures", nil)
	if err != nil {
		t.Fatal(err)
	}
	sites, err := os.ReadDir(s.dir + "/data/captures")
	if err != nil {
		t.Fatal(err)
	}
	var all []journal.Event
	for _, entry := range sites {
		if !entry.IsDir() {
			continue
		}
		for e, err := range j.Read(context.Background(), journal.Query{Site: entry.Name(), Streams: []journal.Stream{journal.EventStream}}) {
			if err != nil {
				t.Fatal(err)
			}
			event, err := journal.ParseEvent(e.Line)
			if err != nil {
				t.Fatalf("%v: %.200q", err, e.Line)
			}
			all = append(all, event)
		}
	}
	return all
}

// event waits for one with this id that has all words.
func (s *served) event(t *testing.T, id int, words ...string) journal.Event {
	t.Helper()
	var found journal.Event
	lab.Eventually(t, func() string {
		for _, e := range s.eventsOf(t) {
			text := e.Message + " " + e.Reason + " " + strings.Join(e.Output, "\n")
			if e.ID == id && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
				found = e
				return ""
			}
		}
		return fmt.Sprintf("no event %d with %q among %.600v", id, words, s.eventsOf(t))
	})
	return found
}

const stdoutOn = `stdoutLogEnabled="true" stdoutLogFile=".\logs\stdout"`

// The file of an application's output, as people find it in its folder.
func TestStdoutLog(t *testing.T) {
	const ours = `^stdout_\d{14}_\d+(_\d+)?\.log$`
	for _, model := range []string{"inprocess", "outofprocess"} {
		t.Run("H02 H04 H06 "+model, func(t *testing.T) {
			before := time.Now().UTC().Add(-time.Second)
			s, root := output(t, model, stdoutOn, "")
			process := pid(t, s.address)
			for i := range 50 {
				lab.Get(t, s.address, fmt.Sprintf("/log?prefix=out&from=%d", i))
				lab.Get(t, s.address, fmt.Sprintf("/log?prefix=err&stream=stderr&from=%d", i))
			}
			lab.Eventually(t, func() string {
				names, text := logs(t, root+"/logs", ours)
				if len(names) != 1 || !strings.Contains(text[names[0]], "err 49\n") {
					return fmt.Sprintf("%q", text)
				}
				return ""
			})
			names, text := logs(t, root+"/logs", "")
			parts := strings.Split(strings.TrimSuffix(names[0], ".log"), "_")
			began, err := time.Parse("20060102150405", parts[1])
			if len(names) != 1 || err != nil || began.Before(before.Truncate(time.Second)) || began.After(time.Now().UTC()) || parts[2] != process {
				t.Errorf("%q (%v); process %s runs since %v", names, err, process, before)
			}
			if !strings.HasPrefix(text[names[0]], "childapp starts pid="+process+"\n") {
				t.Errorf("%q", text)
			}
			s.Stop(t)
			if _, text := logs(t, root+"/logs", ours); !strings.HasSuffix(text[names[0]], "childapp ends\n") {
				t.Errorf("the end is not there: %q", text)
			}
		})
	}
	t.Run("H03 N14 a folder that cannot be written", func(t *testing.T) {
		s, root := output(t, "outofprocess", stdoutOn, "")
		if err := os.WriteFile(root+"/logs", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		s.event(t, journal.EventConfiguration, "stdout log", root+"/logs")
	})
	t.Run("H03 a path above the root", func(t *testing.T) {
		s, root := output(t, "inprocess", `stdoutLogEnabled="true" stdoutLogFile="..\logs\stdout"`, "")
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		s.event(t, journal.EventConfiguration, `..\logs\stdout`)
		for _, dir := range []string{root, filepath.Dir(root)} {
			if _, err := os.Stat(dir + "/logs"); err == nil {
				t.Errorf("%s/logs was made", dir)
			}
		}
	})
	t.Run("H03 a symbolic link out of the root", func(t *testing.T) {
		s, root := output(t, "inprocess", stdoutOn, "")
		beside := lab.Folder(t, s.dir, "beside", nil)
		if err := os.Chmod(beside, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(beside, root+"/logs"); err != nil {
			t.Fatal(err)
		}
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		s.event(t, journal.EventConfiguration, root+"/logs", "symbolic link")
		if names, _ := logs(t, beside, ""); len(names) > 0 {
			t.Errorf("%q behind the link", names)
		}
	})
	t.Run("H16 UTF-8, and no token", func(t *testing.T) {
		s, root := output(t, "outofprocess", stdoutOn, "")
		env := lab.Get(t, s.address, "/env").Body
		_, rest, _ := strings.Cut(env, "ASPNETCORE_TOKEN=")
		token, _, _ := strings.Cut(rest, "\n")
		lab.Get(t, s.address, "/log?prefix=%D0%B6%E2%82%AC%F0%9D%84%9E+"+token)
		lab.Eventually(t, func() string {
			names, text := logs(t, root+"/logs", ours)
			if len(names) != 1 || !strings.Contains(text[names[0]], "ж€𝄞 *** 1\n") || len(token) < 32 {
				return fmt.Sprintf("%q", text)
			}
			return ""
		})
	})
	t.Run("N15 a long-lived application keeps a bounded log without a restart", func(t *testing.T) {
		s, root := output(t, "inprocess", stdoutOn, "")
		before := pid(t, s.address)
		long := strings.Repeat("x", 4000)
		for i := range 14 {
			lab.Get(t, s.address, fmt.Sprintf("/log?n=2000&from=%d&prefix=%s", 2000*i, long))
			lab.Eventually(t, func() string { // what the journal has is written before more is said: nothing is missing
				names, text := logs(t, root+"/logs", ours)
				if len(names) > 0 && strings.HasSuffix(text[names[len(names)-1]], fmt.Sprintf(" %d\n", 2000*i+1999)) {
					return ""
				}
				return fmt.Sprintf("round %d is not written: %q", i, names)
			})
		}
		names, text := logs(t, root+"/logs", ours)
		if len(names) != 10 || number(names[9]) < 11 || pid(t, s.address) != before {
			t.Errorf("%q, process %s then %s", names, before, pid(t, s.address))
		}
		next := 0
		for _, name := range names {
			if len(text[name]) > 10_000_000 {
				t.Errorf("%s has %d bytes", name, len(text[name]))
			}
			for line := range strings.Lines(text[name]) {
				_, last, _ := strings.Cut(strings.TrimSpace(line), " ")
				n, err := strconv.Atoi(last)
				if err != nil || next != 0 && n != next {
					t.Fatalf("%s: line %d, want %d (%v)", name, n, next, err)
				}
				next = n + 1
			}
		}
		if next != 28000 {
			t.Errorf("the last line is %d", next-1)
		}
	})
	t.Run("a worker that is killed loses no line", func(t *testing.T) {
		s, root := output(t, "inprocess", stdoutOn, "")
		pid(t, s.address)
		const rounds, each = 8, 200
		for i := range rounds {
			lab.Get(t, s.address, fmt.Sprintf("/log?n=%d&from=%d&prefix=line", each, each*i))
			for _, worker := range lab.Children(s.Pid()) {
				if !slices.Contains(instances(t, s.dir+"/data"), worker) {
					_ = syscall.Kill(worker, syscall.SIGKILL)
				}
			}
			lab.Eventually(t, func() string {
				if _, err := lab.Try(s.address, "/", ""); err != nil {
					return err.Error()
				}
				return ""
			})
		}
		var want string
		for i := range rounds * each {
			want += fmt.Sprintf("line %d\n", i)
		}
		lab.Eventually(t, func() string {
			names, text := logs(t, root+"/logs", ours)
			if len(names) != 1 || !strings.HasSuffix(text[names[0]], want) {
				return fmt.Sprintf("%q: %d bytes", names, len(text[names[0]]))
			}
			return ""
		})
	})
	t.Run("the files belong to the application's user", func(t *testing.T) {
		s, root := output(t, "inprocess", stdoutOn, "")
		pid(t, s.address)
		lab.Eventually(t, func() string {
			names, _ := logs(t, root+"/logs", ours)
			if len(names) != 1 {
				return "no file"
			}
			info, err := os.Stat(filepath.Join(root, "logs", names[0]))
			if err != nil {
				return err.Error()
			}
			if uid := info.Sys().(*syscall.Stat_t).Uid; os.Geteuid() == 0 && uid != 65534 {
				t.Fatalf("%s belongs to %d", names[0], uid)
			}
			return ""
		})
	})
}

// What is kept of the output of a start that fails.
func TestStartOutput(t *testing.T) {
	say := func(n int) string { return fmt.Sprintf("head -c %d /dev/zero | tr '\\0' a; exit 3", n) }
	kept := func(t *testing.T, s *served) string {
		t.Helper()
		lab.Get(t, s.address, "/")
		return strings.Join(s.event(t, journal.EventStartFailed).Output, "\n")
	}
	for _, model := range []string{"inprocess", "outofprocess"} {
		t.Run("H07 H10 "+model, func(t *testing.T) {
			s, _ := script(t, model, "echo Wow!; echo 'and that' >&2; exit 3", "", "")
			if got := kept(t, s); !strings.Contains(got, "Wow!") || !strings.Contains(got, "and that") {
				t.Errorf("%q", got)
			}
		})
		t.Run("H08 H11 "+model, func(t *testing.T) {
			for _, n := range []int{30_000, 30_001, 250_000} {
				s, _ := script(t, model, say(n), "", "")
				if got := kept(t, s); got != strings.Repeat("a", 30_000) {
					t.Errorf("%d said: %d characters kept", n, len(got))
				}
			}
			s, root := script(t, model, say(250_000), stdoutOn, "")
			if got := kept(t, s); got != strings.Repeat("a", 30_000) {
				t.Errorf("%d characters kept", len(got))
			}
			lab.Eventually(t, func() string {
				names, text := logs(t, root+"/logs", "stdout")
				if len(names) == 0 || text[names[0]] != strings.Repeat("a", 250_000) {
					return fmt.Sprintf("%q has %d bytes: %.200q", names, len(text[names[0]]), strings.Trim(text[names[0]], "a"))
				}
				return ""
			})
		})
	}
	t.Run("H09 nothing is captured", func(t *testing.T) {
		s, _ := script(t, "outofprocess", "echo Wow!; exit 3", "", `<handlerSettings><handlerSetting name="enableOutOfProcessConsoleRedirection" value="false" /></handlerSettings>`)
		if got := kept(t, s); got != "" {
			t.Errorf("%q is kept", got)
		}
	})
}

// The debug log, by what people set.
func TestDebugLog(t *testing.T) {
	line := regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z, PID: \d+\] \[ancora\] [^\r\n]+$`)
	settings := func(pairs ...string) string {
		text := "<handlerSettings>"
		for i := 0; i < len(pairs); i += 2 {
			text += fmt.Sprintf(`<handlerSetting name="%s" value="%s" />`, pairs[i], pairs[i+1])
		}
		return text + "</handlerSettings>"
	}
	environment := func(pairs ...string) string {
		text := "<environmentVariables>"
		for i := 0; i < len(pairs); i += 2 {
			text += fmt.Sprintf(`<environmentVariable name="%s" value="%s" />`, pairs[i], pairs[i+1])
		}
		return text + "</environmentVariables>"
	}
	for _, c := range []struct {
		name, inner, file string
		words             []string
	}{
		{"H17 a folder and a file", settings("debugLevel", "FILE", "debugFile", `subdirectory\debug.txt`), "subdirectory/debug.txt", nil},
		{"H18 the default file", settings("debugLevel", "file"), "aspnetcore-debug.log", nil},
		{"H19 the default file by environment", environment("ASPNETCORE_MODULE_DEBUG", "file"), "aspnetcore-debug.log", nil},
		{"H24 a file by environment", environment("ASPNETCORE_MODULE_DEBUG", "file", "ASPNETCORE_MODULE_DEBUG_FILE", `logs\env.txt`), "logs/env.txt", nil},
		{"H20 the file is switched", environment("ASPNETCORE_MODULE_DEBUG", "file", "ASPNETCORE_MODULE_DEBUG_FILE", "env.txt") + settings("debugLevel", "file", "debugFile", "config.txt"), "config.txt", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, root := output(t, "outofprocess", "", c.inner)
			process := pid(t, s.address)
			read := func(file string) []string {
				text, err := os.ReadFile(filepath.Join(root, file))
				if err != nil {
					return nil
				}
				return strings.Split(strings.TrimSuffix(string(text), "\r\n"), "\r\n")
			}
			lab.Eventually(t, func() string {
				text := strings.Join(read(c.file), "\n")
				if !strings.Contains(text, "Started process "+process) || !strings.Contains(text, "Event 1001") {
					return fmt.Sprintf("%q", text)
				}
				return ""
			})
			lines := read(c.file)
			for _, l := range lines {
				if !line.MatchString(l) {
					t.Errorf("%q", l)
				}
			}
			if !strings.Contains(lines[0], "Initializing logs") || !strings.Contains(lines[0], "commit") {
				t.Errorf("%q", lines[0])
			}
			if strings.HasPrefix(c.name, "H20") {
				old := read("env.txt")
				if len(old) != 2 || !strings.Contains(old[1], "Switching debug log files to '"+root+"/config.txt'") {
					t.Errorf("%q", old)
				}
			}
			if !strings.Contains(s.Log(), "debug log is on") {
				t.Errorf("nothing warns of it:\n%s", s.Log())
			}
		})
	}
	t.Run("H21 events", func(t *testing.T) {
		s, _ := output(t, "inprocess", "", settings("debugLevel", "file,eventlog"))
		process := pid(t, s.address)
		s.event(t, journal.EventDebug, "Started process "+process)
		s.event(t, journal.EventDebug, "Event 1001")
	})
}

// The same with .NET: what the host itself says, and its trace.
func TestDotnetOutput(t *testing.T) {
	top := dotnet(t)
	t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
	copied := func(t *testing.T, name, attributes, inner string) (dir, root string) {
		dir = lab.Dir(t)
		root = filepath.Join(dir, "root")
		if err := os.CopyFS(root, os.DirFS(filepath.Join(top, "apps", name))); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(root, 0o777); err != nil {
			t.Fatal(err)
		}
		dll := map[string]string{"probe": "Probe.dll"}[name]
		if dll == "" {
			found, _ := filepath.Glob(root + "/*.runtimeconfig.json")
			dll = strings.TrimSuffix(filepath.Base(found[0]), ".runtimeconfig.json") + ".dll"
		}
		lab.Write(t, root, "web.config", published("inprocess", "dotnet", `.\`+dll, attributes, inner))
		return dir, root
	}
	first := func(t *testing.T, root string, word string) {
		t.Helper()
		lab.Eventually(t, func() string {
			names, text := logs(t, root+"/logs", `^stdout_\d{14}_\d+\.log$`)
			if len(names) == 0 || !strings.Contains(text[names[0]], word) {
				return fmt.Sprintf("%q has not %q", names, word)
			}
			return ""
		})
	}
	t.Run("H13 a framework that is missing", func(t *testing.T) {
		dir, root := copied(t, "probe-net8", stdoutOn, "")
		s := serve(t, dir, root)
		lab.Get(t, s.address, "/")
		s.event(t, journal.EventStartFailed, "Microsoft.NETCore.App")
		first(t, root, "Microsoft.NETCore.App")
	})
	t.Run("H14 the trace of the host", func(t *testing.T) {
		dir, root := copied(t, "probe", stdoutOn, `<environmentVariables><environmentVariable name="COREHOST_TRACE" value="1" /><environmentVariable name="DOTNET_HOST_TRACE" value="1" /></environmentVariables>`)
		s := serve(t, dir, root)
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		first(t, root, "Tracing enabled")
		first(t, root, "probe: started")
	})
	t.Run("H14 the trace of a start that fails", func(t *testing.T) {
		dir, root := copied(t, "probe", "", `<environmentVariables><environmentVariable name="COREHOST_TRACE" value="1" /><environmentVariable name="PROBE_START" value="throw" /></environmentVariables>`)
		s := serve(t, dir, root)
		lab.Get(t, s.address, "/")
		s.event(t, journal.EventStartFailed, "told to throw at start", "coreclr")
	})
}
