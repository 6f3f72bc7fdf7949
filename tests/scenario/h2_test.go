package scenario

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// A listener whose policy says so speaks HTTP/2 with prior knowledge too: the same doors answer, running, offline and
// missing, and the application sees the same fields as over HTTP/1.1.
func TestPriorKnowledge(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.NewHost("web1")
	if r := f.JoinOnly(web1, f.Token("--host", "web1", "--label", "role=web")); r.Code != 0 {
		t.Fatal(r.Errors)
	}
	policy := strings.Replace(read(t, web1.Policy), "http: 127.0.0.1:0", `http: {address: "127.0.0.1:0", protocols: [http/1.1, h2c]}`, 1)
	if !strings.Contains(policy, "h2c") {
		t.Fatalf("the policy is another:\n%s", policy)
	}
	if err := os.WriteFile(web1.Policy, []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	f.Run(web1)
	f.Connected("web1")
	f.Must("apply", "-f", f.Site("shop", "role=web"), "--wait")
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: lab.Deadline}
	ask := func(method, site, path, body string) (*http.Response, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+web1.Address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = site + ".example"
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.ProtoMajor != 2 {
			t.Errorf("answered by %s", response.Proto)
		}
		return response, string(text)
	}
	if r, text := ask("GET", "shop", "/headers", ""); r.StatusCode != 200 || !strings.Contains(text, "Host: shop.example") || !strings.Contains(text, "X-Forwarded-Proto: http") || !strings.Contains(text, "X-Forwarded-For: 127.0.0.1") {
		t.Errorf("%d %s", r.StatusCode, text)
	}
	if r, text := ask("POST", "shop", "/echo", strings.Repeat("x", 200_000)); r.StatusCode != 200 || len(text) != 200_000 {
		t.Errorf("%d, %d bytes", r.StatusCode, len(text))
	}
	if r, _ := ask("GET", "nothing", "/", ""); r.StatusCode != 404 {
		t.Errorf("no site: %d", r.StatusCode)
	}
	f.Must("offline", "shop")
	if r, _ := ask("GET", "shop", "/", ""); r.StatusCode != 503 || r.Header.Get("X-Ancora-Offline") == "" {
		t.Errorf("offline: %d %v", r.StatusCode, r.Header)
	}
	if a := f.Get("web1", "shop", "/"); a.Status != 503 {
		t.Errorf("over HTTP/1.1: %d", a.Status)
	}
}
