package dataplane

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/shadow"
)

// Where there can be no copies an instance runs from the folder, and that is told; a copy that cannot be made is a start that fails.
func TestWithoutCopy(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var told []error
	of := func(path string) *copier {
		return &copier{
			copies: shadow.New(shadow.Config{Top: root, Path: path, Agent: "A1"}), from: shadow.Source{Root: root},
			without: func(reason error) { told = append(told, reason) },
		}
	}
	have, err := of("file").Take(t.Context())
	if err != nil || have.Path != "" || len(told) != 1 || !errors.Is(told[0], shadow.ErrPlace) {
		t.Errorf("%v, %v, told %v", have, err, told)
	}
	if err := os.Symlink("/etc", filepath.Join(root, "etc")); err != nil {
		t.Fatal(err)
	}
	if have, err := of("copies").Take(t.Context()); err == nil || len(told) != 1 {
		t.Errorf("%v, told %v", have, told)
	}
}
