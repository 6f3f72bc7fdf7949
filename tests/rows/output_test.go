package rows

import (
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

const (
	stdoutOn = ` stdoutLogEnabled="true" stdoutLogFile=".\logs\stdout" `
	// ours are the names that a run's files have (LOG-2), with the number inside the run.
	ours = `^stdout_\d{14}_\d+(_\d+)?\.log$`
)

// models are the attributes of both.
func models() []string { return []string{` hostingModel="inprocess" `, outOfProcess} }

func modelOf(attributes string) string { return strings.Split(attributes, `"`)[1] }

// writable lets the application write into its folder, whoever it runs as.
func writable(r *recorder, folder string) string {
	r.Helper()
	if err := os.Chmod(folder, 0o777); err != nil {
		r.Fatal(err)
	}
	return folder
}

// speaker serves childapp with what web.config says of its output.
func speaker(r *recorder, attributes, inner string) *served {
	r.Helper()
	return serve(r, writable(r, child(r, "", attributes, inner)))
}

// script serves a program that says something and ends.
func script(r *recorder, text, attributes, inner string) *served {
	r.Helper()
	folder := filepath.Join(lab.Dir(r), "www")
	lab.Folder(r, folder, ".", map[string]string{
		"web.config": webConfig(`processPath="/bin/sh" arguments="./start.sh"`+attributes, inner), "start.sh": text + "\n",
	})
	return serve(r, writable(r, folder))
}

// logs gives the files of a folder of the application whose names match, those of one run in their order.
func (s *served) logs(folder, pattern string) (names []string, text map[string]string) {
	s.r.Helper()
	text = map[string]string{}
	entries, _ := os.ReadDir(filepath.Join(s.root, folder)) // without the folder there is no file
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(s.root, folder, e.Name()))
		if err == nil && regexp.MustCompile(pattern).MatchString(e.Name()) {
			names = append(names, e.Name())
			text[e.Name()] = string(data)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return numberOf(a) - numberOf(b) })
	return names, text
}

// numberOf is that of a file inside its run.
func numberOf(name string) int {
	parts := strings.Split(strings.TrimSuffix(name, ".log"), "_")
	if len(parts) < 4 {
		return 1
	}
	n, _ := strconv.Atoi(parts[3]) // it matched
	return n
}

// written waits until the newest file of a run ends with text, and gives all of them.
func (s *served) written(end string) (names []string, text map[string]string) {
	s.r.Helper()
	lab.Eventually(s.r, func() string {
		if names, text = s.logs("logs", ours); len(names) == 0 || !strings.HasSuffix(text[names[len(names)-1]], end) {
			return fmt.Sprintf("%q do not end with %.100q", names, end)
		}
		return ""
	})
	newest := text[names[len(names)-1]]
	s.r.saw(file, "%q: %d bytes, at the end %.100q", names, len(newest), newest[max(0, len(newest)-100):])
	return names, text
}

// failedStart asks once and gives the event of the start that fails, whose number differs between the models.
func (s *served) failedStart(words ...string) journal.Event {
	s.r.Helper()
	s.get("/")
	id := 0
	lab.Eventually(s.r, func() string {
		for _, id = range []int{1020, 1011, 1018, 1031} {
			if s.count(id) > 0 {
				return ""
			}
		}
		return fmt.Sprintf("no failed start among %.300v", s.events())
	})
	return s.event(id, words...)
}

