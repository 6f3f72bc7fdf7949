package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func TestParseLabels(t *testing.T) {
	set, remove, err := parseLabels([]string{"role=web", "empty=", "old-", "a=b"})
	if err != nil || !cmp.Equal(set, map[string]string{"role": "web", "empty": "", "a": "b"}) || !cmp.Equal(remove, []string{"old"}) {
		t.Errorf("%v %v %v", set, remove, err)
	}
	for _, wrong := range []string{"role", "=x", "-", "", "bad key=x", "k=bad value"} {
		if _, _, err := parseLabels([]string{wrong}); ExitCode(err) != exitUsage {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestRelabel(t *testing.T) {
	s := &typesv1.Site{}
	relabel(s, map[string]string{"a": "1", "b": "2"}, []string{"b", "none"})
	if diff := cmp.Diff(map[string]string{"a": "1"}, s.Labels); diff != "" {
		t.Error(diff)
	}
}
