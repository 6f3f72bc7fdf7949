package keeper_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// TestEventsOfARunThatIsBeingFinished: what is said of a run right after it was forgotten is kept, while somebody still has the
// end of its pipe and its own writer is not through.
func TestEventsOfARunThatIsBeingFinished(t *testing.T) {
	l := newLab(t)
	pid := l.startRun(5, nil, "/bin/sleep", "100")
	held, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/1", pid), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	l.do(map[string]any{"Do": "forget", "Run": 5})
	l.do(map[string]any{"Do": "append", "Run": 5, "Note": "[1030] event"})
	fmt.Fprintln(held, "last words")
	_ = held.Close()
	eventually(t, func() error {
		if got := l.lines(5, capture.Stdout); len(got) != 1 || got[0] != "last words" {
			return fmt.Errorf("output: %q", got)
		}
		return nil
	})
	if got := l.lines(5, capture.Event); len(got) != 1 || !strings.Contains(got[0], "1030") {
		t.Errorf("events: %q", got)
	}
}
