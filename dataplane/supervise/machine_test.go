package supervise

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The traces in testdata/machine.txt read like a log: after each command stand the state and the effects.
func TestMachineTraces(t *testing.T) {
	data, err := os.ReadFile("testdata/machine.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := &strings.Builder{}
	var m machine
	now := time.Unix(0, 0)
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		command, _, _ := strings.Cut(line, " -> ")
		words := strings.Fields(command)
		if len(words) == 0 || words[0] == "#" {
			fmt.Fprintln(got, line)
			continue
		}
		var effects []effect
		switch words[0] {
		case "start":
			now = time.Unix(0, 0)
			m = start(now, duration(t, words[1]), duration(t, words[2]), slices.Contains(words, "asks"))
			m.Warm = slices.Contains(words, "warm")
			m.Patient = slices.Contains(words, "patient")
		case "after":
			now = now.Add(duration(t, words[1]))
			m, effects = step(m, event{kind: tick}, now)
		case "stop":
			m, effects = step(m, event{kind: stop, drain: duration(t, words[1])}, now)
		case "end":
			m, effects = step(m, event{kind: stop, drain: duration(t, words[1]), end: now.Add(duration(t, words[2]))}, now)
		default:
			kind, known := map[string]eventKind{"listening": listening, "exited": exited, "idle": idle, "busy": busy, "unanswered": unanswered, "listener-end": listenerEnd, "warmed": warmed, "launcher-end": launcherEnd}[words[0]]
			if !known {
				t.Fatalf("command %q", words[0])
			}
			m, effects = step(m, event{kind: kind}, now)
		}
		fmt.Fprintf(got, "%s -> %v", command, m)
		for _, e := range effects {
			fmt.Fprintf(got, "; %v", e)
		}
		fmt.Fprintln(got)
	}
	if diff := cmp.Diff(string(data), got.String()); diff != "" {
		t.Error(diff)
	}
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestWindowRollsOn(t *testing.T) {
	var w window
	begin := time.Unix(1000, 0)
	for i := range 3 {
		w.add(begin.Add(time.Duration(i) * 10 * time.Second))
	}
	for _, c := range []struct {
		after   time.Duration
		limit   int
		count   int
		refused time.Duration
	}{
		{20 * time.Second, 3, 3, 0},
		{20 * time.Second, 2, 3, 40 * time.Second},
		{20 * time.Second, 0, 3, 60 * time.Second},
		{60 * time.Second, 2, 2, 0},
		{60 * time.Second, 1, 2, 10 * time.Second},
		{80 * time.Second, 0, 0, 0},
	} {
		now := begin.Add(c.after)
		wait, refused := w.refuses(c.limit, now)
		if n := w.count(now); n != c.count || refused != (c.refused > 0) || wait != c.refused {
			t.Errorf("after %v, limit %d: %d counted, refused %v for %v", c.after, c.limit, n, refused, wait)
		}
	}
}
