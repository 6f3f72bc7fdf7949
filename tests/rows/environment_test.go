package rows

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/secure/securetest"
	"github.com/ancora-fleet/ancora/tests/lab"
)

// B: port and environment.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	plain := shared(t, func(r *recorder) *served { return serve(r, probe(r, outOfProcess, "")) })
	row(t, "B01 a port of the application's own", func(r *recorder) {
		port := freePort(r)
		s := serve(r, probe(r, outOfProcess, variables("ASPNETCORE_PORT", port)))
		want(r, "address", s.paths().Addresses[0], "http://127.0.0.1:"+port)
	})
	row(t, "B02 an empty port is drawn", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, variables("ASPNETCORE_PORT", "")))
		port, err := strconv.Atoi(s.environ()["ASPNETCORE_PORT"])
		if err != nil || port < 10000 || port > 32767 {
			r.Errorf("port %d, %v", port, err)
		}
	})
	row(t, "B05 the authentication variable cannot be set", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, variables("ASPNETCORE_IIS_HTTPAUTH", "windows;SomeRandomValue", "aspnetcore_iis_httpauth2", "kept")))
		env := s.environ()
		want(r, "ASPNETCORE_IIS_HTTPAUTH", env["ASPNETCORE_IIS_HTTPAUTH"], "anonymous;")
		want(r, "another", env["aspnetcore_iis_httpauth2"], "kept")
	})
	row(t, "B07 a variable of web.config", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, variables("ANCMTestFoo", "foo", "ANCMTestBar", "bar", "Empty", "", "Long", strings.Repeat("x", 5000))))
		env := s.environ()
		want(r, "ANCMTestFoo", env["ANCMTestFoo"], "foo")
		want(r, "ANCMTestBar", env["ANCMTestBar"], "bar")
		want(r, "length of Long", len(env["Long"]), 5000)
		if v, ok := env["Empty"]; !ok || v != "" {
			r.Errorf("Empty is %q, %v", v, ok)
		}
	})
	row(t, "B08 what activates IIS integration", func(r *recorder) {
		env := plain(r).environ()
		for _, name := range []string{"ASPNETCORE_PORT", "ASPNETCORE_APPL_PATH", "ASPNETCORE_IIS_HTTPAUTH", "ASPNETCORE_TOKEN", "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"} {
			if env[name] == "" {
				r.Errorf("%s is missing", name)
			}
		}
	})
	row(t, "B09 hosting start-up assemblies", func(r *recorder) {
		env := plain(r).environ()
		if v := env["ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"]; !strings.Contains(v, "Microsoft.AspNetCore.Server.IISIntegration") {
			r.Errorf("%q", v)
		}
	})
	row(t, "B10 hosting start-up assemblies of web.config", func(r *recorder) {
		env := serve(r, probe(r, outOfProcess, variables("ASPNETCORE_HOSTINGSTARTUPASSEMBLIES", "Asm1"))).environ()
		want(r, "value", env["ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"], "Asm1")
	})
	row(t, "B12 web.config beats the environment of the host", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, variables("tz", "Europe/Berlin")), "TZ=UTC")
		env := s.environ()
		want(r, "tz", env["tz"], "Europe/Berlin")
		if v, ok := env["TZ"]; ok {
			r.Errorf("TZ is %q too", v)
		}
	})
	row(t, "B13 values are expanded", func(r *recorder) {
		folder := probe(r, outOfProcess, variables("Greeting", "%WORLD%;%HELLO%", "Kept", "%NobodySetsThis%"))
		env := serve(r, siteFile(r, "shop", "path: /, root: "+folder+", env: {WORLD: World, HELLO: Hello}")).environ()
		want(r, "Greeting", env["Greeting"], "World;Hello")
		want(r, "Kept", env["Kept"], "%NobodySetsThis%")
	})
	row(t, "B14 the environment of the host beats web.config where it is preferred", func(r *recorder) {
		folder := probe(r, outOfProcess, variables("Color", "red", "Shape", "round", "Size", "big"))
		env := serve(r, folder, "ANCM_PREFER_ENVIRONMENT_VARIABLES=true", "COLOR=blue", "Shape=").environ()
		want(r, "Color", env["Color"], "blue")
		want(r, "Shape, which is empty outside", env["Shape"], "round")
		want(r, "Size", env["Size"], "big")
	})
	row(t, "B15 the port for https of web.config", func(r *recorder) {
		s := secured(r, probe(r, outOfProcess, variables("ASPNETCORE_ANCM_HTTPS_PORT", "123")), "https")
		want(r, "port", s.environ()["ASPNETCORE_ANCM_HTTPS_PORT"], "123")
	})
	row(t, "B16 two ports for https are none", func(r *recorder) {
		s := secured(r, probe(r, outOfProcess, ""), "https", "https2")
		if v := s.environ()["ASPNETCORE_ANCM_HTTPS_PORT"]; v != "" {
			r.Errorf("%q", v)
		}
	})
	row(t, "B17 the application redirects to https", func(r *recorder) {
		s := secured(r, probe(r, outOfProcess, variables("PROBE_HTTPS_REDIRECT", "1")), "https")
		a := s.get("/", "Host: shop.example")
		_, port, _ := net.SplitHostPort(s.secure["https"])
		want(r, "status", a.status, 307)
		want(r, "location", a.header.Get("Location"), "https://shop.example:"+port+"/")
	})
	row(t, "B20 names of site, pool and application", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /, root: "+child(r, "", outOfProcess, "")+", iisEnvironment: true", "path: /app, root: "+child(r, "", inProcess, "")+", iisEnvironment: true"))
		for base, wanted := range map[string][3]string{"": {"/", "MACHINE/WEBROOT/APPHOST/shop", "/ROOT"}, "/app": {"/app", "MACHINE/WEBROOT/APPHOST/shop/app", "/ROOT/app"}} {
			env := map[string]string{}
			for line := range strings.Lines(s.get(base + "/env").body) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				env[strings.TrimPrefix(name, "ASPNETCORE_IIS_")] = value
			}
			id, err := strconv.Atoi(env["SITE_ID"])
			if err != nil || id < 1 || env["APP_POOL_CONFIG_FILE"] == "" || !strings.Contains(env["VERSION"], ".") {
				r.Errorf("%s: %v", base, env)
			}
			want(r, "pool", env["APP_POOL_ID"], "shop")
			want(r, "site", env["SITE_NAME"], "shop")
			want(r, "path", env["APPLICATION_VIRTUAL_PATH"], wanted[0])
			want(r, "config path", env["APP_CONFIG_PATH"], wanted[1])
			want(r, "application", env["APPLICATION_ID"], fmt.Sprintf("/LM/W3SVC/%d%s", id, wanted[2]))
		}
	})
	row(t, "B21 which port for https the bindings give", func(r *recorder) {
		s := secured(r, probe(r, outOfProcess, ""), "https")
		_, port, _ := net.SplitHostPort(s.secure["https"])
		want(r, "port", s.environ()["ASPNETCORE_ANCM_HTTPS_PORT"], port)
		plain := serve(r, probe(r, outOfProcess, ""))
		if v, ok := plain.environ()["ASPNETCORE_ANCM_HTTPS_PORT"]; ok {
			r.Errorf("without https: %q", v)
		}
	})
	row(t, "B22 the content root", func(r *recorder) {
		for _, model := range []string{outOfProcess, inProcess} {
			s := serve(r, probe(r, model, ""))
			want(r, "content root", strings.TrimSuffix(s.paths().ContentRoot, "/"), s.root)
			want(r, "physical path", s.environ()["ASPNETCORE_IIS_PHYSICAL_PATH"], s.root+"/")
		}
	})
}

