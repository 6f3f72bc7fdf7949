package scenario

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// The pairing token of an application that prints it and crashes is in nothing that an operator or a visitor is told, in
// no log and no command line, and never reaches the controller.
func TestTokenHidden(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Must("apply", "-f", withAccessLog(t, f.Site("shop", "role=web"), "json"), "--wait")
	var tokens []string
	for range 2 {
		tokens = append(tokens, printed(t, f))
		f.Get("web1", "shop", "/crash")
		lab.Eventually(t, func() string { // the crash may be noticed a moment later
			if a := f.Get("web1", "shop", "/"); a.Status != 200 {
				return strconv.Itoa(a.Status)
			}
			return ""
		})
	}
	if tokens[0] == tokens[1] {
		t.Errorf("both starts have the token %s", tokens[0])
	}
	told := map[string]string{"agent's log": web1.Log() + web1.Out(), "controller's log": f.Controller.Log() + f.Controller.Out()}
	for _, args := range []string{"get instances -o json", "get instances -o wide", "get sites -o yaml", "get hosts -o json", "describe site shop", "describe host web1", "logs shop", "logs shop --stream access"} {
		told[args] = f.Must(strings.Fields(args)...)
	}
	_, told["metrics"] = adminGet(t, web1.RunDir(), "/metrics")
	for _, pid := range append(lab.Children(web1.Pid()), web1.Pid()) {
		told["command line of "+strconv.Itoa(pid)] = read(t, "/proc/"+strconv.Itoa(pid)+"/cmdline")
	}
	if !strings.Contains(told["logs shop"], "does not match the expected pairing token") || !strings.Contains(told["describe site shop"], "shop") {
		t.Errorf("nothing is told: %q", told)
	}
	for _, token := range tokens {
		for what, text := range told {
			if strings.Contains(text, token) {
				t.Errorf("%s shows the token:\n%s", what, text)
			}
		}
		for _, file := range holding(t, f.ControllerData(), token) {
			t.Errorf("the controller has the token in %s", file)
		}
	}
}

// printed makes the application print its token, and gives it.
func printed(t *testing.T, f *lab.Fleet) (token string) {
	t.Helper()
	values := map[string]string{}
	for line := range strings.Lines(f.Get("web1", "shop", "/env").Body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	token = values["ASPNETCORE_TOKEN"]
	if a, err := lab.Try("127.0.0.1:"+values["PORT"], "/", ""); err != nil || a.Status != 400 || len(token) < 32 {
		t.Fatalf("without the token %q: %d, %v", token, a.Status, err)
	}
	return token
}

// holding gives the files below dir that hold the text.
func holding(t *testing.T, dir, text string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(text)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The page of a failed start shows developers what the application has said, and its token to nobody.
func TestTokenHiddenInPages(t *testing.T) {
	dir := lab.Dir(t)
	folder := lab.Folder(t, dir, "root", map[string]string{"web.config": inProcess("", envOf("ASPNETCORE_DETAILEDERRORS", "1"))})
	const script = `echo "token $ASPNETCORE_TOKEN of ${#ASPNETCORE_TOKEN} letters"; exit 3`
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", folder, "", "/bin/sh", "-c", script)))
	page := status(t, s.address, 500)
	if !strings.Contains(page, "token *** of 36 letters") {
		t.Errorf("the page shows the token, or not what was said: %s", page)
	}
}
