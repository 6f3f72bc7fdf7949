package scenario

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// configText is a web.config as publishing writes it, but for what is inside system.webServer.
func configText(inherit bool, inner string) string {
	return fmt.Sprintf("<configuration>\n<location path=\".\" inheritInChildApplications=\"%v\"><system.webServer>\n%s\n</system.webServer></location>\n</configuration>\n", inherit, inner)
}

// variables is an aspNetCore section that sets some, NAME=VALUE.
func variables(pairs ...string) string {
	text := `<aspNetCore processPath="unused"><environmentVariables>`
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		text += fmt.Sprintf("<environmentVariable name=%q value=%q/>", name, value)
	}
	return text + `</environmentVariables></aspNetCore>`
}

// has waits until an application's environment has a line, or has it not any more.
func (s *served) has(t *testing.T, path, line string, want bool) {
	t.Helper()
	lab.Eventually(t, func() string {
		if body := lab.Get(t, s.address, path+"env").Body; strings.Contains("\n"+body, "\n"+line+"\n") != want {
			return fmt.Sprintf("%s: %q is there: %v, in\n%s", path, line, !want, body)
		}
		return ""
	})
}

// twoApplications serves childapp at / and at /stock, each with a folder and a web.config of its own.
func twoApplications(t *testing.T, top, stock string) *served {
	t.Helper()
	dir := lab.Dir(t)
	text := siteText("shop", lab.Folder(t, dir, "top", map[string]string{"web.config": top}), "", lab.Bin(t, "childapp"))
	text += fmt.Sprintf("  - path: /stock\n    root: %s\n    command: [%q]\n", lab.Folder(t, dir, "stock", map[string]string{"web.config": stock}), lab.Bin(t, "childapp"))
	return serve(t, dir, lab.Write(t, dir, "site.yaml", text))
}

// A location of the file above that names the application below is that one's, and is live as well.
func TestLocationOfSubApplication(t *testing.T) {
	top := func(value string) string {
		located := strings.Replace(configText(true, variables("Located="+value)), `path="."`, `path="stock"`, 1)
		return strings.Replace(located, "<configuration>", "<configuration><system.webServer>"+variables("Above=1")+"</system.webServer>", 1)
	}
	s := twoApplications(t, top("1"), configText(false, variables("Own=1")))
	for _, line := range []string{"Above=1", "Located=1", "Own=1"} {
		s.has(t, "/stock/", line, true)
	}
	s.has(t, "/", "Above=1", true)
	s.has(t, "/", "Located=1", false)
	lab.Write(t, s.dir, "top/web.config", top("2"))
	s.has(t, "/stock/", "Located=2", true)
}

// F05, D8: a file that is broken above leaves both as they are; mended it counts for both.
func TestSubApplicationsBroken(t *testing.T) {
	s := twoApplications(t, configText(true, variables("Above=1")), configText(false, variables("Own=1")))
	s.has(t, "/stock/", "Above=1", true)
	top, stock := pid(t, s.address), lab.Get(t, s.address, "/stock/pid").Body
	lab.Write(t, s.dir, "top/web.config", "<configuration>")
	lab.Eventually(t, func() string {
		if log := s.Log(); !strings.Contains(log, "application /: ") || !strings.Contains(log, "application /stock: ") || !strings.Contains(log, "top/web.config:1:") {
			return log
		}
		return ""
	})
	if now := lab.Get(t, s.address, "/stock/pid").Body; now != stock || pid(t, s.address) != top {
		t.Error("a broken file touched what runs")
	}
	lab.Write(t, s.dir, "top/web.config", configText(true, variables("Above=2")))
	s.has(t, "/stock/", "Above=2", true)
	s.has(t, "/", "Above=2", true)
}