func TestStdoutLog(t *testing.T) {
	t.Parallel()
	for _, model := range models() {
		row(t, "H02 both streams are in one file, "+modelOf(model), func(r *recorder) {
			s := speaker(r, model+stdoutOn, "")
			pid := s.pid()
			s.get("/log?prefix=out")
			s.written("out 1\n") // two pipes have no order between them
			s.get("/log?prefix=err&stream=stderr")
			names, text := s.written("err 1\n")
			if len(names) != 1 || !strings.HasPrefix(text[names[0]], fmt.Sprintf("childapp starts pid=%d\n", pid)) || !strings.Contains(text[names[0]], "out 1\n") {
				r.Errorf("%q", text)
			}
			info, err := os.Stat(filepath.Join(s.root, "logs", names[0]))
			if err != nil {
				r.Fatal(err)
			}
			if uid := info.Sys().(*syscall.Stat_t).Uid; os.Geteuid() == 0 && uid != 65534 {
				r.Errorf("%s belongs to %d, not to the application's user", names[0], uid)
			}
			s.Stop(r)
			if _, text := s.logs("logs", ours); !strings.HasSuffix(text[names[0]], "childapp ends\n") {
				r.Errorf("the end is not there: %q", text)
			}
		})
		row(t, "H06 the name has the time in UTC and the process of the application, "+modelOf(model), func(r *recorder) {
			before := time.Now().UTC().Truncate(time.Second)
			s := speaker(r, model+stdoutOn, "")
			pid := s.pid()
			names, _ := s.written("")
			parts := strings.Split(strings.TrimSuffix(names[0], ".log"), "_")
			began, err := time.Parse("20060102150405", parts[1])
			if err != nil || began.Before(before) || began.After(time.Now().UTC()) || parts[2] != fmt.Sprint(pid) {
				r.Errorf("%q (%v); process %d runs since %v", names, err, pid, before)
			}
		})
		row(t, "H04 many writes are one file, "+modelOf(model), func(r *recorder) {
			s := speaker(r, model+stdoutOn, "")
			for i := range 100 {
				s.get(fmt.Sprintf("/log?prefix=line&from=%d&n=1", i))
			}
			if names, text := s.written("line 99\n"); len(names) != 1 || strings.Count(text[names[0]], "line ") != 100 {
				r.Errorf("%q", text)
			}
		})
		row(t, "H03 a folder that cannot be made leaves the application running, "+modelOf(model), func(r *recorder) {
			s := speaker(r, model+stdoutOn, "")
			if err := os.WriteFile(s.root+"/logs", nil, 0o600); err != nil {
				r.Fatal(err)
			}
			s.pid()
			s.event(journal.EventConfiguration, "stdout log", s.root+"/logs")
		})
		row(t, "H03 a path above the root leaves the application running, "+modelOf(model), func(r *recorder) {
			s := speaker(r, model+` stdoutLogEnabled="true" stdoutLogFile="..\logs\stdout" `, "")
			s.pid()
			s.event(journal.EventConfiguration, "stdoutLogFile")
			for _, dir := range []string{s.root, filepath.Dir(s.root)} {
				if _, err := os.Stat(dir + "/logs"); err == nil {
					r.Errorf("%s/logs was made", dir)
				}
			}
		})
	}
	row(t, "H03 a symbolic link out of the root is not followed", func(r *recorder) {
		s := speaker(r, stdoutOn, "")
		beside := writable(r, lab.Dir(r))
		if err := os.Symlink(beside, s.root+"/logs"); err != nil {
			r.Fatal(err)
		}
		s.pid()
		s.event(journal.EventConfiguration, s.root+"/logs", "symbolic link")
		if entries, err := os.ReadDir(beside); err != nil || len(entries) > 0 {
			r.Errorf("%v, %v behind the link", entries, err)
		}
	})
	row(t, "H16 other scripts arrive as they are, and the pairing token does not", func(r *recorder) {
		s := speaker(r, outOfProcess+stdoutOn, "")
		_, rest, _ := strings.Cut(s.get("/env").body, "ASPNETCORE_TOKEN=")
		token, _, _ := strings.Cut(rest, "\n")
		if len(token) < 32 {
			r.Fatalf("token %q", token)
		}
		s.get("/log?prefix=%D0%B6%E2%82%AC%F0%9D%84%9E+" + token)
		s.written("ж€𝄞 *** 1\n")
	})
	row(t, "N14 a folder that the application may not write to", func(r *recorder) {
		s := speaker(r, outOfProcess+` stdoutLogEnabled="true" stdoutLogFile=".\closed\logs\stdout" `, "")
		if err := os.Mkdir(s.root+"/closed", 0o555); err != nil {
			r.Fatal(err)
		}
		s.pid()
		s.event(journal.EventConfiguration, s.root+"/closed/logs", "permission denied")
	})
}

