package rows

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// L: how web.config is read, as far as it shows in what is started.
func TestConfig(t *testing.T) {
	t.Parallel()
	row(t, "L03 the first dotnet of PATH", func(r *recorder) {
		dir := lab.Dir(r)
		lab.Folder(r, dir, "empty", nil)
		lab.Folder(r, dir, "not a program", map[string]string{"dotnet": "text"})
		path := strings.Join([]string{"", "/nowhere", dir + "/empty", dir + "/not a program", filepath.Join(dotnet(r), "runtime"), "/usr/bin", "/bin"}, ":")
		s := serve(r, probe(r, outOfProcess, ""), "DOTNET_ROOT=", "PATH="+path)
		want(r, "status", s.get("/").status, 200)
	})
	row(t, "L05 the virtual path of an application", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /, root: "+child(r, "", outOfProcess, ""), "path: /app, root: "+child(r, "", outOfProcess, ""), "path: /app/Nested, root: "+child(r, "", outOfProcess, "")))
		for prefix, wanted := range map[string]string{"": "/", "/app": "/app", "/app/nested": "/app/Nested"} {
			if a := s.get(prefix + "/env"); !strings.Contains(a.body, "\nASPNETCORE_APPL_PATH="+wanted+"\n") {
				r.Errorf("%s: no %s in %s", prefix, wanted, a.body)
			}
		}
	})
	row(t, "L15 variables that are long, empty, or not there", func(r *recorder) {
		long := strings.Repeat("0123456789", 100)
		folder := child(r, "", outOfProcess, variables("A", "%LONG%|%EMPTY%|%UNSET%"))
		s := serve(r, siteFile(r, "shop", `path: /, root: `+folder+`, env: {LONG: "`+long+`", EMPTY: ""}`))
		want(r, "A", s.environ()["A"], long+"||%UNSET%")
	})
}
