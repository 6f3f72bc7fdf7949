package floors

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestHouse(t *testing.T) {
	for _, sentence := range Check(list(t)) {
		t.Error(sentence)
	}
}

// Each floor is proven by a violation planted into the list.
func TestPlantedViolations(t *testing.T) {
	for _, planted := range []struct{ from, to string }{
		{"proto/transport", Module + "/dataplane/site"},
		{"dataplane/supervise", Module + "/controlplane/store"},
		{"dataplane", Module + "/agent/session"},
		{"dataplane/forward", "google.golang.org/grpc/codes"},
		{"dataplane/site", Module + "/proto/ancora/types/v1"},
		{"dataplane/app", "net/http"},
		{"dataplane/xmltree", Module + "/dataplane/site"},
		{"dataplane/explain", Module + "/dataplane/route"},
		{"dataplane/keeper", Module + "/dataplane/site"},
		{"agent/session", Module + "/controlplane/dispatch"},
		{"agent/session", "net/http"},
		{"controlplane/dispatch", Module + "/agent/session"},
		{"controlplane/api", Module + "/dataplane/supervise"},
		{"controlplane/cli", Module + "/controlplane/store"},
		{"controlplane/cli", "go.etcd.io/etcd/client/v3"},
	} {
		if got := Check([]Package{{Path: planted.from, Imports: []string{planted.to}, Doc: true}}); len(got) != 1 {
			t.Errorf("%s importing %s: %d sentences, want 1: %v", planted.from, planted.to, len(got), got)
		}
	}
	if got := Check([]Package{{Path: "dataplane/site"}}); len(got) != 1 {
		t.Errorf("package without comment: %v", got)
	}
}

// The keeper is the one program that cannot be replaced while applications run, so it stays small enough to be right.
func TestKeeperIsSmall(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(t), "dataplane/keeper/*.go"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, file := range files {
		if !strings.HasSuffix(file, "_test.go") {
			lines += count(t, file)
		}
	}
	if lines >= 700 {
		t.Errorf("dataplane/keeper has %d lines, under 700 are allowed", lines)
	}
}

func TestFilesAreReadable(t *testing.T) {
	const most = 500
	err := filepath.WalkDir(root(t), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root(t) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".pb.go") {
			if n := count(t, path); n > most {
				t.Errorf("%s has %d lines, %d are allowed", path, n, most)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func count(t *testing.T, file string) int {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(data, []byte("\n"))
}

func list(t *testing.T) []Package {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Doc", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var packages []Package
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			ImportPath, Doc string
			Imports         []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, Package{
			Path: strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, Module), "/"), Imports: p.Imports, Doc: p.Doc != "",
		})
	}
	if len(packages) < 5 {
		t.Fatalf("go list gave %d packages", len(packages))
	}
	return packages
}

func root(t *testing.T) string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