// At the first start a file that cannot be used is 500.19, or 500.0 for what the module finds wrong; the other applications of
// the site run; the mended file is enough. The reason is in the event, and in the page only in Development.
func TestBrokenAtStart(t *testing.T) {
	for name, c := range map[string]struct{ config, code, says string }{
		"500.19 comes before 500.0": {configText(false, `<aspNetCore hostingModel="both" x="y"/>`), "500.19", "is no attribute"},
		"no XML":                    {"<configuration", "500.19", "is not XML"},
		"a document type":           {"<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\">]><configuration/>", "500.19", "document type"},
		"10 MB":                     {"<configuration>" + strings.Repeat(" ", 10<<20) + "</configuration>", "500.19", "at most 1048576"},
		"200 levels":                {"<configuration>" + strings.Repeat("<a>", 300) + strings.Repeat("</a>", 300) + "</configuration>", "500.19", "nested more than"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := lab.Dir(t)
			text := siteText("shop", lab.Folder(t, dir, "root", map[string]string{"web.config": c.config}), "")
			text += fmt.Sprintf("  - path: /other\n    root: %s\n    command: [%q]\n", lab.Folder(t, dir, "other", nil), lab.Bin(t, "childapp"))
			s := serve(t, dir, lab.Write(t, dir, "site.yaml", text))
			a := lab.Get(t, s.address, "/")
			if got := a.Header.Get("X-Ancora-Error"); got != c.code || fmt.Sprint(a.Status) != c.code[:3] || !strings.Contains(a.Body, "HTTP Error "+c.code) {
				t.Errorf("%d %q %s", a.Status, got, a.Body)
			}
			if strings.Contains(a.Body, c.says) {
				t.Errorf("visitors are told: %s", a.Body)
			}
			s.says(t, c.says, "web.config")
			s.event(t, "[1034]", c.says, c.code)
			if strings.HasPrefix(c.config, configText(false, "")[:20]) { // else those below have nothing to read either
				if a := lab.Get(t, s.address, "/other/"); a.Status != 200 {
					t.Errorf("the other application: %d %s", a.Status, a.Body)
				}
			}
			lab.Write(t, dir, "root/web.config", configText(false, fmt.Sprintf(`<aspNetCore processPath=%q/>`, lab.Bin(t, "childapp"))))
			lab.Eventually(t, func() string {
				if a := lab.Get(t, s.address, "/"); a.Status != 200 {
					return fmt.Sprintf("%d %s", a.Status, a.Body)
				}
				return ""
			})
			if n := strings.Count(s.Log(), "site rejected"); n != 1 {
				t.Errorf("it is told %d times:\n%s", n, s.Log())
			}
		})
	}
}

// Who asks for it by the site's own variables sees the reason, escaped.
func TestBrokenInDevelopment(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", map[string]string{"web.config": configText(false, `<aspNetCore processPath="a" colour="&lt;b>"/>`)})
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", root, "env: {ASPNETCORE_ENVIRONMENT: Development}\n")))
	if a := lab.Get(t, s.address, "/"); a.Status != 500 || !strings.Contains(a.Body, "web.config:3:29: colour=&#34;&lt;b&gt;&#34;: is no attribute") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// A pipe in place of the file holds nobody up.
func TestConfigIsNoPipe(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", nil)
	if err := syscall.Mkfifo(filepath.Join(root, "web.config"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", root, "", lab.Bin(t, "childapp"))))
	if a := lab.Get(t, s.address, "/"); a.Header.Get("X-Ancora-Error") != "500.19" {
		t.Errorf("%d %v\n%s", a.Status, a.Header, s.Log())
	}
	s.says(t, "is no regular file")
}

// event waits for a line that has all these words in what is kept of the applications.
func (s *served) event(t *testing.T, words ...string) {
	t.Helper()
	lab.Eventually(t, func() string {
		var all strings.Builder
		err := filepath.WalkDir(s.dir+"/data/captures", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			all.Write(content)
			return err
		})
		for line := range strings.Lines(all.String()) {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
				return ""
			}
		}
		return fmt.Sprintf("no line has %q, %v:\n%s", words, err, all.String())
	})
}

// The folder of an application is only read: a share that nobody may write to will do, and neither a start, the loss of a worker nor
// another agent changes a thing in it.
func TestFolderIsLeftAlone(t *testing.T) {
	dir := lab.Dir(t)
	root := lab.Folder(t, dir, "root", map[string]string{
		"web.config": configText(true, fmt.Sprintf(`<aspNetCore processPath=%q hostingModel="outofprocess" stdoutLogEnabled="true" stdoutLogFile=".\logs\stdout"/>`, lab.Bin(t, "childapp"))),
		"data.txt":   "data",
	})
	if err := os.Chmod(root, 0o555); err != nil {
		t.Fatal(err)
	}
	before := tree(t, root)
	for range 2 {
		s := serve(t, dir, root)
		status(t, s.address, 200)
		s.event(t, "[1004]", "logs")
		killWorker(t, s.Program, dir+"/data")
		status(t, s.address, 200)
		s.Stop(t)
		s.Wait(t)
	}
	if after := tree(t, root); after != before {
		t.Errorf("the folder was\n%sand is\n%s", before, after)
	}
}

// tree lists what is in a folder, with sizes, modes and times.
func tree(t *testing.T, root string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(&all, path, info.Mode(), info.Size(), info.ModTime())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
