package dataplane

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The agent, which may read everything, reads no web.config for an application that is not in the application's folder: whoever
// writes to the folder could take the variables of another application by a link to its file.
func TestConfigFile(t *testing.T) {
	top := t.TempDir()
	root := filepath.Join(top, "root")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(root, "versions", "2"), 0o755),
		os.WriteFile(filepath.Join(top, "web.config"), []byte("another's"), 0o600),
		os.WriteFile(filepath.Join(root, "versions", "2", "web.config"), []byte("own"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ link, content, wrong string }{
		{"", "", ""},
		{"versions/2/web.config", "own", ""},
		{"../web.config", "", "cannot be read: leads out of the folder"},
		{top + "/web.config", "", "cannot be read: leads out of the folder"},
		{"/etc/hostname", "", "cannot be read: leads out of the folder"},
		{"versions", "", "cannot be read: is no regular file"},
		{"../none", "", "cannot be read: leads out of the folder"},
		{"none", "", ""},
	} {
		link := filepath.Join(root, "Web.Config")
		_ = os.Remove(link)
		if c.link != "" {
			if err := os.Symlink(c.link, link); err != nil {
				t.Fatal(err)
			}
		}
		file, content, problems := configFile(root)
		if string(content) != c.content || (len(problems) == 0) != (c.wrong == "") || c.wrong != "" && (!strings.Contains(problems.Error(), c.wrong) || file != link) {
			t.Errorf("%q: %s %q %v, want %q and the problem %q", c.link, file, content, problems, c.content, c.wrong)
		}
	}
}
