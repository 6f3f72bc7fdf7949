package scenario

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// configText is a web.config as publishing writes it, but for what is inside system.webServer.
func configText(inherit bool, inner string) string {
	return fmt.Sprintf("<configuration>\n<location path=\".\" inheritInChildApplications=\"%v\"><system.webServer>\n%s\n</system.webServer></location>\n</configuration>\n", inherit, inner)
}

// Requests that no handler sends to the application are 404 with our page, start nothing, and a note says what is sent.
func TestHandlerPaths(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", map[string]string{"index.html": "a file", "web.config": configText(false,
		`<handlers><add name="a" path="api/*" verb="GET,POST" modules="AspNetCoreModuleV2"/><add name="b" path="*.map" modules="AspNetCoreModuleV2"/></handlers>`)})
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", root, "", lab.Bin(t, "childapp"))))
	for _, path := range []string{"/", "/index.html", "/api", "/x/api/y"} {
		a := lab.Get(t, s.address, path)
		if a.Status != 404 || !strings.Contains(a.Body, "does not answer at this address") {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if running := instances(t, dir+"/data"); len(running) > 0 {
		t.Errorf("processes %v were started", running)
	}
	for _, path := range []string{"/api/", "/API/x", "/x/y.map"} {
		// The application has no such page either, and says so in its own words.
		if a := lab.Get(t, s.address, path); a.Body != "404 page not found\n" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if got := raw(t, s.address, "DELETE /api/x HTTP/1.1\r\nHost: x\r\n\r\n"); got != "HTTP/1.1 404" {
		t.Errorf("DELETE: %q", got)
	}
	if log := s.Log(); !strings.Contains(log, "api/*") || !strings.Contains(log, "GET,POST") {
		t.Errorf("nothing says what is sent to the application:\n%s", log)
	}
	// The file is live: without handlers everything is the application's.
	lab.Write(t, root, "web.config", configText(false, ""))
	lab.Eventually(t, func() string {
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			return fmt.Sprintf("%d %s", a.Status, a.Body)
		}
		return ""
	})
}
