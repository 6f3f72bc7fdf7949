package scenario

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/secure/securetest"
	"github.com/ancora-fleet/ancora/tests/lab"
)

// webSocket sends a frame through TLS and gets it back.
func webSocket(t *testing.T, address string, c *tls.Config) {
	t.Helper()
	conn, err := tls.Dial("tcp", address, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(lab.Deadline))
	fmt.Fprintf(conn, "%s\r\nHost: shop.example\r\n\r\n", handshake)
	in := bufio.NewReader(conn)
	if a, err := http.ReadResponse(in, nil); err != nil || a.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(a, err)
	}
	conn.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'})
	got := make([]byte, 4)
	if _, err := io.ReadFull(in, got); err != nil || string(got) != "\x81\x02hi" {
		t.Errorf("%q %v", got, err)
	}
}

// A site has certificates from files of its host: visitors come by TLS, those who do not are sent there, the status says
// when the certificate ends, a renewed one is in force without anybody's doing, and a broken one is told and changes nothing.
func TestTLS(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.NewHost("web1")
	if r := f.JoinOnly(web1, f.Token("--host", "web1", "--label", "role=web")); r.Code != 0 {
		t.Fatal(r.Errors)
	}
	policy := strings.Replace(read(t, web1.Policy), "http: 127.0.0.1:0", "http: 127.0.0.1:0\n  https: 127.0.0.1:0", 1)
	if err := os.WriteFile(web1.Policy, []byte(policy), 0o644); err != nil {
		t.Fatal(err)
	}
	f.Run(web1)
	f.Connected("web1")
	addresses := map[string]string{}
	for part := range strings.SplitSeq(web1.Ready(t)["address"], ",") {
		name, address, _ := strings.Cut(part, "=")
		addresses[name] = address
	}
	web1.Address = addresses["http"]

	ca := securetest.NewAuthority(t)
	cert, key := securetest.Write(t, f.Dir, "shop", ca.Issue(10*24*time.Hour, "shop.example", "first"))
	authority := lab.Write(t, f.Dir, "ca.crt", string(ca.PEM()))
	file := f.Site("shop", "role=web")
	secured := strings.Replace(read(t, file), "bindings: [{listener: http, hostnames: [shop.example]}]", fmt.Sprintf(`bindings:
  - {listener: http, hostnames: [shop.example], redirect: https}
  - {listener: https, hostnames: [shop.example], tls: {cert: %s, key: %s, clientCert: {mode: request, ca: %s}}}`, cert, key, authority), 1)
	broken := strings.Replace(secured, "key: "+key, "key: "+cert, 1)

	if r := f.CLI("apply", "-f", lab.Write(t, f.Dir, "broken.yaml", broken), "--wait"); r.Code == 0 || !strings.Contains(r.Out+r.Errors, cert) {
		t.Errorf("a certificate as its own key: %d %s %s", r.Code, r.Out, r.Errors)
	}
	f.Must("apply", "-f", lab.Write(t, f.Dir, "secured.yaml", secured), "--wait")

	client := func(c *tls.Config) *http.Client {
		c.RootCAs, c.ServerName = ca.Pool(), "shop.example"
		return &http.Client{Timeout: lab.Deadline, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: c, ForceAttemptHTTP2: c.MaxVersion == 0}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	ask := func(c *http.Client, url string) (*http.Response, string, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "shop.example"
		request.Header.Set("MS-ASPNETCORE-CLIENTCERT", "forged")
		a, err := c.Do(request)
		if err != nil {
			return nil, "", err
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		return a, string(text), err
	}
	anyone, known := client(&tls.Config{}), client(&tls.Config{MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{ca.Issue(time.Hour, "visitor")}})
	url := "https://" + addresses["https"] + "/headers"
	if a, text, err := ask(anyone, url); err != nil || a.StatusCode != 200 || a.ProtoMajor != 2 || !strings.Contains(text, "X-Forwarded-Proto: https") || strings.Contains(strings.ToUpper(text), "CLIENTCERT") {
		t.Errorf("%v %v %s", a, err, text)
	}
	if a, text, err := ask(known, url); err != nil || a.StatusCode != 200 || a.ProtoMajor != 1 || strings.Contains(text, "forged") || !strings.Contains(strings.ToUpper(text), "MS-ASPNETCORE-CLIENTCERT: MII") {
		t.Errorf("%v %v %s", a, err, text)
	}
	for _, c := range []*http.Client{anyone, known} { // long enough to go past the proxy where that is possible
		if a, text, err := ask(c, "https://"+addresses["https"]+"/bytes?n=5000000"); err != nil || len(text) != 5_000_000 {
			t.Errorf("%v %v %d bytes", a, err, len(text))
		}
	}
	webSocket(t, addresses["https"], &tls.Config{RootCAs: ca.Pool(), ServerName: "shop.example"})
	_, port, _ := strings.Cut(addresses["https"], ":")
	if a, _, err := ask(anyone, "http://"+addresses["http"]+"/a?b"); err != nil || a.StatusCode != 301 || a.Header.Get("Location") != "https://shop.example:"+port+"/a?b" {
		t.Errorf("redirect: %v %v", a, err)
	}
	if a, _, err := ask(anyone, "http://"+addresses["http"]+"/.well-known/acme-challenge/x"); err != nil || a.StatusCode != 404 {
		t.Errorf("challenge: %v %v", a, err)
	}
	if a, _, err := ask(anyone, "http://"+addresses["https"]+"/"); err == nil && a.StatusCode == 200 {
		t.Error("the listener answers without TLS")
	}
	describe := func(want string) {
		t.Helper()
		lab.Eventually(t, func() string {
			if out := f.Must("describe", "site", "shop", "--host", "web1"); !strings.Contains(out, want) {
				return "no " + want + " in " + out
			}
			return ""
		})
	}
	describe("WARNING: the certificate of shop.example (" + cert + ") expires at ")

	// Offline is proven through TLS too.
	f.Must("offline", "shop", "--message", "Back soon")
	if a, _, err := ask(anyone, url); err != nil || a.StatusCode != 503 || a.Header.Get("X-Ancora-Offline") == "" {
		t.Errorf("offline: %v %v", a, err)
	}
	f.Must("online", "shop")
	lab.Eventually(t, func() string { // it runs again: events are of its newest run
		if a, _, err := ask(anyone, url); err != nil || a.StatusCode != 200 {
			return fmt.Sprintf("online: %v %v", a, err)
		}
		return ""
	})

	// Renewed, then broken.
	securetest.Write(t, f.Dir, "shop", ca.Issue(100*24*time.Hour, "shop.example", "second"))
	names := func() string {
		a, _, err := ask(anyone, url)
		if err != nil {
			return err.Error()
		}
		return strings.Join(a.TLS.PeerCertificates[0].DNSNames, " ")
	}
	lab.Eventually(t, func() string {
		if got := names(); got != "shop.example second" {
			return got
		}
		return ""
	})
	describe("the certificate of shop.example (" + cert + ") expires at ")
	event := func(want string) {
		t.Helper()
		lab.Eventually(t, func() string {
			if out := f.Must("logs", "shop", "--stream", "event"); !strings.Contains(out, want) {
				return "no " + want + " in " + out
			}
			return ""
		})
	}
	event("[2001]")
	if err := errors.Join(os.Remove(key), os.WriteFile(filepath.Join(f.Dir, "shop.crt"), []byte("nothing"), 0o600)); err != nil {
		t.Fatal(err)
	}
	describe("the old ones stay in force")
	event("[2002] \"certificates not read, the old ones stay in force\" reason=\"listener https: ")
	event("no such file")
	if got := names(); got != "shop.example second" {
		t.Error(got)
	}
}

// Where clients need a certificate, an offline notice is proven all the same; of sites that disagree about a listener or a
// hostname the younger is refused and told by whom.
func TestTLSTogether(t *testing.T) {
	f := lab.NewFleet(t)
	web1 := f.NewHost("web1")
	if r := f.JoinOnly(web1, f.Token("--host", "web1", "--label", "role=web")); r.Code != 0 {
		t.Fatal(r.Errors)
	}
	f.Run(web1)
	f.Connected("web1")
	ca := securetest.NewAuthority(t)
	cert, key := securetest.Write(t, f.Dir, "must", ca.Issue(time.Hour, "must.example", "*.must.example"))
	authority := lab.Write(t, f.Dir, "ca.crt", string(ca.PEM()))
	site := func(name, binding string) string {
		text := strings.Replace(read(t, f.Site(name, "role=web")), "bindings: [{listener: http, hostnames: ["+name+".example]}]", "bindings: ["+binding+"]", 1)
		return lab.Write(t, f.Dir, name+"-tls.yaml", text)
	}
	pair := fmt.Sprintf("cert: %s, key: %s", cert, key)
	f.Must("apply", "-f", site("must", `{listener: http, hostnames: [must.example, "*.must.example"], tls: {`+pair+`, clientCert: {mode: require, ca: `+authority+`}}}`), "--wait")
	for _, younger := range []struct{ name, binding string }{ // of these two the first is the elder
		{"plain", "{listener: http, hostnames: [plain.example]}"},
		{"loose", `{listener: http, hostnames: [loose.example, must.example], tls: {` + pair + `}}`},
	} {
		if r := f.CLI("apply", "-f", site(younger.name, younger.binding), "--wait"); r.Code == 0 || !strings.Contains(r.Out+r.Errors, "site must") {
			t.Errorf("%s: %d %s %s", younger.name, r.Code, r.Out, r.Errors)
		}
	}
	ask := func(host string, certificates ...tls.Certificate) (int, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+web1.Address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		c := http.Client{Timeout: lab.Deadline, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: host, Certificates: certificates}}}
		a, err := c.Do(request)
		if err != nil {
			return 0, err
		}
		return a.StatusCode, a.Body.Close()
	}
	visitor := ca.Issue(time.Hour, "visitor")
	if status, err := ask("must.example"); err == nil {
		t.Errorf("without a certificate: %d", status)
	}
	if status, err := ask("a.must.example", visitor); err != nil || status != 200 {
		t.Errorf("%d %v", status, err)
	}
	f.Must("offline", "must", "--message", "Back soon")
	if status, err := ask("a.must.example", visitor); err != nil || status != 503 {
		t.Errorf("%d %v", status, err)
	}
	f.Must("online", "must")
	// The older one goes; what it was in the way of heals by itself.
	f.Must("delete", "site", "must", "--yes")
	lab.Eventually(t, func() string {
		if a, err := lab.Try(web1.Address, "/", "plain.example"); err != nil || a.Status != 200 {
			return fmt.Sprint(a.Status, err)
		}
		return ""
	})
}
