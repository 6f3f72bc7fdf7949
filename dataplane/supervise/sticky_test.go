package supervise

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/process"
)

// The trace in testdata/sticky.txt: how long failed starts stand.
func TestStickyTrace(t *testing.T) {
	data, err := os.ReadFile("testdata/sticky.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := &strings.Builder{}
	var s sticky
	now := time.Unix(1000, 0)
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		command, _, _ := strings.Cut(line, " -> ")
		words := strings.Fields(command)
		if len(words) == 0 || words[0] == "#" {
			fmt.Fprintln(got, line)
			continue
		}
		switch words[0] {
		case "failed":
			fmt.Fprintf(got, "%s -> for %v\n", command, s.failed(now))
			continue
		case "lasted":
			s.lasted()
		case "after":
			now = now.Add(duration(t, words[1]))
		}
		answer := "open"
		if left, refused := s.refuses(now); refused {
			answer = fmt.Sprintf("refused, %v left", left)
		}
		fmt.Fprintf(got, "%s -> %s\n", command, answer)
	}
	if diff := cmp.Diff(string(data), got.String()); diff != "" {
		t.Error(diff)
	}
}

// An end within a minute of being ready is a failed start; one of which nobody knows since when it ran is not.
func TestShort(t *testing.T) {
	now := time.Unix(10_000, 0)
	for ready, want := range map[time.Time]bool{now: true, now.Add(-59 * time.Second): true, now.Add(-time.Minute): false, {}: false} {
		if got := short(ready, now); got != want {
			t.Errorf("ready since %v: %v", ready, got)
		}
	}
}

// What failed before a run that lasted counts no more when that is ended on purpose; and an end that nobody asked for is a failed
// start only soon after the instance was ready.
func TestLastingRun(t *testing.T) {
	output, err := journal.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for lasted, forgotten := range map[time.Duration]bool{10 * time.Second: false, 2 * time.Minute: true} {
		p := New(Config{InProcess: true, Instances: 1, Journal: output})
		s := &p.slots[0]
		s.sticky.failed(time.Now())
		i := p.newInstance(s)
		i.listens = time.Now().Add(-lasted)
		s.begin(i)
		_, start := errors.AsType[*StartError](i.exitFailure(process.Exit{Code: 3}))
		if start == forgotten {
			t.Errorf("an end after %v is a failed start: %v", lasted, start)
		}
		p.retired.Add(1)
		p.ended(i, nil, nil, false)
		if s.sticky == (sticky{}) != forgotten {
			t.Errorf("after a run of %v: %+v", lasted, s.sticky)
		}
	}
}
