package scenario

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// adminGet asks the admin socket in a run directory.
func adminGet(t *testing.T, dir, path string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "admin.sock"))
	}}}
	res, err := client.Get("http://admin" + path)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// What visitors ask and what instances do can be read from the admin socket of a host.
func TestMetrics(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.Join("web1", "role=web")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	for range 3 {
		f.Get("web1", "shop", "/")
	}
	f.Get("web1", "shop", "/status/404")
	f.Get("web1", "shop", "/crash")
	lab.Eventually(t, func() string { // the crash may be noticed a moment later
		if a := f.Get("web1", "shop", "/"); a.Status != 200 {
			return fmt.Sprint(a.Status)
		}
		return ""
	})
	if a, err := lab.Try(web1.Address, "/", "unknown.example"); err != nil || a.Status != 404 {
		t.Errorf("%v %d", err, a.Status)
	}
	lab.Eventually(t, func() string {
		status, body := adminGet(t, web1.RunDir(), "/metrics")
		if status != 200 {
			return body
		}
		for _, line := range []string{
			`ancora_requests_total{code_class="4xx",site="shop"} 1`,
			`ancora_requests_total{code_class="4xx",site=""} 1`,
			`ancora_requests_in_flight{site="shop"} 0`,
			`ancora_instance_starts_total{application="/",reason="request",site="shop"} 1`,
			`ancora_instance_starts_total{application="/",reason="failure",site="shop"} 1`,
			`ancora_queue_length{application="/",site="shop"} 0`,
			`ancora_rejected_total{application="/",reason="queue_full",site="shop"} 0`,
		} {
			if !strings.Contains(body, line+"\n") {
				return "no " + line + " in\n" + body
			}
		}
		for _, name := range []string{"ancora_received_bytes_total", "ancora_sent_bytes_total", "ancora_request_duration_seconds_count"} {
			if !strings.Contains(body, name+`{site="shop"} `) || strings.Contains(body, name+`{site="shop"} 0`+"\n") {
				return name + " says nothing in\n" + body
			}
		}
		return ""
	})
	if status, body := adminGet(t, web1.RunDir(), "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("%d %q", status, body)
	}
	// The policy opens an address as well, while the agent runs.
	address := free(t)
	policy, err := os.ReadFile(web1.Policy)
	if err == nil {
		err = os.WriteFile(web1.Policy, append(policy, "admin: "+address+"\n"...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	lab.Eventually(t, func() string {
		a, err := lab.Try(address, "/metrics", "")
		if err != nil || a.Status != 200 || !strings.Contains(a.Body, `ancora_requests_in_flight{site="shop"} 0`) {
			return fmt.Sprint(err, a.Status, a.Body)
		}
		return ""
	})
	if a, err := lab.Try(address, "/metrics", "evil.example"); err != nil || a.Status != 421 {
		t.Errorf("%v %d", err, a.Status)
	}
}

// An agent that may use several processors uses one when one is enough, and says so.
func TestProcessors(t *testing.T) {
	dir := lab.Dir(t)
	lab.Folder(t, dir, "root", nil)
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText("shop", dir+"/root", "", lab.Bin(t, "childapp"))), "--processors", "2")
	lab.Eventually(t, func() string {
		if a := lab.Get(t, s.address, "/"); a.Status != 200 {
			return fmt.Sprint(a.Status, a.Body)
		}
		if _, body := adminGet(t, filepath.Join(dir, "data"), "/metrics"); !strings.Contains(body, "\ngo_sched_gomaxprocs_threads 1\n") {
			return body
		}
		return ""
	})
}

// free gives an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
