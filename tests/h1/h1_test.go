package h1

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const (
	token     = "pairing-s3cr3t" // the one that the corpus expects
	conformed = 235              // at least so many of the cases, to the letter
)

// verdict is one line of what h1run writes with -json.
type verdict struct {
	ID      string            `json:"id"`
	Safe    bool              `json:"safe"`
	Conform bool              `json:"conform"`
	Status  []int             `json:"client_status"`
	Backend []json.RawMessage `json:"backend"`
	Unsafe  []string          `json:"unsafe"`
	Dev     []string          `json:"deviates"`
	Notes   []string          `json:"notes"`
}

func TestMain(m *testing.M) {
	code := m.Run()
	lab.Clean()
	os.Exit(code)
}

func TestCorpus(t *testing.T) {
	backend := freeAddr(t)
	proxy := startProxy(t, backend)
	results := filepath.Join(t.TempDir(), "results.json")
	cmd := exec.Command(build(t), "-proxy", proxy, "-backend", backend, "-corpus", "corpus.json", "-product", "-json", results)
	output, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); err != nil && code != 1 {
		t.Fatalf("h1run: %v\n%s", err, output)
	}
	judge(t, outcomes(t), narrow(t), read[[]verdict](t, results))
	if t.Failed() {
		t.Logf("%s", output)
	}
}

// judge fails for every unsafe case, for every canary that did not get its own answer, and for every case that should
// have reached the back end and did not: a proxy that refuses everything is safe, and useless.
func judge(t *testing.T, outcome map[string]string, narrow map[string]string, verdicts []verdict) {
	t.Helper()
	conform := 0
	for _, v := range verdicts {
		if !v.Safe {
			t.Errorf("%s: UNSAFE: %q (status %v)", v.ID, v.Unsafe, v.Status)
		}
		for _, note := range v.Notes {
			if strings.HasPrefix(note, "canary: ") {
				t.Errorf("%s: the proxy does not work: %s", v.ID, note)
			}
		}
		_, known := narrow[v.ID]
		if must := outcome[v.ID] == "forward" || outcome[v.ID] == "response"; must && !known && len(v.Backend) == 0 {
			t.Errorf("%s: did not reach the back end (status %v)", v.ID, v.Status)
		}
		if v.Conform {
			conform++
		} else {
			t.Logf("%s deviates: %q (status %v)", v.ID, v.Dev, v.Status)
		}
	}
	t.Logf("figure: %d of %d cases conform", conform, len(outcome))
	if len(verdicts) != len(outcome) {
		t.Errorf("%d verdicts of %d cases", len(verdicts), len(outcome))
	}
	if conform < conformed {
		t.Errorf("%d cases conform, want at least %d", conform, conformed)
	}
}

// startProxy serves test.local from the back end and returns the address to talk to. It is the one place that knows what
// kind of product is under test: an agent, and as its application a relay that passes every byte as it is.
func startProxy(t *testing.T, backend string) string {
	dir := lab.Dir(t)
	lab.Folder(t, dir, "root", nil)
	file := lab.Write(t, dir, "site.yaml", fmt.Sprintf(site, dir, lab.Bin(t, "childapp"), backend, token))
	agent := lab.Start(t, nil, lab.Bin(t, "ancora-agent"), "serve", file, "--listen", "127.0.0.1:0", "--data", dir+"/data")
	return agent.Ready(t)["address"]
}

const site = `
apiVersion: ancora/v1
kind: Site
name: corpus
placement: {hosts: all}
bindings: [{listener: http}]
applications:
  - root: %s/root
    command: [%s, relay, "%s"]
    env: {ASPNETCORE_TOKEN: %s}
    start: always
    requestTimeout: 5s
    stop: {timeout: 1s}
`

func build(t *testing.T) string {
	binary := filepath.Join(t.TempDir(), "h1run")
	if output, err := exec.Command("go", "build", "-o", binary, "./h1run").CombinedOutput(); err != nil {
		t.Fatalf("build h1run: %v\n%s", err, output)
	}
	return binary
}

// freeAddr names a port that was free a moment ago; the runner binds it.
func freeAddr(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func outcomes(t *testing.T) map[string]string {
	corpus := read[struct {
		Cases []struct{ ID, Outcome string }
	}](t, "corpus.json")
	m := make(map[string]string, len(corpus.Cases))
	for _, c := range corpus.Cases {
		m[c.ID] = c.Outcome
	}
	return m
}

// narrow reads the cases that need not reach the back end: an id and the feature that is missing, a line each.
func narrow(t *testing.T) map[string]string {
	f, err := os.Open("narrow.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := make(map[string]string)
	for lines, n := bufio.NewScanner(f), 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		id, feature, ok := strings.Cut(line, " ")
		if !ok {
			t.Fatal("narrow.txt:" + strconv.Itoa(n) + ": no feature named")
		}
		m[id] = feature
	}
	return m
}

func read[T any](t *testing.T, name string) (v T) {
	data, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}
