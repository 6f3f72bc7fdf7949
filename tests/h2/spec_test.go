//go:build h2spec

package h2

import (
	"encoding/xml"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const floor = 139 // of h2spec's 145 cases pass, at least

// report is what h2spec writes with -j.
type report struct {
	Sections []struct {
		ID    string `xml:"id,attr"`
		Cases []struct {
			Name    string  `xml:"classname,attr"`
			Package string  `xml:"package,attr"`
			Skipped *string `xml:"skipped"`
			Failure *string `xml:"failure"`
			Error   *string `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// TestSpecification runs h2spec, which `make h2spec` installs and names in H2SPEC, against the listener. It is built only
// there, so that nothing is skipped elsewhere.
func TestSpecification(t *testing.T) {
	address, _ := proxy(t, newBackend(t))
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "report.xml")
	output, err := exec.Command(os.Getenv("H2SPEC"), "-h", host, "-p", port, "-j", file).CombinedOutput()
	text, readErr := os.ReadFile(file)
	var r report
	if readErr != nil || xml.Unmarshal(text, &r) != nil {
		t.Fatalf("h2spec gave no report: %v\n%s", err, output)
	}
	known := knownCases(t)
	passed := 0
	for _, section := range r.Sections {
		for _, c := range section.Cases {
			id := strings.TrimPrefix(c.Package, "http2/") + " | " + c.Name
			reason, expected := known[id]
			delete(known, id)
			switch {
			case c.Skipped != nil:
				t.Logf("skipped: %s", id)
			case c.Failure == nil && c.Error == nil:
				if passed++; expected {
					t.Errorf("passes now, delete it from known.txt: %s", id)
				}
			case expected:
				t.Logf("known: %s: %s", id, reason)
			default:
				t.Errorf("fails: %s", id)
			}
		}
	}
	for id := range known {
		t.Errorf("known.txt names no case of h2spec: %s", id)
	}
	t.Logf("figure: %d cases pass", passed)
	if passed < floor {
		t.Errorf("%d cases pass, want at least %d", passed, floor)
	}
	if t.Failed() {
		t.Logf("%s", output)
	}
}

func knownCases(t *testing.T) map[string]string {
	text, err := os.ReadFile("known.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if line[0] == '#' {
			continue
		}
		i := strings.LastIndex(line, " | ")
		if i < 0 {
			t.Fatalf("known.txt: no reason in %q", line)
		}
		known[line[:i]] = strings.TrimSpace(line[i+3:])
	}
	return known
}
