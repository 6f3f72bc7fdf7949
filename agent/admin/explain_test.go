package admin

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/explain"
)

// ask sends a form.
func ask(t *testing.T, network, address string, form url.Values) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	res, err := client.PostForm("http://localhost"+ExplainPath, form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// Who may open the socket may ask; by TCP, where every user of the host may, nobody can.
func TestExplain(t *testing.T) {
	dir := filepath.Join(short(t), "run")
	asked := make(chan explain.Question, 1)
	s := startWith(t, Config{RunDir: dir, Counts: counts, Explain: func(q explain.Question) *explain.Trail {
		asked <- q
		trail := &explain.Trail{Site: q.Site}
		trail.Stop(explain.Rules, 404, 6, "no")
		return trail
	}})
	socket := filepath.Join(dir, SocketName)
	get(t, "unix", socket, "anything", "/healthz")
	status, body := ask(t, "unix", socket, url.Values{"url": {"https://shop.test/a?b"}, "site": {"shop"}, "method": {"PUT"}, "listener": {"https"}, "client": {"10.0.0.1"}})
	want := explain.Question{Site: "shop", Scheme: "https", Authority: "shop.test", Target: "/a?b", Method: "PUT", Listener: "https", Client: netip.MustParseAddr("10.0.0.1")}
	if status != 200 || !strings.Contains(body, `"substatus":6`) {
		t.Fatalf("%d %s", status, body)
	}
	if got := <-asked; got != want {
		t.Errorf("%+v", got)
	}
	for what, form := range map[string]url.Values{
		"neither http":    {"url": {"shop.test?hush"}},
		"address is none": {"url": {"http://shop.test/?hush"}, "client": {"me"}},
		"method has":      {"url": {"http://shop.test/?hush"}, "method": {strings.Repeat("a", 65)}},
	} {
		if status, body := ask(t, "unix", socket, form); status != 400 || !strings.Contains(body, what) || strings.Contains(body, "hush") {
			t.Errorf("%s: %d %s", what, status, body)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	ln.Close()
	s.SetAddress(address)
	get(t, "tcp", address, "localhost", "/healthz")
	if status, body := ask(t, "tcp", address, url.Values{"url": {"http://shop.test/"}}); status != 404 && status != 405 {
		t.Errorf("by TCP: %d %s", status, body)
	}
}
