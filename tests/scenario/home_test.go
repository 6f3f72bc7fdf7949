package scenario

import (
	"os"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// HOME outlives the process: the next one has the same, with what was written there.
func TestServeHomeStays(t *testing.T) {
	s := serveSite(t, "")
	home := func() string {
		for line := range strings.Lines(lab.Get(t, s.address, "/env").Body) {
			if value, ok := strings.CutPrefix(line, "HOME="); ok {
				return strings.TrimSpace(value)
			}
		}
		t.Fatal("no HOME")
		return ""
	}
	before, old := home(), s.pid(t)
	if info, err := os.Stat(before); err != nil || !info.IsDir() {
		t.Fatalf("HOME %q: %v", before, err)
	}
	file, err := os.CreateTemp(before, "kept-") // also where it is the home of whoever runs this
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString("of before"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	s.touch(t)
	lab.Eventually(t, func() string {
		if s.pid(t) == old {
			return "the old process answers"
		}
		return ""
	})
	if after := home(); after != before {
		t.Errorf("HOME %q, it was %q", after, before)
	}
	if text, err := os.ReadFile(file.Name()); err != nil || string(text) != "of before" {
		t.Errorf("of the file there is %q, %v", text, err)
	}
}
