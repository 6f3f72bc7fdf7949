package rows

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/tests/lab"
)

// served is a folder or a site file behind an agent without a controller.
type served struct {
	*lab.Program
	r             *recorder
	address, data string
	// root is the folder that is served, or that of the site file.
	root string
}

// serve starts the agent. More arguments are its own; one with = and without -- is a variable of its environment.
func serve(r *recorder, what string, more ...string) *served {
	r.Helper()
	s := start(r, what, more...)
	s.address = s.Ready(r)["address"]
	return s
}

// start is serve for an agent that may refuse to.
func start(r *recorder, what string, more ...string) *served {
	r.Helper()
	data := lab.Dir(r) + "/data"
	args := []string{"serve", what, "--data", data}
	var env []string
	if top := os.Getenv("ANCORA_DOTNET"); top != "" {
		env = append(env, "DOTNET_ROOT="+filepath.Join(top, "runtime"))
	}
	listens := false
	for _, m := range more {
		if !strings.HasPrefix(m, "--") && strings.Contains(m, "=") && !listens {
			env = append(env, m)
			continue
		}
		listens = m == "--listen"
		args = append(args, m)
	}
	if !slices.Contains(args, "--listen") {
		args = append(args, "--listen", "127.0.0.1:0")
	}
	root := what
	if info, err := os.Stat(what); err == nil && !info.IsDir() {
		root = filepath.Dir(what)
	}
	return &served{lab.Start(r, env, lab.Bin(r, "ancora-agent"), args...), r, "", data, root}
}

// pid is the process that answers, of probe and childapp alike.
func (s *served) pid() int {
	s.r.Helper()
	a := s.get("/")
	if a.status != 200 {
		s.r.Fatalf("GET /: %v", a)
	}
	return s.pidOf(a)
}

func (s *served) pidOf(a answer) int {
	s.r.Helper()
	fields := strings.FieldsFunc(strings.TrimSpace(a.body), func(c rune) bool { return c == ' ' || c == '=' })
	if len(fields) == 0 {
		s.r.Fatalf("no process in %v", a)
	}
	pid, err := strconv.Atoi(fields[len(fields)-1])
	if err != nil {
		s.r.Fatalf("no process in %v", a)
	}
	return pid
}

// warm asks until it is answered well: a first request takes longer than the others, more so on a busy machine.
func (s *served) warm(path string) {
	s.r.Helper()
	lab.Eventually(s.r, func() string {
		if a, err := s.try("GET", path, ""); err != nil || a.status != 200 {
			return fmt.Sprintf("GET %s: %v %v", path, a, err)
		}
		return ""
	})
}

// newPid waits until another process answers; until the end of the one before is noticed there may be no answer.
func (s *served) newPid(before int) int {
	s.r.Helper()
	now := 0
	lab.Eventually(s.r, func() string {
		a, err := s.try("GET", "/", "")
		if err != nil || a.status != 200 {
			return fmt.Sprintf("%v %v", a, err)
		}
		if now = s.pidOf(a); now == before {
			return fmt.Sprintf("process %d still answers", now)
		}
		return ""
	})
	s.r.saw(process, "process %d answers instead of %d", now, before)
	return now
}

// instances gives the processes of applications, without those of the agent.
func (s *served) instances() []int {
	s.r.Helper()
	id, err := os.ReadFile(s.data + "/keeper-id")
	if err != nil {
		s.r.Fatal(err)
	}
	mark := strings.TrimSpace(string(id))
	workers := lab.Marked(mark + "/worker")
	return slices.DeleteFunc(lab.Marked(mark+"/"), func(pid int) bool { return slices.Contains(workers, pid) })
}

// worker is the agent's process that proxies.
func (s *served) worker() int {
	s.r.Helper()
	applications := s.instances()
	for _, pid := range lab.Children(s.Pid()) {
		if !slices.Contains(applications, pid) {
			return pid
		}
	}
	s.r.Fatal("the agent has no worker")
	return 0
}

// gone waits until none of the processes lives, and says how long that took.
func (s *served) gone(pids ...int) time.Duration {
	s.r.Helper()
	begin := time.Now()
	lab.Eventually(s.r, func() string {
		for _, pid := range pids {
			if lab.Alive(pid) {
				return fmt.Sprintf("process %d still runs", pid)
			}
		}
		return ""
	})
	took := time.Since(begin)
	s.r.saw(process, "%v ended after %v", pids, took.Round(time.Millisecond))
	return took
}

// stands waits until every thread of a process is stopped, which takes a moment behind the signal.
func stands(r *recorder, pid int) {
	r.Helper()
	lab.Eventually(r, func() string {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, t := range threads {
			content, _ := os.ReadFile(t)
			if _, state, _ := strings.Cut(string(content), ") "); !strings.HasPrefix(state, "T") {
				return fmt.Sprintf("a thread of %d is %.1s", pid, state)
			}
		}
		return ""
	})
}

func kill(pid int, signal syscall.Signal) { _ = syscall.Kill(pid, signal) }

// events gives what the agent noted about its applications, in the order of their runs.
func (s *served) events() []journal.Event {
	s.r.Helper()
	var files []string
	_ = filepath.WalkDir(s.data+"/captures", func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), "event.") {
			files = append(files, path)
		}
		return nil // a run that is deleted meanwhile has no events
	})
	slices.SortFunc(files, func(a, b string) int { return runOf(a) - runOf(b) })
	var all []journal.Event
	for _, f := range files {
		content, _ := os.ReadFile(f)
		for line := range strings.Lines(string(content)) {
			if e, err := journal.ParseEvent([]byte(strings.TrimSuffix(line, "\n"))); err == nil {
				all = append(all, e)
			}
		}
	}
	return all
}

func runOf(file string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
	return n
}

// count is how many events of a number there are.
func (s *served) count(id int) int {
	s.r.Helper()
	n := 0
	for _, e := range s.events() {
		if e.ID == id {
			n++
		}
	}
	return n
}

// event waits for one with this number in which all of the words stand.
func (s *served) event(id int, words ...string) journal.Event {
	s.r.Helper()
	var found journal.Event
	lab.Eventually(s.r, func() string {
		for _, e := range s.events() {
			text := string(e.Encode())
			if e.ID == id && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
				found = e
				return ""
			}
		}
		return fmt.Sprintf("no event %d with %q among %v", id, words, s.events())
	})
	s.r.saw(event, "%s", found.Encode())
	return found
}

// write writes a file below the served folder.
func (s *served) write(name, text string) {
	s.r.Helper()
	lab.Write(s.r, s.root, name, text)
}

// touch changes the time of a file and nothing else.
func (s *served) touch(name string) {
	s.r.Helper()
	now := time.Now()
	if err := os.Chtimes(filepath.Join(s.root, name), now, now); err != nil {
		s.r.Fatal(err)
	}
}

func (s *served) remove(name string) {
	s.r.Helper()
	if err := os.Remove(filepath.Join(s.root, name)); err != nil {
		s.r.Fatal(err)
	}
}

func (s *served) rename(from, to string) {
	s.r.Helper()
	if err := os.Rename(filepath.Join(s.root, from), filepath.Join(s.root, to)); err != nil {
		s.r.Fatal(err)
	}
}

// edit replaces text in a file of the served folder, where it must stand.
func (s *served) edit(name, before, after string) {
	s.r.Helper()
	content, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil || !strings.Contains(string(content), before) {
		s.r.Fatalf("%s has no %q: %v", name, before, err)
	}
	s.write(name, strings.Replace(string(content), before, after, 1))
}