// What an application has said for long: bounded, and whole where it is bounded.
func TestLongLog(t *testing.T) {
	t.Parallel()
	row(t, "N15 the log of a long-lived application is bounded without a restart", func(r *recorder) {
		s := speaker(r, stdoutOn, "")
		before := s.pid()
		const each, rounds = 2000, 14
		var names []string
		var text map[string]string
		for i := range rounds {
			s.get(fmt.Sprintf("/log?n=%d&from=%d&prefix=%s", each, each*i, strings.Repeat("x", 4000)))
			names, text = s.written(fmt.Sprintf(" %d\n", each*(i+1)-1)) // not more is said than the journal holds
		}
		if len(names) != 10 || numberOf(names[9]) < 11 || s.pid() != before {
			r.Errorf("%q, process %d then %d", names, before, s.pid())
		}
		next := 0
		for _, name := range names {
			if len(text[name]) > 10_000_000 {
				r.Errorf("%s has %d bytes", name, len(text[name]))
			}
			for line := range strings.Lines(text[name]) {
				_, last, _ := strings.Cut(strings.TrimSpace(line), " ")
				n, err := strconv.Atoi(last)
				if err != nil || next != 0 && n != next {
					r.Fatalf("%s: line %d, want %d (%v)", name, n, next, err)
				}
				next = n + 1
			}
		}
	})
	row(t, "N15 no line is lost or stands twice when the worker is killed", func(r *recorder) {
		s := speaker(r, stdoutOn, "")
		before := s.pid()
		var want string
		const each = 200
		for i := range 8 {
			s.get(fmt.Sprintf("/log?n=%d&from=%d&prefix=line", each, each*i))
			for n := range each {
				want += fmt.Sprintf("line %d\n", each*i+n)
			}
			kill(s.worker(), syscall.SIGKILL)
			lab.Eventually(r, func() string {
				if _, err := s.try("GET", "/", ""); err != nil {
					return err.Error()
				}
				return ""
			})
		}
		if names, _ := s.written(want); len(names) != 1 || s.pid() != before {
			r.Errorf("%q", names)
		}
	})
}

