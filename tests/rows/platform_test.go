package rows

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// M: httpPlatform, for any program.
func TestPlatform(t *testing.T) {
	t.Parallel()
	const server = `require('http').createServer((q, s) => s.end('node ' + process.pid)).listen(Number(process.argv[2] || process.env.PORT), '127.0.0.1')`
	row(t, "M01 node with its port in PORT", func(r *recorder) {
		s := serve(r, platform(r, `processPath="`+node(r)+`" arguments=".\server.js"`, variables("PORT", "%HTTP_PLATFORM_PORT%"), server))
		if a := s.get("/"); a.status != 200 || !strings.HasPrefix(a.body, "node ") {
			r.Errorf("%v", a)
		}
	})
	row(t, "M02 the port in the arguments", func(r *recorder) {
		s := serve(r, platform(r, `processPath="`+node(r)+`" arguments=".\server.js %HTTP_PLATFORM_PORT%"`, "", server))
		if a := s.get("/"); a.status != 200 || !strings.HasPrefix(a.body, "node ") {
			r.Errorf("%v", a)
		}
	})
	row(t, "M03 a program that never starts", func(r *recorder) {
		s := serve(r, platform(r, `processPath=".\childapp.exe" arguments="-exit 3" startupRetryCount="3" rapidFailsPerMinute="0"`, "", ""))
		want(r, "code", s.get("/").code(), "502.5")
		s.event(1020, "code 3")
		want(r, "attempts", s.count(1000), 4)
		// One start has failed, whatever number of attempts it had: that is the one that rapidFailsPerMinute counts.
		if a := s.get("/"); a.status != 502 || a.header.Get("Retry-After") == "" {
			r.Errorf("%v %v", a, a.header)
		}
		want(r, "attempts", s.count(1000), 4)
	})
	row(t, "M05 the stop of a program that knows nothing of IIS", func(r *recorder) {
		s := serve(r, platform(r, `processPath=".\childapp.exe"`, "", ""))
		pid := s.pid()
		s.touch("web.config")
		s.newPid(pid)
		s.gone(pid)
		s.printed("childapp got terminated")
		s.event(1030)
		want(r, "shutdown requests", s.count(1006), 0)
		stubborn := serve(r, siteFile(r, "shop", "path: /, root: "+platform(r, `processPath=".\childapp.exe" arguments="-ignore-term"`, "", "")+", stop: {timeout: 1s}"))
		pid = stubborn.pid()
		stubborn.root = stubborn.rootOf("/")
		stubborn.write("app_offline.htm", "closed")
		stubborn.gone(pid)
		stubborn.printed("childapp got terminated")
		stubborn.event(1005)
	})
}

// node is the program, without links: one may stand where the application's user cannot go.
func node(r *recorder) string {
	r.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		r.Skip("node is not on PATH")
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		r.Fatal(err)
	}
	return path
}

// platform makes a folder with a web.config that has httpPlatform, childapp and a script for node.
func platform(r *recorder, attributes, inner, script string) string {
	r.Helper()
	folder := child(r, "", "", "")
	text := strings.NewReplacer("aspNetCore", "httpPlatform", "AspNetCoreModuleV2", "httpPlatformHandler").Replace(webConfig(attributes, inner))
	lab.Folder(r, folder, ".", map[string]string{"web.config": text, "server.js": script})
	return folder
}
