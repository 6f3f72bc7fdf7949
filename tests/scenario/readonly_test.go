package scenario

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// onReadOnly is a shell's script that runs a command where nobody can write to a folder, root neither: folder, command.
const onReadOnly = `mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && ! touch "$1/of-root" && shift && exec "$@"`

// The root of an application may be a share that is mounted read-only: what was published starts and serves, one event says that its
// stdout log cannot be written, and nothing else is any different.
func TestReadOnlyShare(t *testing.T) {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip("unshare is not on PATH")
	}
	if r := lab.Run(t, nil, unshare, "-m", "/bin/sh", "-c", onReadOnly, "sh", lab.Dir(t), "true"); r.Code != 0 {
		t.Skipf("no mount of its own: %s", strings.TrimSpace(r.Errors))
	}
	for name, c := range map[string]struct {
		root   func(t *testing.T, dir string) string
		events []string
	}{
		"dotnet": {func(t *testing.T, dir string) string {
			top := lab.Dotnet(t)
			t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
			root := filepath.Join(dir, "root")
			if err := os.CopyFS(root, os.DirFS(filepath.Join(top, "apps/probe"))); err != nil {
				t.Fatal(err)
			}
			published := read(t, root+"/web.config")
			asking := strings.Replace(published, `stdoutLogEnabled="false"`, `stdoutLogEnabled="true"`, 1)
			if asking == published {
				t.Fatalf("published otherwise:\n%s", published)
			}
			lab.Write(t, root, "web.config", asking)
			return root
		}, []string{"1004", "1006", "1032", "1033"}},
		"childapp": {func(t *testing.T, dir string) string {
			return lab.Folder(t, dir, "root", map[string]string{
				"web.config": configText(false, fmt.Sprintf(`<aspNetCore processPath=%q stdoutLogEnabled="true" stdoutLogFile=".\logs\stdout" hostingModel="outofprocess"/>`, lab.Bin(t, "childapp"))),
			})
		}, []string{"1001", "1004", "1006", "1030"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := lab.Dir(t)
			root := c.root(t, dir)
			if err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error { // it is the mount that forbids
				if err != nil {
					return err
				}
				return os.Chmod(path, 0o777)
			}); err != nil {
				t.Fatal(err)
			}
			before := tree(t, root)
			p := lab.Start(t, nil, unshare, "-m", "/bin/sh", "-c", onReadOnly, "sh", root,
				lab.Bin(t, "ancora-agent"), "serve", root, "--listen", "127.0.0.1:0", "--data", dir+"/data", "--user", "65534")
			s := &served{p, p.Ready(t)["address"], dir}
			if a := lab.Get(t, s.address, "/env"); a.Status != 200 {
				t.Fatalf("%d %s\n%s", a.Status, a.Body, s.Log())
			}
			s.event(t, "[1004]", "stdout", syscall.EROFS.Error())
			for line := range strings.Lines(s.Log()) {
				if strings.Contains(line, "[ERROR]") || strings.Contains(line, "[WARN]") && !strings.Contains(line, "stdout log not written") {
					t.Errorf("the agent says %s", line)
				}
			}
			s.Stop(t)
			s.event(t, `"stopped"`, "exit code 0")
			if ids := s.eventIDs(t); !slices.Equal(ids, c.events) {
				t.Errorf("events %v, want %v", ids, c.events)
			}
			if after := tree(t, root); after != before {
				t.Errorf("the folder was\n%sand is\n%s", before, after)
			}
		})
	}
}

// eventIDs gives the numbers of the events that are kept, each once.
func (s *served) eventIDs(t *testing.T) (ids []string) {
	t.Helper()
	err := filepath.WalkDir(s.dir+"/data/captures", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, id := range regexp.MustCompile(`(?m)\[([0-9]{4})\] "`).FindAllSubmatch(content, -1) {
			ids = append(ids, string(id[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
