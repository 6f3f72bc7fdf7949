package scenario

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

func TestMain(m *testing.M) {
	code := m.Run()
	lab.Clean()
	os.Exit(code)
}

// served is a site file served by one agent without a controller.
type served struct {
	*lab.Program
	address, dir string
}

// serveSite serves one application that is childapp with the given arguments; more is added to the application.
func serveSite(t *testing.T, more string, childapp ...string) *served {
	t.Helper()
	dir := lab.Dir(t)
	lab.Folder(t, dir, "root", nil)
	file := lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", more, append([]string{lab.Bin(t, "childapp")}, childapp...)...))
	return serve(t, dir, file)
}

func serve(t *testing.T, dir, what string, args ...string) *served {
	t.Helper()
	args = append([]string{"serve", what, "--listen", "127.0.0.1:0", "--data", dir + "/data"}, args...)
	p := lab.Start(t, nil, lab.Bin(t, "ancora-agent"), args...)
	return &served{p, p.Ready(t)["address"], dir}
}

// siteText is a site file with one application at /.
func siteText(name, root, more string, command ...string) string {
	quoted := make([]string, len(command))
	for i, c := range command {
		quoted[i] = fmt.Sprintf("%q", c)
	}
	text := fmt.Sprintf("apiVersion: ancora/v1\nkind: Site\nname: %s\nplacement: {hosts: all}\nbindings:\n  - listener: http\napplications:\n  - path: /\n    root: %s\n", name, root)
	if len(command) > 0 {
		text += fmt.Sprintf("    command: [%s]\n", strings.Join(quoted, ", "))
	}
	for line := range strings.Lines(more) {
		text += "    " + strings.TrimRight(line, "\n") + "\n"
	}
	return text
}

// pid is the process that answers.
func pid(t *testing.T, address string) string {
	t.Helper()
	a := lab.Get(t, address, "/pid")
	if a.Status != 200 {
		t.Fatalf("GET /pid: %d %s", a.Status, a.Body)
	}
	return strings.TrimSpace(a.Body)
}

// says waits until the agent's log has all of the words: it takes another way than answers.
func (s *served) says(t *testing.T, words ...string) {
	t.Helper()
	lab.Eventually(t, func() string {
		log := s.Log()
		for _, w := range words {
			if !strings.Contains(log, w) {
				return fmt.Sprintf("no %q in\n%s", w, log)
			}
		}
		return ""
	})
}

// instances gives the processes of instances below an agent's data directory, by the mark they carry.
func instances(t *testing.T, data string) []int {
	t.Helper()
	id, err := os.ReadFile(data + "/keeper-id")
	if err != nil {
		t.Fatal(err)
	}
	workers := lab.Marked(strings.TrimSpace(string(id)) + "/worker")
	var pids []int
	for _, pid := range lab.Marked(strings.TrimSpace(string(id)) + "/") {
		if !slices.Contains(workers, pid) {
			pids = append(pids, pid)
		}
	}
	return pids
}
