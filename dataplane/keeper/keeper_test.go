package keeper_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/proctree"
)

var agentBinary, childBinary string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "keeper")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	_ = os.Chmod(dir, 0o755)
	agentBinary, childBinary = filepath.Join(dir, "agent"), filepath.Join(dir, "childapp")
	for out, pkg := range map[string]string{agentBinary: "./testdata/agent", childBinary: "../../tests/childapp"} {
		if text, err := exec.Command("go", "build", "-o", out, pkg).CombinedOutput(); err != nil {
			panic(string(text))
		}
	}
	return m.Run()
}

// lab is one data directory and the keeper on it.
type lab struct {
	t   *testing.T
	dir string
	cmd *exec.Cmd
}

func newLab(t *testing.T) *lab {
	dir, err := os.MkdirTemp("", "keeper")
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(dir, 0o711)
	l := &lab{t: t, dir: dir}
	l.start()
	t.Cleanup(func() {
		l.end(syscall.SIGTERM)
		_ = os.RemoveAll(dir)
	})
	return l
}

func (l *lab) start() {
	l.cmd = exec.Command(agentBinary, l.dir)
	l.cmd.Stderr = os.Stderr
	if err := l.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) end(s syscall.Signal) {
	_ = l.cmd.Process.Signal(s)
	_ = l.cmd.Wait()
}

// eventually polls until f says nothing more against it.
func eventually(t *testing.T, f func() error) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

type answer struct {
	PID    int
	Result json.RawMessage
	Error  string
}

func (l *lab) try(fields map[string]any) (a answer, err error) {
	conn, err := net.Dial("unix", filepath.Join(l.dir, "worker.sock"))
	if err != nil {
		return a, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if err := json.NewEncoder(conn).Encode(fields); err != nil {
		return a, err
	}
	err = json.NewDecoder(conn).Decode(&a)
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	return a, err
}

// do asks the worker, waiting for one to be there.
func (l *lab) do(fields map[string]any) answer {
	l.t.Helper()
	var a answer
	eventually(l.t, func() (err error) {
		a, err = l.try(fields)
		if a.Error != "" {
			l.t.Fatalf("%v: %v", fields["Do"], a.Error)
		}
		return err
	})
	return a
}

func (l *lab) worker() int { return l.do(map[string]any{"Do": "ping"}).PID }

func (l *lab) killWorker() {
	pid := l.worker()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		l.t.Fatal(err)
	}
	eventually(l.t, func() error {
		if a, err := l.try(map[string]any{"Do": "ping"}); err != nil || a.PID == pid {
			return fmt.Errorf("no new worker: %v", err)
		}
		return nil
	})
}

func (l *lab) startRun(run uint64, env []string, argv ...string) int {
	l.t.Helper()
	a := l.do(map[string]any{"Do": "start", "Run": run, "Argv": argv, "Env": env})
	pid, _ := strconv.Atoi(string(a.Result))
	return pid
}

func (l *lab) runDir(run uint64) string {
	return capture.RunDir(filepath.Join(l.dir, "captures"), "shop", "/", run)
}

// lines reads the marked bytes of a stream of a run.
func (l *lab) lines(run uint64, s capture.Stream) []string {
	data, _ := os.ReadFile(filepath.Join(l.runDir(run), capture.MarksFile))
	var end, number uint64
	for ; ; data = data[capture.MarkSize:] {
		m, ok := capture.DecodeMark(data)
		if !ok {
			break
		}
		if number++; m.Number != number {
			l.t.Fatalf("mark %d has number %d", number, m.Number)
		}
		if m.Kind == capture.Data && m.Stream == s {
			end = m.Offset
		}
	}
	var text []byte
	paths, _ := filepath.Glob(filepath.Join(l.runDir(run), s.String()+".*"))
	slices.Sort(paths)
	for _, p := range paths {
		part, _ := os.ReadFile(p)
		text = append(text, part...)
	}
	return strings.Split(strings.TrimSuffix(string(text[:min(int(end), len(text))]), "\n"), "\n")
}

