package launch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// B20: where the site asks for them the application finds the variables of IIS; else none of them.
func TestIISEnvironment(t *testing.T) {
	root := folder(t, map[string]string{"A": "elf"})
	in := input(t, root, nil)
	a := *in.Application
	in.Application, in.Site, a.Path = &a, "shop", "/sub/app"
	of := func() string {
		plan, err := Resolve(in)
		if err != nil {
			t.Fatal(err)
		}
		return "\n" + strings.Join(plan.Environ(12345, "", "t"), "\n") + "\n"
	}
	if env := of(); strings.Contains(env, "IIS_VERSION") || strings.Contains(env, "APP_POOL") {
		t.Errorf("unasked: %s", env)
	}
	a.IISEnvironment = true
	env := of()
	id := strings.TrimSuffix(env[strings.Index(env, "SITE_ID=")+len("SITE_ID="):], "\n")
	id, _, _ = strings.Cut(id, "\n")
	for _, want := range []string{
		"ASPNETCORE_IIS_VERSION=10.0", "ASPNETCORE_IIS_APP_POOL_ID=shop", "ASPNETCORE_IIS_APP_POOL_CONFIG_FILE=" + root + "/web.config", "ASPNETCORE_IIS_SITE_NAME=shop",
		"ASPNETCORE_IIS_APP_CONFIG_PATH=MACHINE/WEBROOT/APPHOST/shop/sub/app", "ASPNETCORE_IIS_APPLICATION_ID=/LM/W3SVC/" + id + "/ROOT/sub/app",
		"ASPNETCORE_IIS_APPLICATION_VIRTUAL_PATH=/sub/app",
	} {
		if !strings.Contains(env, "\n"+want+"\n") {
			t.Errorf("no %q in %s", want, env)
		}
	}
	if a.Path = "/"; !strings.Contains(of(), "/ROOT\nASPNETCORE_IIS_APPLICATION_VIRTUAL_PATH=/\n") && !strings.Contains(of(), "APPHOST/shop\n") {
		t.Error(of())
	}
}

// Behind a link the application is known by the path that the site writes, unless it says itself what its content root is.
func TestContentRoot(t *testing.T) {
	root := folder(t, map[string]string{"A": "elf"})
	link := filepath.Join(t.TempDir(), "current")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	for written, want := range map[string]string{root: "", root + "/": "", link: "ASPNETCORE_CONTENTROOT=" + link} {
		in := input(t, root, nil)
		for _, profile := range []site.Profile{site.ProfileASPNETCore, site.ProfileGeneric} {
			in.Application.Root, in.Application.Profile = written, profile
			plan, err := Resolve(in)
			if err != nil {
				t.Fatal(err)
			}
			env := plan.Environ(12345, "", "t")
			i := slices.IndexFunc(env, func(v string) bool { return strings.HasPrefix(v, "ASPNETCORE_CONTENTROOT") })
			if (i >= 0) != (want != "") || i >= 0 && env[i] != want {
				t.Errorf("%s, %s: %q", written, profile, env)
			}
		}
	}
	in := input(t, root, nil)
	in.Application.Root, in.Application.Env = link, []site.Variable{{Name: "aspnetcore_contentroot", Value: "/own"}}
	if plan, err := Resolve(in); err != nil || !slices.Contains(plan.Environ(1, "", "t"), "aspnetcore_contentroot=/own") || slices.Contains(plan.Environ(1, "", "t"), "ASPNETCORE_CONTENTROOT="+link) {
		t.Errorf("%v, %v", plan, err)
	}
}

// L15: values of any length are expanded whole; what is empty is not what is absent.
func TestExpandLong(t *testing.T) {
	long := strings.Repeat("x", 5000)
	lookup := func(name string) (string, bool) {
		value, ok := map[string]string{"LONG": long, "EMPTY": ""}[strings.ToUpper(name)]
		return value, ok
	}
	for text, want := range map[string]string{
		"%LONG%": long, "a%long%b%Long%c": "a" + long + "b" + long + "c", "[%EMPTY%]": "[]", "[%ABSENT%]": "[%ABSENT%]", "%": "%", "%%": "%%", "100%LONG%": "100" + long, long + "%EMPTY%": long,
	} {
		if got := expand(text, lookup); got != want {
			t.Errorf("%.20q: %d characters, want %d", text, len(got), len(want))
		}
	}
}

// A program that no placeholder tells its port is warned about, with its place.
func TestPlaceholder(t *testing.T) {
	root := folder(t, map[string]string{"server.js": "text"})
	for inner, warned := range map[string]bool{
		`<httpPlatform processPath="node" arguments="server.js"/>`:                      true,
		`<httpPlatform processPath="node" arguments="server.js %http_platform_port%"/>`: false,
		`<httpPlatform processPath="node" arguments="server.js"><environmentVariables><environmentVariable name="PORT" value="%ASPNETCORE_PORT%"/></environmentVariables></httpPlatform>`: false,
		`<aspNetCore processPath="node" arguments="server.js"/>`: false,
	} {
		config, err := webconfig.Parse("web.config", []byte("<configuration><system.webServer>"+inner+"</system.webServer></configuration>"))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := Resolve(input(t, root, config))
		if err != nil {
			t.Fatal(err)
		}
		got := slices.ContainsFunc(plan.Notes, func(n webconfig.Note) bool {
			return n.Kind == webconfig.Warning && strings.Contains(n.Text, "HTTP_PLATFORM_PORT") && n.Line == 1
		})
		if got != warned {
			t.Errorf("%s: %v", inner, plan.Notes)
		}
	}
}
