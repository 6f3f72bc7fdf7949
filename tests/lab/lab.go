// Package lab runs the real programs for scenarios: a controller, agents, the command line, applications. Everything it
// starts is ended, and everything it writes removed, with the test. Programs that are no tests launch them, and stop them
// themselves.
package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Deadline is how long a scenario waits for what should come at once: far more than the figure, so that a busy machine
// fails no test.
const Deadline = 30 * time.Second

var built struct {
	sync.Once
	dir string
	err error
}

// Bin gives the path of a program: ancora, ancora-agent or childapp. They are built once a test binary, by go build, or
// taken from the directory ANCORA_BIN; either way they are copied to where an unprivileged user can execute them.
func Bin(t testing.TB, name string) string {
	t.Helper()
	built.Do(func() { built.dir, built.err = build(os.Getenv("ANCORA_BIN")) })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, name)
}

// Clean removes what Bin made; TestMain calls it.
func Clean() {
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
}

func build(ready string) (string, error) {
	dir, err := TempDir("ancora-bin-")
	if err != nil {
		return "", err
	}
	for name, pkg := range map[string]string{
		"ancora": "./controlplane/cmd/ancora", "ancora-agent": "./agent/cmd/ancora-agent", "childapp": "./tests/childapp",
	} {
		target := filepath.Join(dir, name)
		if CopyProgram(filepath.Join(ready, name), target) == nil && ready != "" {
			continue
		}
		cmd := exec.Command("go", "build", "-o", target, pkg)
		cmd.Dir = Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
}

// CopyProgram copies one to where every user can execute it.
func CopyProgram(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

// Root is the project's top directory.
func Root() string {
	dir, err := os.Getwd()
	for err == nil && dir != "/" {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Dir(dir)
	}
	return "."
}

// Dir makes a directory that every user can reach, and removes it with the test.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := TempDir("ancora-lab-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TempDir makes a directory that every user can reach. Who asks for it removes it.
func TempDir(prefix string) (string, error) {
	dir, err := os.MkdirTemp("", prefix)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return dir, nil
}

// Folder makes a folder below dir with the given files.
func Folder(t testing.TB, dir, name string, files map[string]string) string {
	t.Helper()
	folder := filepath.Join(dir, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// Write writes a file and gives its path.
func Write(t testing.TB, dir, name, text string) string {
	t.Helper()
	Folder(t, dir, ".", map[string]string{name: text})
	return filepath.Join(dir, name)
}

// Eventually waits until check gives "", and fails the test with what it says last when the deadline is over.
func Eventually(t testing.TB, check func() string) {
	t.Helper()
	deadline := time.Now().Add(Deadline)
	for {
		problem := check()
		if problem == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v still: %s", Deadline, problem)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// Answer is what a client got.
type Answer struct {
	Status int
	Body   string
	Header http.Header
}

// Get asks address (host:port or a URL) for a path on a connection of its own.
func Get(t testing.TB, address, path string) Answer {
	t.Helper()
	a, err := Try(address, path, "")
	if err != nil {
		t.Fatalf("GET %s%s: %v", address, path, err)
	}
	return a
}

// Try is Get for when an error is an answer too; host, when given, is the Host field.
func Try(address, path, host string) (Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Deadline)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+strings.TrimPrefix(address, "http://")+path, nil)
	if err != nil {
		return Answer{}, err
	}
	request.Host = host
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Answer{response.StatusCode, string(body), response.Header}, err
}
