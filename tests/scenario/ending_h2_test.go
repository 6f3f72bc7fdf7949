package scenario

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/secure/securetest"
	"github.com/ancora-fleet/ancora/tests/lab"
)

// What TestServeEndsEndlessAnswers shows of HTTP/1.1 holds for a client that speaks HTTP/2, whatever the application speaks: its
// stream is reset, its connection is not, and the application ends by itself.
func TestServeEndsEndlessStreams(t *testing.T) {
	const stream, events = "/stream?n=1000000&gap=100ms&type=text/event-stream", "/sse?count=1000000&ms=100"
	t.Setenv("DOTNET_ROOT", filepath.Join(os.Getenv("ANCORA_DOTNET"), "runtime"))
	probe := func(more string) func(*testing.T, string) (string, string) {
		return func(t *testing.T, dir string) (string, string) {
			top := lab.Dotnet(t)
			copied(t, top, dir, "root", "probe", "", "")
			return siteText("shop", dir+"/root", "drain: 1s\nstop: {timeout: 6s}\n"+more), events
		}
	}
	child := func(t *testing.T, dir string) (string, string) {
		root := lab.Folder(t, dir, "root", map[string]string{"web.config": "<configuration/>"})
		return siteText("shop", root, "drain: 1s\nstop: {timeout: 4s}\n", lab.Bin(t, "childapp")), stream
	}
	for name, c := range map[string]struct {
		site     func(t *testing.T, dir string) (text, path string)
		listener func(t *testing.T, dir, text string) (*served, *http.Transport, string)
	}{
		"TLS, childapp":               {child, overTLS},
		"prior knowledge, childapp":   {child, priorKnowledge},
		"TLS, dotnet":                 {probe(""), overTLS},
		"prior knowledge, dotnet h2c": {probe("protocol: h2c\nenv: {Kestrel__EndpointDefaults__Protocols: Http2}\n"), priorKnowledge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := lab.Dir(t)
			text, path := c.site(t, dir)
			s, transport, url := c.listener(t, dir, text)
			t.Cleanup(transport.CloseIdleConnections)
			client := &http.Client{Transport: transport, Timeout: 2 * lab.Deadline}
			endless, _ := over2(t, client, url+path)
			defer endless.Body.Close()
			lab.Write(t, dir+"/root", "web.config", read(t, dir+"/root/web.config")+"<!-- touched -->")
			_, err := io.Copy(io.Discard, endless.Body)
			if err == nil || !strings.Contains(err.Error(), "INTERNAL_ERROR") {
				t.Errorf("the client sees %v", err)
			}
			s.event(t, `"stopped"`, "exit code 0") // who is killed has none
			next, reused := over2(t, client, url+"/")
			next.Body.Close()
			if !reused {
				t.Error("the connection ended with the stream")
			}
		})
	}
}

// over2 is a GET of shop.example over HTTP/2 that is answered well; it says too whether its connection had been used before.
func over2(t *testing.T, client *http.Client, url string) (_ *http.Response, reused bool) {
	t.Helper()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "shop.example"
	a, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if a.StatusCode != 200 || a.ProtoMajor != 2 {
		t.Fatalf("%s %s", a.Proto, a.Status)
	}
	return a, reused
}

// overTLS serves a site to clients that agree on HTTP/2 within TLS.
func overTLS(t *testing.T, dir, text string) (*served, *http.Transport, string) {
	t.Helper()
	ca := securetest.NewAuthority(t)
	cert, key := securetest.Write(t, dir, "shop", ca.Issue(time.Hour, "shop.example"))
	text = strings.Replace(text, "  - listener: http", fmt.Sprintf("  - {listener: https, hostnames: [shop.example], tls: {cert: %s, key: %s}}", cert, key), 1)
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", text), "--listen", "https=127.0.0.1:0")
	for part := range strings.SplitSeq(s.address, ",") {
		if address, ok := strings.CutPrefix(part, "https="); ok {
			s.address = address
		}
	}
	return s, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "shop.example"}, ForceAttemptHTTP2: true}, "https://" + s.address
}

// priorKnowledge has a host of a fleet serve a site to clients that know that they may speak HTTP/2 without TLS.
func priorKnowledge(t *testing.T, _, text string) (*served, *http.Transport, string) {
	t.Helper()
	f := lab.NewFleet(t)
	web1 := &lab.Host{Name: "web1", Data: f.Dir + "/data", Policy: f.Dir + "/agent.yaml"}
	if r := f.JoinOnly(web1, f.Token("--host", "web1")); r.Code != 0 {
		t.Fatal(r.Errors)
	}
	policy := strings.NewReplacer(
		"http: 127.0.0.1:0", `http: {address: "127.0.0.1:0", protocols: [http/1.1, h2c]}`, f.Dir, os.TempDir()).Replace(read(t, web1.Policy))
	if err := os.WriteFile(web1.Policy, []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	f.Run(web1)
	f.Connected("web1")
	f.Must("apply", "-f", lab.Write(t, f.Dir, "site.yaml", text), "--wait")
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &served{web1.Program, web1.Address, f.Dir}, &http.Transport{Protocols: protocols}, "http://" + web1.Address
}
