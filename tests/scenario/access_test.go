package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// withAccessLog adds a form to a site file.
func withAccessLog(t *testing.T, file, form string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append(text, "accessLog: "+form+"\n"...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// access waits until the access log of a site has so many lines.
func access(t *testing.T, f *lab.Fleet, n int) []string {
	t.Helper()
	var lines []string
	lab.Eventually(t, func() string {
		r := f.CLI("logs", "shop", "--stream", "access", "-o", "raw") // it may fail while the host is away
		lines = strings.Split(strings.TrimSuffix(r.Out, "\n"), "\n")
		if len(lines) < n {
			return fmt.Sprintf("%d lines of %d: %q", len(lines), n, lines)
		}
		return ""
	})
	return lines
}

// A site that asks for it has a line for each request, as a stream of its own, over the loss of a worker and a change of form.
func TestAccessLog(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	site := f.Site("shop", "role=web")
	f.Must("apply", "-f", withAccessLog(t, site, "json"), "--wait")
	for i := range 3 {
		f.Get("web1", "shop", fmt.Sprintf("/log?n=1&prefix=said&x=%d", i))
		access(t, f, i+1) // a line is written when the answer has gone: those of two connections may change places
	}
	app := siteProcess(t, web1.Address, "shop")
	access(t, f, 4)
	for _, w := range lab.Children(web1.Pid()) {
		if fmt.Sprint(w) != app {
			_ = syscall.Kill(w, syscall.SIGKILL)
		}
	}
	f.Get("web1", "shop", "/%22%0a%7f?after")
	lines := access(t, f, 5)
	var last struct {
		Time, Client, Method, Host, Path, Query, Protocol, UserAgent string
		Status                                                       int
		BytesIn, BytesOut                                            int64
		DurationMs                                                   float64
	}
	for i, line := range lines {
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if want := fmt.Sprintf("n=1&prefix=said&x=%d", i); i < 3 && (last.Path != "/log" || last.Query != want) {
			t.Errorf("line %d: %s", i, line)
		}
	}
	if last.Client != "127.0.0.1" || last.Method != "GET" || last.Host != "shop.example" || last.Query != "after" || last.Protocol != "HTTP/1.1" ||
		last.Status != 404 || last.BytesIn == 0 || last.BytesOut == 0 || last.DurationMs <= 0 || last.UserAgent == "" || last.Time == "" {
		t.Errorf("%+v", last)
	}
	if out := f.Must("logs", "shop"); strings.Contains(out, "userAgent") || !strings.Contains(out, "said") {
		t.Errorf("without a stream:\n%s", out)
	}
	if out := f.Must("logs", "shop", "--stream", "stdout,access"); !strings.Contains(out, "userAgent") || !strings.Contains(out, "said") {
		t.Errorf("both streams:\n%s", out)
	}
	if r := f.CLI("logs", "shop", "--stream", "access", "--application", "/"); r.Code == 0 || !strings.Contains(r.Errors, "the whole site's") {
		t.Errorf("%d %s", r.Code, r.Errors)
	}
	// Another form costs no instance.
	f.Must("apply", "-f", withAccessLog(t, f.Site("shop", "role=web"), "w3c"), "--wait")
	f.Get("web1", "shop", "/pid")
	lines = access(t, f, 10)
	if got := lines[5]; got != "#Software: ancora" {
		t.Errorf("%q", lines)
	}
	if got := lines[9]; !strings.Contains(got, " shop ") || !strings.Contains(got, " GET /pid - ") {
		t.Error(got)
	}
	if now := siteProcess(t, web1.Address, "shop"); now != app {
		t.Errorf("process %s runs, not %s: a change of the access log has replaced it", now, app)
	}
}

// A host alone prints the lines and answers on a socket in its data directory. A page of ours shows what it was about.
func TestServeAccessLog(t *testing.T) {
	dir := lab.Dir(t)
	lab.Folder(t, dir, "root", nil)
	text := siteText("shop", dir+"/root", "ready: {timeout: 1s}\n", lab.Bin(t, "childapp"), "-silent") + "accessLog: json\n"
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", text))
	if a := lab.Get(t, s.address, "/x"); a.Status != 502 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	lab.Eventually(t, func() string {
		if out := s.Out(); !strings.Contains(out, `"path":"/x"`) || !strings.Contains(out, `"status":502,"substatus":5,`) {
			return "no line: " + out
		}
		return ""
	})
	lab.Eventually(t, func() string {
		status, body := adminGet(t, filepath.Join(dir, "data"), "/metrics")
		if status != 200 || !strings.Contains(body, `ancora_rejected_total{application="/",reason="no_instance",site="shop"} 1`) {
			return body
		}
		return ""
	})
}

// Who follows gets every line once, also when the worker that writes them is killed in between.
func TestAccessLogFollow(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Must("apply", "-f", withAccessLog(t, f.Site("shop", "role=web"), "combined"), "--wait")
	logs := f.Background("logs", "shop", "--stream", "access", "-f")
	line := func(i int) string { return fmt.Sprintf(`"GET /pid?%d HTTP/1.1" 200 `, i) }
	for i := range 6 {
		app := strings.TrimSpace(f.Get("web1", "shop", fmt.Sprintf("/pid?%d", i)).Body)
		lab.Eventually(t, func() string {
			if strings.Contains(logs.Out(), line(i)) {
				return ""
			}
			return "not followed: " + logs.Out() + logs.Log()
		})
		if i%2 == 1 {
			for _, w := range lab.Children(web1.Pid()) {
				if fmt.Sprint(w) != app {
					_ = syscall.Kill(w, syscall.SIGKILL)
				}
			}
		}
	}
	for i := range 6 {
		if n := strings.Count(logs.Out(), line(i)); n != 1 {
			t.Errorf("line %d comes %d times:\n%s", i, n, logs.Out())
		}
	}
}
