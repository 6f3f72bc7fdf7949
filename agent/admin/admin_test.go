package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/meter"
	"github.com/ancora-fleet/ancora/dataplane/recycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counts are two sites of which one has an application.
func counts() []dataplane.SiteCounts {
	s := meter.NewSite()
	for range 4 {
		s.Begin(0)
	}
	s.End(0, 200, 3*time.Millisecond, 100, 1000, false)
	s.End(0, 503, 2*time.Second, 50, 200, true)
	s.End(0, 404, time.Hour, 50, 200, false)
	return []dataplane.SiteCounts{{Site: "blog", Counts: meter.NewSite().Counts()}, {
		Site: "shop", Counts: s.Counts(), LogDropped: 8, Applications: []dataplane.ApplicationCounts{{
			Application: "/api", Connects: 7, Starts: map[meter.Reason]uint64{meter.Failure: 2}, Recycles: map[recycle.Reason]uint64{recycle.Memory: 9},
			Load: app.Load{Queued: 3, QueueFull: 4, QueueTimeout: 5, NoInstance: 6},
		}},
	}}
}

func start(t *testing.T, dir string) *Server {
	t.Helper()
	return startWith(t, Config{RunDir: dir, Version: "v1", Counts: counts})
}

func startWith(t *testing.T, config Config) *Server {
	t.Helper()
	s := New(config)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// short gives a directory whose sockets have a path that is short enough.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "admin-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// get asks until somebody answers.
func get(t *testing.T, network, address, host, path string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	deadline := time.Now().Add(10 * time.Second)
	for {
		request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(request)
		if err == nil {
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			return res.StatusCode, string(body)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestMetrics(t *testing.T) {
	dir := filepath.Join(short(t), "run")
	start(t, dir)
	socket := filepath.Join(dir, SocketName)
	status, body := get(t, "unix", socket, "anything", "/metrics")
	if status != 200 {
		t.Fatal(status, body)
	}
	for _, line := range []string{
		`ancora_requests_total{code_class="2xx",site="shop"} 1`,
		`ancora_requests_total{code_class="3xx",site="shop"} 0`,
		`ancora_requests_total{code_class="4xx",site="shop"} 1`,
		`ancora_requests_total{code_class="5xx",site="shop"} 1`,
		`ancora_requests_total{code_class="2xx",site="blog"} 0`,
		`ancora_request_duration_seconds_bucket{site="shop",le="0.001"} 0`,
		`ancora_request_duration_seconds_bucket{site="shop",le="0.005"} 1`,
		`ancora_request_duration_seconds_bucket{site="shop",le="2.5"} 2`,
		`ancora_request_duration_seconds_bucket{site="shop",le="60"} 2`,
		`ancora_request_duration_seconds_bucket{site="shop",le="+Inf"} 3`,
		`ancora_request_duration_seconds_sum{site="shop"} 3602.003`,
		`ancora_request_duration_seconds_count{site="shop"} 3`,
		`ancora_requests_in_flight{site="shop"} 1`,
		`ancora_requests_aborted_total{site="shop"} 1`,
		`ancora_received_bytes_total{site="shop"} 200`,
		`ancora_sent_bytes_total{site="shop"} 1400`,
		`ancora_access_lines_dropped_total{site="shop"} 8`,
		`ancora_queue_length{application="/api",site="shop"} 3`,
		`ancora_rejected_total{application="/api",reason="queue_full",site="shop"} 4`,
		`ancora_rejected_total{application="/api",reason="queue_timeout",site="shop"} 5`,
		`ancora_rejected_total{application="/api",reason="no_instance",site="shop"} 6`,
		`ancora_upstream_connects_total{application="/api",site="shop"} 7`,
		`ancora_instance_starts_total{application="/api",reason="failure",site="shop"} 2`,
		`ancora_instance_starts_total{application="/api",reason="request",site="shop"} 0`,
		`ancora_recycles_total{application="/api",reason="memory",site="shop"} 9`,
		`ancora_recycles_total{application="/api",reason="idle",site="shop"} 0`,
		`version="v1"} 1`,
		`go_goroutines `,
		`process_resident_memory_bytes `,
		`go_sched_gomaxprocs_threads `,
	} {
		if !strings.Contains(body, line) {
			t.Errorf("no %s in\n%s", line, body)
		}
	}
	if status, body := get(t, "unix", socket, "anything", "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("%d %q", status, body)
	}
	if status, _ := get(t, "unix", socket, "anything", "/"); status != 404 {
		t.Error(status)
	}
}

// The socket is the user's own, replaces one that is dead, leaves one that lives, and is gone with the server.
func TestSocket(t *testing.T) {
	dir := short(t)
	path := filepath.Join(dir, SocketName)
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	first, err := listenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if _, err := listenSocket(path); err == nil || !strings.Contains(err.Error(), "another agent") {
		t.Errorf("taken from another: %v", err)
	}
	first.Close()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := listenSocket(filepath.Join(dir, strings.Repeat("x", 100), SocketName)); err == nil || !strings.Contains(err.Error(), "at most 107 bytes") {
		t.Errorf("%v", err)
	}
}

// The address comes and goes with the policy, and answers to this machine's own names only.
func TestAddress(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	_, port, _ := net.SplitHostPort(address)
	s := start(t, short(t))
	s.SetAddress(address)
	for _, host := range []string{"localhost", "localhost:" + port, "127.0.0.1:" + port, "[::1]:" + port, "127.0.0.1"} {
		if status, _ := get(t, "tcp", address, host, "/healthz"); status != 200 {
			t.Errorf("%s: %d", host, status)
		}
	}
	for _, host := range []string{"evil.example", "evil.example:" + port, "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil", "[::2]"} {
		if status, _ := get(t, "tcp", address, host, "/metrics"); status != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", host, status)
		}
	}
	s.SetAddress("")
	deadline := time.Now().Add(10 * time.Second)
	for {
		c, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatal("it still listens")
		}
		<-time.After(10 * time.Millisecond)
	}
}
