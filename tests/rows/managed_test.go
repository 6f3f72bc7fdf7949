package rows

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// K: what the application's own side of the contract does when it is driven as we drive it.
func TestManaged(t *testing.T) {
	t.Parallel()
	plain := shared(t, func(r *recorder) *served { return serve(r, probe(r, outOfProcess, "")) })
	row(t, "K01 no token, no middleware", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /, root: "+probe(r, outOfProcess, "")+", profile: generic"))
		env := s.environ()
		want(r, "token", env["ASPNETCORE_TOKEN"], "")
		a := s.direct("GET", "/", env)
		want(r, "status beside the agent", a.status, 200)
	})
	row(t, "K02 a request without the token", func(r *recorder) {
		s := plain(r)
		env := s.environ()
		for _, fields := range [][]string{nil, {"MS-ASPNETCORE-TOKEN: wrong"}, {"MS-ASPNETCORE-TOKEN: " + strings.ToUpper(env["ASPNETCORE_TOKEN"])}} {
			a := s.direct("GET", "/", env, fields...)
			want(r, "status", a.status, 400)
			want(r, "body", a.body, "")
		}
	})
	row(t, "K03 the shutdown request is taken", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /, root: "+probe(r, outOfProcess, ""), "path: /pathBase, root: "+probe(r, outOfProcess, "")))
		for path, events := range map[string][]string{"": {"shutdown", "Shutdown"}, "/pathBase": {"SHUTDOWN"}} {
			for _, event := range events {
				env := s.environAt(path)
				pid := s.who(path + "/who").Pid
				a := s.direct("POST", path+"/iisintegration", env, token(env), "MS-ASPNETCORE-EVENT: "+event)
				want(r, "status", a.status, 202)
				s.gone(pid)
			}
		}
	})
	row(t, "K04 other methods are the application's", func(r *recorder) {
		s := plain(r)
		env, pid := s.environ(), s.pid()
		for _, method := range []string{"GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"} {
			want(r, method, s.direct(method, "/iisintegration", env, token(env), "MS-ASPNETCORE-EVENT: shutdown").status, 404)
		}
		want(r, "process", s.pid(), pid)
	})
	row(t, "K05 other paths are the application's", func(r *recorder) {
		s := plain(r)
		env, pid := s.environ(), s.pid()
		for _, path := range []string{"/shutdown", "/iisintegration/shutdown", "/iisintegrationx"} {
			want(r, path, s.direct("POST", path, env, token(env), "MS-ASPNETCORE-EVENT: shutdown").status, 404)
		}
		want(r, "process", s.pid(), pid)
	})
	row(t, "K06 other events are the application's", func(r *recorder) {
		s := plain(r)
		env, pid := s.environ(), s.pid()
		for _, event := range []string{"", "shutdownNow", "stop"} {
			want(r, event, s.direct("POST", "/iisintegration", env, token(env), "MS-ASPNETCORE-EVENT: "+event).status, 404)
		}
		want(r, "process", s.pid(), pid)
	})
	row(t, "K07 the address is that of the port", func(r *recorder) {
		port := freePort(r)
		s := serve(r, probe(r, outOfProcess, variables("ASPNETCORE_PORT", port, "ASPNETCORE_URLS", "http://127.0.0.1:1")))
		want(r, "addresses", strings.Join(s.paths().Addresses, " "), "http://127.0.0.1:"+port)
	})
	row(t, "K08 the address is without the path base", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /pathBase, root: "+probe(r, outOfProcess, "")))
		var p paths
		s.json("/pathBase/paths", &p)
		want(r, "addresses", strings.Join(p.Addresses, " "), "http://127.0.0.1:"+s.environAt("/pathBase")["ASPNETCORE_PORT"])
	})
	row(t, "K09 the path base in any case", func(r *recorder) {
		s := serve(r, siteFile(r, "shop", "path: /pathBase, root: "+probe(r, outOfProcess, "")))
		for _, base := range []string{"/pathBase", "/PathBase", "/PATHBASE"} {
			w := s.who(base + "/who")
			want(r, "path base", w.PathBase, base)
			want(r, "path", w.Path, "/who")
		}
	})
	row(t, "K10 no scheme for Windows users", func(r *recorder) {
		s := plain(r)
		if a := s.get("/schemes"); strings.Contains(a.body, "Windows") {
			r.Errorf("schemes %q", a.body)
		}
		want(r, "user", s.who("/who").field("MS-ASPNETCORE-WINAUTHTOKEN") == nil, true)
	})
	row(t, "K11 integration that is asked for twice", func(r *recorder) {
		const source = `var builder = WebApplication.CreateBuilder(args);
builder.WebHost.UseIISIntegration().UseIISIntegration();
var app = builder.Build();
app.MapGet("/", (HttpContext c) => c.Connection.RemoteIpAddress + " " + c.Request.Headers["X-Original-For"].Count);
app.Run();`
		s := serve(r, compile(r, source, appConfig(outOfProcess, "")))
		want(r, "body", s.get("/").body, "127.0.0.1 1")
	})
	row(t, "K12 an application without IIS integration", func(r *recorder) {
		s := serve(r, publish(r, "slim", ""))
		if a := s.get("/"); a.status != 200 || !strings.HasPrefix(a.body, "slim") {
			r.Errorf("%v", a)
		}
		pids := s.instances()
		s.touch("web.config")
		s.event(1006, "404")
		s.gone(pids...)
		s.event(1033) // in-process, as it is published
		want(r, "killed", s.count(1005), 0)
	})
	row(t, "K13 other addresses in the application's settings lose", func(r *recorder) {
		other := freePort(r)
		for _, more := range [][]string{
			{"ASPNETCORE_URLS", "http://127.0.0.1:" + other}, {"ASPNETCORE_HTTP_PORTS", other}, {"Kestrel__Endpoints__Http__Url", "http://127.0.0.1:" + other},
		} {
			s := serve(r, probe(r, outOfProcess, variables(more...)))
			want(r, more[0], strings.Join(s.paths().Addresses, " "), "http://127.0.0.1:"+s.environ()["ASPNETCORE_PORT"])
			s.Stop(r)
		}
	})
	row(t, "K14 the agent connects from the loopback interface", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess, ""), "--listen", "0.0.0.0:0")
		w := s.who("/who", "Host: x")
		if v := w.field("X-Original-For"); len(v) != 1 || !strings.HasPrefix(v[0], "127.0.0.1:") {
			r.Errorf("the connection comes from %v", v)
		}
		if v := w.field("X-Forwarded-For"); len(v) > 0 {
			r.Errorf("not taken: %v", v)
		}
	})
	row(t, "K15 an exception in Configure", func(r *recorder) {
		folder := publish(r, "classic", webConfig(`processPath="dotnet" arguments=".\Classic.dll"`+outOfProcess,
			variables("ClassicFail", "configure", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")))
		s := serve(r, folder)
		a := s.get("/")
		want(r, "status", a.status, 500)
		if a.code() != "500" || len(s.instances()) != 1 {
			r.Errorf("%v of %v: want the application's own answer", a, s.instances())
		}
		s.event(1001)
	})
}

// direct asks the application itself, past the agent.
func (s *served) direct(method, path string, env map[string]string, fields ...string) answer {
	s.r.Helper()
	port := env["ASPNETCORE_PORT"]
	if port == "" {
		port = env["PORT"]
	}
	a, err := try("127.0.0.1:"+port, method, path, "", fields...)
	if err != nil {
		s.r.Fatalf("%s %s: %v", method, path, err)
	}
	s.r.saw(reply, "%s %s of the application itself: %d", method, path, a.status)
	return a
}

func token(env map[string]string) string { return "MS-ASPNETCORE-TOKEN: " + env["ASPNETCORE_TOKEN"] }

// environAt is the environment of the probe below a path.
func (s *served) environAt(path string) map[string]string {
	s.r.Helper()
	env := map[string]string{}
	lab.Eventually(s.r, func() string {
		if a, err := s.try("GET", path+"/env", ""); err != nil || a.status != 200 {
			return fmt.Sprint(a, err)
		}
		return ""
	})
	s.json(path+"/env", &env)
	return env
}