// freePort gives a port below those that outgoing connections use.
func freePort(r *recorder) string {
	r.Helper()
	for port := 20000 + int(time.Now().UnixNano()%10000); ; port++ {
		if l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = l.Close()
			return strconv.Itoa(port)
		}
	}
}

var listening = regexp.MustCompile(`listening: listener=(\S+) address=(\S+)`)

// secured serves a folder on a plain listener and on others with TLS.
func secured(r *recorder, folder string, listeners ...string) *secureSite {
	r.Helper()
	dir := lab.Dir(r)
	ca := securetest.NewAuthority(r.T)
	cert, key := securetest.Write(r.T, dir, "shop", ca.Issue(time.Hour, "shop.example"))
	authority := lab.Write(r, dir, "ca.crt", string(ca.PEM()))
	text := "apiVersion: ancora/v1\nkind: Site\nname: shop\nplacement: {hosts: all}\nbindings:\n  - {listener: http}\n"
	args := []string{"--listen", "http=127.0.0.1:0"}
	for _, l := range listeners {
		text += fmt.Sprintf("  - {listener: %s, tls: {cert: %s, key: %s, clientCert: {mode: request, ca: %s}}}\n", l, cert, key, authority)
		args = append(args, "--listen", l+"=127.0.0.1:0")
	}
	text += "applications:\n  - {path: /, root: " + folder + "}\n"
	s := start(r, lab.Write(r, dir, "site.yaml", text), args...)
	site := &secureSite{served: s, secure: map[string]string{}, ca: ca}
	s.Ready(r)
	lab.Eventually(r, func() string { // the log may come behind it
		if n := strings.Count(s.Log(), "listening: listener="); n <= len(listeners) {
			return fmt.Sprintf("%d listeners", n)
		}
		return ""
	})
	for _, m := range listening.FindAllStringSubmatch(s.Log(), -1) {
		if m[1] == "http" {
			s.address = m[2]
		} else {
			site.secure[m[1]] = m[2]
		}
	}
	return site
}

// secureSite has addresses with TLS too, by the names of their listeners.
type secureSite struct {
	*served
	secure map[string]string
	ca     *securetest.Authority
}
