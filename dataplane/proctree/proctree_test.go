package proctree

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMembers(t *testing.T) {
	const keeper = 10
	table := Table{
		10: {PID: 10, Parent: 1, Session: 10},
		20: {PID: 20, Parent: 10, Session: 20, Start: 5},     // the main process
		21: {PID: 21, Parent: 20, Session: 20},               // its child
		22: {PID: 22, Parent: 21, Session: 22},               // a grandchild in a session of its own
		23: {PID: 23, Parent: 22, Session: 22, Zombie: true}, // nothing to kill any more
		30: {PID: 30, Parent: 10, Session: 30},               // another instance
		31: {PID: 31, Parent: 10, Session: 20},               // reparented, still in the session
		50: {PID: 50, Parent: 1, Session: 40},                // another's, whose session had the pid of one of ours later
		51: {PID: 51, Parent: 10, Session: 41},               // reparented, the leader of its session gone
		52: {PID: 52, Parent: 51, Session: 52},
	}
	for name, c := range map[string]struct {
		of   Instance
		want []int
	}{
		"tree":   {Instance{PID: 20, Start: 5}, []int{20, 21, 22, 31}},
		"reused": {Instance{PID: 20, Start: 4}, nil},
		"gone":   {Instance{PID: 40, Start: 4}, nil},
		"orphan": {Instance{PID: 41, Start: 4}, []int{51, 52}},
	} {
		got := table.Members(c.of, keeper)
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestReadSelf(t *testing.T) {
	p, err := Read(os.Getpid())
	if err != nil || p.Parent != os.Getppid() || p.Start == 0 || p.Zombie {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := Read(1 << 30); err == nil {
		t.Error("a process that cannot be is read")
	}
}

func TestMarks(t *testing.T) {
	cmd := exec.Command("/bin/sleep", "100")
	cmd.Env = []string{"A=" + MarkVariable + "=x", MarkVariable + "=abc/shop|1"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	pid := cmd.Process.Pid
	for deadline := time.Now().Add(10 * time.Second); ; { // its exec may not be over yet
		if mark, _ := markOf(pid); mark == "abc/shop|1" {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("mark %q", mark)
		}
	}
	for mark, want := range map[string]bool{"abc/shop|1": true, "abc/shop|12": false, "x": false} {
		if got, _ := markOf(pid); (got == mark) != want {
			t.Errorf("mark %q: %v", mark, !want)
		}
	}
	if !HasMarkPrefix(pid, "abc/") || HasMarkPrefix(pid, "b") {
		t.Error("prefix")
	}
}

func TestListeningFindsOwnSockets(t *testing.T) {
	four, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer four.Close()
	six, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer six.Close()
	all, err := Listening()
	if err != nil {
		t.Fatal(err)
	}
	var owned []string
	for _, s := range OwnedBy(all, []int{os.Getpid()}) {
		owned = append(owned, s.Address.String())
	}
	if !slices.Contains(owned, four.Addr().String()) {
		t.Errorf("%v lacks %v", owned, four.Addr())
	}
	_, port, _ := strings.Cut(six.Addr().String(), "]:")
	if !slices.ContainsFunc(owned, func(s string) bool { return strings.HasSuffix(s, ":"+port) }) {
		t.Errorf("%v lacks %v", owned, six.Addr())
	}
	if got := OwnedBy(all, []int{syscall.Getppid()}); slices.ContainsFunc(got, func(s Socket) bool { return s.Address.String() == four.Addr().String() }) {
		t.Error("another process owns our socket")
	}
}

func FuzzParseSockets(f *testing.F) {
	f.Add("  sl  local_address\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0 100 0 0 10 0\n")
	f.Add("0: 00000000000000000000000000000000:0050 0 0A 0 0 0 0 0 7")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseSockets(strings.NewReader(text)) {
			if !s.Address.IsValid() {
				t.Errorf("%q gives an address that is none", text)
			}
		}
	})
}

// Who reads the first of two variables of a name must find the mark: what an application's own settings say does not stand beside it.
func TestMarked(t *testing.T) {
	given := []string{"A=b", MarkVariable + "=another", MarkVariable + "S=c", "EMPTY="}
	if got, want := Marked(given, "1"), []string{"A=b", MarkVariable + "S=c", "EMPTY=", MarkVariable + "=1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if given[1] != MarkVariable+"=another" {
		t.Errorf("what was given has changed: %v", given)
	}
}
