package supervise

import (
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

// SIGBUS is one by itself, and by the code of who had a child that ended so; not the code of a host that starts nothing.
func TestBusError(t *testing.T) {
	for _, c := range []struct {
		proven bool
		exit   process.Exit
		want   bool
	}{
		{true, process.Exit{Signal: 7}, true},
		{false, process.Exit{Signal: 7}, true},
		{true, process.Exit{Code: 135}, true},
		{false, process.Exit{Code: 135}, false},
		{true, process.Exit{Signal: 11}, false},
		{true, process.Exit{Code: 7}, false},
		{true, process.Exit{}, false},
	} {
		if got := busError(machine{Proven: c.proven}, c.exit); got != c.want {
			t.Errorf("proven %v, %v: %v", c.proven, c.exit, got)
		}
	}
}