// marked counts the living processes that carry a mark of this data directory, the worker left out.
func (l *lab) marked() (pids []int) {
	id, err := os.ReadFile(filepath.Join(l.dir, "keeper-id"))
	if err != nil {
		return nil
	}
	table, err := proctree.Scan()
	if err != nil {
		l.t.Fatal(err)
	}
	for pid, p := range table {
		if !p.Zombie && proctree.HasMarkPrefix(pid, strings.TrimSpace(string(id))+"/shop") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Every line that processes write while workers are killed is captured once and in order.
func TestWorkerKilledLosesNoLine(t *testing.T) {
	l := newLab(t)
	const n = 60_000
	script := fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "line $i"; done`, n)
	for run := uint64(1); run <= 2; run++ {
		l.startRun(run, nil, "/bin/sh", "-c", script)
	}
	pids := map[int]bool{}
	for range 5 {
		pids[l.worker()] = true
		l.killWorker()
	}
	if len(pids) != 5 {
		t.Errorf("workers %v: a kill did not give a new one", pids)
	}
	for run := uint64(1); run <= 2; run++ {
		if a := l.do(map[string]any{"Do": "wait", "Run": run}); string(a.Result) != `"exit code 0"` {
			t.Errorf("run %d: %s", run, a.Result)
		}
		l.do(map[string]any{"Do": "forget", "Run": run})
		eventually(t, func() error {
			if lines := l.lines(run, capture.Stdout); len(lines) < n {
				return fmt.Errorf("run %d: %d lines", run, len(lines))
			}
			return nil
		})
		lines := l.lines(run, capture.Stdout)
		if len(lines) != n {
			t.Fatalf("run %d: %d lines, want %d", run, len(lines), n)
		}
		for i, line := range lines {
			if line != fmt.Sprintf("line %d", i+1) {
				t.Fatalf("run %d, line %d: %q", run, i+1, line)
			}
		}
	}
}

func TestExitIsKeptForTheNextWorker(t *testing.T) {
	l := newLab(t)
	pid := l.startRun(7, nil, "/bin/sh", "-c", "kill -9 $$")
	l.do(map[string]any{"Do": "note", "Run": 7, "Note": "remember me"})
	l.killWorker()
	if a := l.do(map[string]any{"Do": "wait", "Run": 7}); !strings.Contains(string(a.Result), "signal 9") {
		t.Errorf("exit: %s", a.Result)
	}
	want := fmt.Sprintf(`{"note":"remember me","pid":%d}`, pid)
	if a := l.do(map[string]any{"Do": "show", "Run": 7}); string(a.Result) != want {
		t.Errorf("instance %s, want %s", a.Result, want)
	}
}

// A process has the environment it was given and the mark, three descriptors, a session of its own, and nothing else.
func TestProcessInheritsNothing(t *testing.T) {
	l := newLab(t)
	pid := l.startRun(1, []string{"A=b", "EMPTY="}, "/bin/sh", "-c", "exec sleep 100")
	environ := ""
	eventually(t, func() error {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		environ = string(data)
		if !strings.Contains(environ, "A=b") {
			return fmt.Errorf("environment %q, %v", data, err)
		}
		return nil
	})
	var names []string
	for entry := range strings.SplitSeq(strings.TrimSuffix(environ, "\x00"), "\x00") {
		name, _, _ := strings.Cut(entry, "=")
		names = append(names, name)
	}
	slices.Sort(names)
	// The shell that execs sleep adds PWD and its like to what it exports only when they were there: here it adds none.
	names = slices.DeleteFunc(names, func(n string) bool { return n == "PWD" || n == "OLDPWD" || n == "SHLVL" || n == "_" })
	if want := []string{"A", proctree.MarkVariable, "EMPTY"}; !slices.Equal(names, want) {
		t.Errorf("variables %v, want %v", names, want)
	}
	// The loader of a program that is being started has files open for a moment.
	eventually(t, func() error {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil || len(entries) != 3 {
			return fmt.Errorf("descriptors %v, %v", entries, err)
		}
		return nil
	})
	if p, err := proctree.Read(pid); err != nil || p.Session != pid {
		t.Errorf("%+v, %v: not the leader of its session", p, err)
	}
}

func TestKillReachesTheWholeTree(t *testing.T) {
	for _, kind := range []string{"plain", "setsid", "double"} {
		t.Run(kind, func(t *testing.T) {
			l := newLab(t)
			l.startRun(1, []string{"PORT=1"}, childBinary, "-silent", "-fork", kind)
			eventually(t, func() error {
				if n := len(l.marked()); n != 2 || !slices.ContainsFunc(l.lines(1, capture.Stdout), func(s string) bool { return strings.Contains(s, "forked") }) {
					return fmt.Errorf("%d processes: %v", n, l.lines(1, capture.Stdout))
				}
				return nil
			})
			l.do(map[string]any{"Do": "kill", "Run": 1})
			if left := l.marked(); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if a := l.do(map[string]any{"Do": "wait", "Run": 1}); !strings.Contains(string(a.Result), "signal 9") {
				t.Errorf("exit: %s", a.Result)
			}
		})
	}
}

func TestKeeperKilledLeavesNothingTwice(t *testing.T) {
	l := newLab(t)
	for run := uint64(1); run <= 3; run++ {
		l.startRun(run, []string{"PORT=1"}, childBinary, "-silent", "-fork", "double")
	}
	eventually(t, func() error {
		if n := len(l.marked()); n != 6 {
			return fmt.Errorf("%d processes", n)
		}
		return nil
	})
	old := l.worker()
	l.end(syscall.SIGKILL)
	l.start()
	eventually(t, func() error {
		if a, err := l.try(map[string]any{"Do": "ping"}); err != nil || a.PID == old {
			return fmt.Errorf("no new worker: %v", err)
		}
		return nil
	})
	if _, err := l.try(map[string]any{"Do": "show", "Run": 1}); err == nil {
		t.Error("the new keeper holds an instance of the old one")
	}
	if left := l.marked(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	l.startRun(4, nil, "/bin/sleep", "100")
	if n := len(l.marked()); n != 1 {
		t.Errorf("%d processes, want 1", n)
	}
}

// A connection made while no worker runs waits in the backlog and is served by the next one.
func TestListenerOutlivesWorkers(t *testing.T) {
	l := newLab(t)
	var address string
	if err := json.Unmarshal(l.do(map[string]any{"Do": "listen", "Name": "http", "Address": "127.0.0.1:0"}).Result, &address); err != nil {
		t.Fatal(err)
	}
	old := l.worker()
	if err := syscall.Kill(old, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { // it could accept until it has really stopped
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", old))
		if err == nil && !strings.Contains(string(stat), ") T ") {
			err = fmt.Errorf("not stopped: %s", stat)
		}
		return err
	})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = syscall.Kill(old, syscall.SIGKILL)
	eventually(t, func() error {
		a, err := l.try(map[string]any{"Do": "listen", "Name": "http", "Address": "127.0.0.1:0"})
		if err == nil && string(a.Result) != strconv.Quote(address) {
			t.Fatalf("the listener moved from %s to %s", address, a.Result)
		}
		return err
	})
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != strconv.Itoa(l.worker()) {
		t.Errorf("answer %q, %v", line, err)
	}
	if a := l.do(map[string]any{"Do": "listeners"}); !strings.Contains(string(a.Result), address) {
		t.Errorf("listeners %s", a.Result)
	}
	if a, err := l.try(map[string]any{"Do": "listen", "Name": "other", "Address": address}); err == nil {
		t.Errorf("an address in use was bound again: %s", a.Result)
	}
}

func TestListeningIsTheTreesOwn(t *testing.T) {
	l := newLab(t)
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	listening := func(run uint64) bool {
		return string(l.do(map[string]any{"Do": "listening", "Run": run, "Port": port}).Result) == "true"
	}
	l.startRun(1, nil, "/bin/sleep", "100")
	if listening(1) {
		t.Error("another's socket counts")
	}
	_ = free.Close()
	l.startRun(2, []string{"PORT=" + strconv.Itoa(port)}, childBinary, "-listener", "grandchild")
	eventually(t, func() error {
		if !listening(2) {
			return errors.New("the grandchild's socket does not count")
		}
		return nil
	})
	if listening(1) {
		t.Error("another instance's socket counts")
	}
}

func TestStartErrors(t *testing.T) {
	l := newLab(t)
	text := filepath.Join(l.dir, "text")
	if err := os.WriteFile(text, []byte("MZ"), 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(l.dir, "program")
	if err := os.WriteFile(program, []byte("MZ"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.worker()
	for argv, want := range map[string]string{"/no/such/program": "no such file", text: "permission denied", program: "exec format error"} {
		if _, err := l.try(map[string]any{"Do": "start", "Run": 1, "Argv": []string{argv}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", argv, err, want)
		}
	}
	l.startRun(1, nil, "/bin/sleep", "100")
}

func TestSecondKeeperIsRefused(t *testing.T) {
	l := newLab(t)
	l.worker()
	out, err := exec.Command(agentBinary, l.dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "in use by another agent") {
		t.Errorf("%s, %v", out, err)
	}
}

func TestStopEndsEverything(t *testing.T) {
	l := newLab(t)
	l.startRun(1, []string{"PORT=1"}, childBinary, "-silent", "-ignore-term", "-fork", "double")
	if err := l.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Wait(); err != nil {
		t.Errorf("keeper: %v", err)
	}
	if left := l.marked(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if lines := l.lines(1, capture.Stdout); len(lines) < 1 {
		t.Errorf("output: %q", lines)
	}
}

func TestEventsGoIntoTheirRun(t *testing.T) {
	l := newLab(t)
	l.startRun(5, nil, "/bin/sleep", "100")
	for _, run := range []uint64{0, 5, 0} {
		l.do(map[string]any{"Do": "append", "Run": run, "Note": "[1001] event"})
	}
	if got := l.lines(0, capture.Event); len(got) != 2 {
		t.Errorf("run 0: %q", got)
	}
	if got := l.lines(5, capture.Event); len(got) != 1 {
		t.Errorf("run 5: %q", got)
	}
}

func TestCredential(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("switching users needs root")
	}
	l := newLab(t)
	a := l.do(map[string]any{"Do": "start", "Run": 1, "Argv": []string{"/bin/sh", "-c", "exec sleep 100"}, "AsNobody": true})
	eventually(t, func() error {
		status, err := os.ReadFile("/proc/" + string(a.Result) + "/status")
		if !strings.Contains(string(status), "Uid:\t65534\t65534\t65534\t65534") || !strings.Contains(string(status), "CapEff:\t0000000000000000") {
			return fmt.Errorf("%s, %v", status, err)
		}
		return nil
	})
}
