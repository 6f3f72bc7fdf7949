package scenario

import (
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// A folder may bring its site along, with roots that are relative to it.
func TestServeFolderWithSite(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "shop", nil)
	lab.Folder(t, root, "api", nil)
	lab.Folder(t, root, ".ancora", map[string]string{"site.yaml": `apiVersion: ancora/v1
kind: Site
name: own
placement: {hosts: all}
bindings: [{listener: http}]
applications:
  - command: [` + lab.Bin(t, "childapp") + `, -say, hello]
  - {path: /api, root: api, command: [` + lab.Bin(t, "childapp") + `, -say, api]}
`})
	s := serve(t, dir, root)
	for path, want := range map[string]string{"/": "hello", "/api/": "api"} {
		if a := lab.Get(t, s.address, path); a.Status != 200 || !strings.Contains(a.Body, want) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	lab.Eventually(t, func() string { // its output takes another way than its answers
		if out := s.Out(); !strings.Contains(out, "own/ |") || !strings.Contains(out, "own/api |") {
			return out
		}
		return ""
	})
}

// serve --profile switches IIS integration off for what names no profile; what there is no such profile for is a usage error.
func TestServeProfile(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", nil)
	file := lab.Write(t, dir, "site.yaml", siteText("shop", root, "", lab.Bin(t, "childapp")))
	s := serve(t, dir, file, "--profile", "generic")
	env := lab.Get(t, s.address, "/env").Body
	if !strings.Contains(env, "\nPORT=") || strings.Contains(env, "ASPNETCORE_TOKEN=") {
		t.Errorf("environment:\n%s", env)
	}
	r := lab.Run(t, nil, lab.Bin(t, "ancora-agent"), "serve", file, "--profile", "iis")
	if r.Code != 2 || !strings.Contains(r.Errors, `--profile: applications[0].profile: "iis" is not known: aspnetcore or generic`) {
		t.Errorf("%d %s", r.Code, r.Errors)
	}
}
