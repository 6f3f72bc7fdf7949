package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/sitefile"
)

func TestLookPath(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, other, "plain", "")
	tool := write(t, other, "tool", "")
	if err := os.Chmod(tool, 0o755); err != nil {
		t.Fatal(err)
	}
	path := dir + string(filepath.ListSeparator) + other
	if got, err := lookPath("tool", path); err != nil || got != tool {
		t.Errorf("%q, %v", got, err)
	}
	for _, name := range []string{"plain", "none"} {
		if got, err := lookPath(name, path); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// The demo's site files are good for apply, whatever its folder is called.
func TestDemoSite(t *testing.T) {
	for _, demo := range []bool{true, false} {
		text := sitefile.Format(demoSite("/tmp/it's: a #folder", demo))
		sites, err := sitefile.Parse("demo.yaml", text)
		if err != nil || len(sites) != 1 || sites[0].Applications[0].Root != "/tmp/it's: a #folder" || (len(sites[0].Applications[0].Command) > 0) != demo {
			t.Errorf("%v\n%s", err, text)
		}
	}
}