// What is kept of the output of a start that fails.
func TestStartOutput(t *testing.T) {
	t.Parallel()
	const limit = 30_000
	say := func(n int) string { return fmt.Sprintf("head -c %d /dev/zero | tr '\\0' a; exit 3", n) }
	kept := func(s *served) string { return strings.Join(s.failedStart().Output, "\n") }
	row(t, "H07 the event of a failed start has the output", func(r *recorder) {
		script(r, "echo Wow!; echo 'and that' >&2; exit 3", outOfProcess, "").failedStart("Wow!", "and that")
	})
	row(t, "H10 the first words before a crash are in the event", func(r *recorder) {
		script(r, "printf Wow!; kill -SEGV $$", ` hostingModel="inprocess" `, "").failedStart("Wow!")
	})
	row(t, "H08 exactly 30,000 characters are kept", func(r *recorder) {
		for _, n := range []int{limit, limit + 1, 250_000} {
			if got := kept(script(r, say(n), outOfProcess, "")); got != strings.Repeat("a", limit) {
				r.Errorf("%d said: %d kept, without a: %.100q", n, len(got), strings.Trim(got, "a"))
			}
		}
	})
	row(t, "H11 the event has 30,000 characters and the file has all", func(r *recorder) {
		s := script(r, say(250_000), ` hostingModel="inprocess" `+stdoutOn, "")
		if got := kept(s); got != strings.Repeat("a", limit) {
			r.Errorf("%d kept, without a: %.100q", len(got), strings.Trim(got, "a"))
		}
		s.written(strings.Repeat("a", 250_000))
	})
	row(t, "H09 nothing is captured where that is switched off", func(r *recorder) {
		off := settings("enableOutOfProcessConsoleRedirection", "false")
		s := script(r, "echo Wow!; exit 3", outOfProcess, off)
		if got := kept(s); got != "" {
			r.Errorf("%q is kept", got)
		}
	})
	row(t, "L19 one file a run, none without a word", func(r *recorder) {
		s := speaker(r, outOfProcess+stdoutOn, "")
		first := s.pid()
		s.get("/log?prefix=%C3%BCber")
		s.written("über 1\n")
		kill(first, syscall.SIGKILL)
		second := s.newPid(first)
		s.get("/log?prefix=again")
		lab.Eventually(r, func() string {
			names, text := s.logs("logs", ours)
			if len(names) != 2 {
				return fmt.Sprintf("%q", names)
			}
			for _, name := range names {
				pid, end := first, "über 1\n"
				if strings.Contains(name, fmt.Sprintf("_%d.log", second)) {
					pid, end = second, "again 1\n"
				}
				if !strings.HasPrefix(text[name], fmt.Sprintf("childapp starts pid=%d\n", pid)) || !strings.HasSuffix(text[name], end) {
					return fmt.Sprintf("%s: %q", name, text[name])
				}
			}
			r.saw(file, "%q", names)
			return ""
		})
		silent := script(r, "exit 3", inProcess+stdoutOn, "")
		silent.failedStart("code 3")
		lab.Eventually(r, func() string {
			if names, _ := silent.logs("logs", "."); len(names) > 0 {
				return fmt.Sprintf("%q of a program that said nothing", names)
			}
			return ""
		})
	})
	row(t, "H15 a long write arrives exactly", func(r *recorder) {
		s := script(r, "i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done; head -c 200000 /dev/zero | tr '\\0' b; echo; printf 'no end'; exit 3", outOfProcess+stdoutOn, "")
		var want strings.Builder
		for i := range 20000 {
			fmt.Fprintf(&want, "line %d\n", i)
		}
		want.WriteString(strings.Repeat("b", 200_000) + "\nno end")
		s.get("/")
		if names, text := s.written(want.String()); text[names[0]] != want.String() {
			r.Errorf("%d bytes, want %d", len(text[names[0]]), want.Len())
		}
	})
}

// What the host of .NET says.
func TestHostOutput(t *testing.T) {
	t.Parallel()
	row(t, "H13 the host's message of a missing framework is in event and file", func(r *recorder) {
		for _, attributes := range []string{"", stdoutOn} {
			s := serve(r, writable(r, publish(r, "probe-net8", webConfig(`processPath="dotnet" arguments=".\Probe.dll"`+attributes, ""))))
			s.failedStart("Microsoft.NETCore.App", "8.0")
			if attributes == "" {
				continue
			}
			lab.Eventually(r, func() string {
				if names, text := s.logs("logs", ours); len(names) == 0 || !strings.Contains(text[names[0]], "Microsoft.NETCore.App") {
					return fmt.Sprintf("%q", names)
				}
				return ""
			})
		}
	})
	row(t, "H14 the host's trace holds up nobody", func(r *recorder) {
		trace := []string{"COREHOST_TRACE", "1", "DOTNET_HOST_TRACE", "1"}
		for _, attributes := range []string{"", stdoutOn} {
			s := serve(r, writable(r, probe(r, attributes, variables(trace...))))
			if a := s.get("/"); a.status != 200 {
				r.Errorf("%v", a)
			}
			if attributes != "" {
				lab.Eventually(r, func() string {
					names, text := s.logs("logs", ours)
					if len(names) == 0 || !strings.Contains(text[names[0]], "Tracing enabled") || !strings.Contains(text[names[0]], "probe: started") {
						return fmt.Sprintf("%q", names)
					}
					return ""
				})
			}
			s = serve(r, writable(r, probe(r, attributes, variables(append(trace, "PROBE_START", "throw")...))))
			s.failedStart("told to throw at start", "coreclr")
		}
	})
}
