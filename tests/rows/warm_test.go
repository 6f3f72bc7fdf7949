package rows

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// warmed publishes an application that runs always and is asked for pages before visitors come.
func warmed(r *recorder, inner string) *served {
	r.Helper()
	config := strings.Replace(webConfig(`processPath="dotnet" arguments=".\Probe.dll"`+outOfProcess, inner), "<handlers>",
		`<applicationInitialization doAppInitAfterRestart="true"><add initializationPage="/who?first=1" hostName="shop.example" /><add initializationPage="none" /></applicationInitialization><handlers>`, 1)
	folder := publish(r, "probe", config)
	return serve(r, siteFile(r, "shop", "path: /, root: "+folder+", start: always"))
}

// A58, A59: what runs before visitors come, and stays so over a recycle.
func TestWarm(t *testing.T) {
	t.Parallel()
	row(t, "A58 pages are asked for before anybody comes", func(r *recorder) {
		s := warmed(r, "")
		s.event(2010, "GET /who?first=1 200 in ", "GET /none 404 in ")
		s.event(1001)
		s.printed("GET http://shop.example/who?first=1")
		s.printed("GET http://localhost/none")
	})
	row(t, "A59 recycled while it runs always", func(r *recorder) {
		for _, delay := range []string{"1000", "0"} {
			s := warmed(r, settings("shutdownDelay", delay))
			s.event(2010)
			pid := s.pid()
			l := s.loadOf(4, "POST /who HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
			l.until(50)
			s.root = s.rootOf("/")
			s.touch("web.config")
			s.newPid(pid)
			s.gone(pid)
			l.until(l.good.Load() + 50)
			l.end(100)
			lab.Eventually(r, func() string {
				if n := s.count(2010); n != 2 {
					return fmt.Sprintf("warmed up %d times, want twice", n)
				}
				return ""
			})
			s.Stop(r)
		}
	})
}
