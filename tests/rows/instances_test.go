package rows

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// pids asks n times, one after another.
func (s *served) pids(n int) []int {
	s.r.Helper()
	var all []int
	for range n {
		all = append(all, s.pid())
	}
	return all
}

func distinct(all []int) int { return len(slices.Compact(slices.Sorted(slices.Values(all)))) }

// Several processes of one application: requests go to each in turn, which is started when its turn comes first.
func TestInstances(t *testing.T) {
	t.Parallel()
	row(t, "F22 twenty requests to ten processes, then two, then one", func(r *recorder) {
		s := serve(r, child(r, "", outOfProcess+`processesPerApplication="10"`, ""))
		all := s.pids(20)
		if n := distinct(all); n != 10 || !slices.Equal(all[:10], all[10:]) {
			r.Errorf("%d processes, in turn %v", n, all)
		}
		r.saw(process, "%v", all[:10])
		before := `processesPerApplication="10"`
		for _, number := range []int{2, 1} {
			after := fmt.Sprintf(`processesPerApplication="%d"`, number)
			s.edit("web.config", before, after)
			before = after
			lab.Eventually(r, func() string {
				all = s.pids(20)
				if n := distinct(all); n != number || !slices.Equal(all[:10], all[10:]) {
					return fmt.Sprintf("%d processes, want %d: %v", n, number, all)
				}
				return ""
			})
		}
	})
	row(t, "M07 three processes of httpPlatform", func(r *recorder) {
		s := serve(r, platform(r, `processPath=".\childapp.exe" processesPerApplication="3"`, "", ""))
		want(r, "processes before the first request", len(s.instances()), 0)
		s.pid()
		want(r, "processes behind it", len(s.instances()), 1)
		all := s.pids(8)
		if n := distinct(all); n != 3 || !slices.Equal(all[:3], all[3:6]) {
			r.Errorf("%d processes, in turn %v", n, all)
		}
		lab.Eventually(r, func() string {
			if log := s.Log(); !strings.Contains(log, "3 instances without affinity: cookie") || !strings.Contains(log, "[WARN]") {
				return log
			}
			return ""
		})
	})
}
