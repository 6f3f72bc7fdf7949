package scenario

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// onPath puts the folder of a program first on PATH, without links: one may stand where the application's user cannot go.
func onPath(t *testing.T, program string) {
	t.Helper()
	t.Setenv("PATH", filepath.Dir(program)+":"+os.Getenv("PATH"))
}

// A folder with a package.json is served by node itself, without npm or a shell, and serve says by what it was chosen.
func TestServePackage(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not on PATH")
	}
	if node, err = filepath.EvalSymlinks(node); err != nil {
		t.Fatal(err)
	}
	onPath(t, node)
	const app = `console.log('title ' + process.title); require('http').createServer((q, s) => s.end(process.pid + ' ' + process.argv.slice(2).join(' '))).listen(process.env.PORT, '127.0.0.1')`
	for name, c := range map[string]struct {
		manifest, by, says string
	}{
		"start": {`{"name": "shop", "scripts": {"start": "node --title=shop app.js 'two words'"}}`, "scripts.start of package.json", " two words"},
		"main":  {`{"name": "shop", "main": "app"}`, "package.json, which has no scripts.start", " "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := lab.Dir(t)
			root := lab.Folder(t, dir, "shop", map[string]string{"package.json": c.manifest, "app.js": app})
			checked(t, 0, []string{"note starts " + node + " ", "note there is no web.config: node "}, root)
			s := serve(t, dir, root)
			a := lab.Get(t, s.address, "/")
			pids := instances(t, dir+"/data")
			if a.Status != 200 || len(pids) != 1 || !strings.HasSuffix(a.Body, c.says) {
				t.Fatalf("%d %s, processes %v\n%s", a.Status, a.Body, pids, s.Log())
			}
			if program, err := os.Readlink("/proc/" + strings.Fields(a.Body)[0] + "/exe"); err != nil || program != node || !strings.HasPrefix(a.Body, strings.Fields(a.Body)[0]) {
				t.Errorf("%s is started, %v", program, err)
			}
			s.says(t, "program chosen", `by="`+c.by+`"`, "profile=generic")
			s.Stop(t)
			if left := instances(t, dir+"/data"); len(left) > 0 {
				t.Errorf("processes %v are left", left)
			}
		})
	}
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "shop", map[string]string{"package.json": `{"scripts": {"start": "node build.js && node app.js"}}`, "app.js": app})
	checked(t, 1, []string{`error there is no web.config, and package.json: scripts.start "node build.js && node app.js" needs a shell, and none is used: write what it does as command in .ancora/site.yaml`}, root)
}

const pythonApp = `import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"python %d" % os.getpid()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
`

// A Python application runs from a web.config with httpPlatform as it was written for Windows, and without one is told what to do.
func TestServePython(t *testing.T) {
	python := realPython(t)
	onPath(t, python)
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "shop", map[string]string{"app.py": pythonApp})
	checked(t, 1, []string{"error there is no web.config, and the folder " + root + " holds nothing to start: "}, root)
	if out := checked(t, 1, nil, root); !strings.Contains(out, "It looks like an application of Python (app.py): write command: [python3, app.py] in its site file") {
		t.Error(out)
	}
	lab.Write(t, root, "web.config", `<configuration><system.webServer>
<handlers><add name="httpPlatform" path="*" verb="*" modules="httpPlatformHandler" resourceType="Unspecified" /></handlers>
<httpPlatform processPath="C:\Python311\python.exe" arguments=".\app.py %HTTP_PLATFORM_PORT%" stdoutLogEnabled="false" />
</system.webServer></configuration>`)
	checked(t, 0, []string{"note starts " + filepath.Dir(python) + "/python3 "}, root)
	s := serve(t, dir, root)
	if a := lab.Get(t, s.address, "/"); a.Status != 200 || !strings.HasPrefix(a.Body, "python ") {
		t.Errorf("%d %s\n%s", a.Status, a.Body, s.Log())
	}
	s.says(t, "program chosen", `by="httpPlatform of web.config"`)
	s = serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", root, "profile: generic\n", "python3", "app.py", "${PORT}")), "--data", dir+"/other")
	if a := lab.Get(t, s.address, "/"); a.Status != 200 || !strings.HasPrefix(a.Body, "python ") {
		t.Errorf("by a site file: %d %s\n%s", a.Status, a.Body, s.Log())
	}
	s.says(t, "program chosen", `by="command of the site"`)
}

// realPython gives a Python that every user can execute: what stands on PATH may be a script in somebody's home.
func realPython(t *testing.T) string {
	t.Helper()
	for _, dir := range append([]string{"/usr/bin", "/usr/local/bin"}, filepath.SplitList(os.Getenv("PATH"))...) {
		file, err := filepath.EvalSymlinks(filepath.Join(dir, "python3"))
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), "python3")); err != nil || strings.HasPrefix(file, "/root/") || strings.HasPrefix(file, "/home/") {
			continue
		}
		return file
	}
	t.Skip("python3 is not where every user can execute it")
	return ""
}
