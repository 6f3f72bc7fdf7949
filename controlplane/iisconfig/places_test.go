package iisconfig

import (
	"errors"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// Bindings are addresses, and each address is one listener.
func TestAddresses(t *testing.T) {
	for text, want := range map[string]struct{ http, https, host string }{
		"*:80:":                              {"http", "https-80", ""},
		":80:":                               {"http", "https-80", ""},
		"0.0.0.0:80:shop.example.com":        {"http", "https-80", "shop.example.com"},
		"[::]:443:":                          {"http-443", "https", ""},
		"*:8080:*":                           {"http-8080", "https-8080", ""},
		"*:443:*.example.com":                {"http-443", "https", "*.example.com"},
		"10.0.0.5:80:":                       {"http-10-0-0-5-80", "https-10-0-0-5-80", ""},
		"[2001:db8::1]:443:a.example.com":    {"http-2001-db8--1-443", "https-2001-db8--1-443", "a.example.com"},
		"[::1]:8080:":                        {"http-1-8080", "https-1-8080", ""},
		"*:80:B\u00fccher.example.com":       {"http", "https-80", "xn--bcher-kva.example.com"},
		"*:80:*.b\u00fccher.example.com":     {"http", "https-80", "*.xn--bcher-kva.example.com"},
		"127.0.0.1:65535:LOCALHOST":          {"http-127-0-0-1-65535", "https-127-0-0-1-65535", "localhost"},
		"[fe80::1111:2222:3333:4444]:65535:": {"http-fe80--1111-2222-3333-4444-65535", "https-fe80--1111-2222-3333-4444-65535", ""},
	} {
		t.Run("B21 "+text, func(t *testing.T) {
			a, err := parseAddress(text)
			if err != nil || a.listener("http") != want.http || a.listener("https") != want.https || a.host != want.host {
				t.Errorf("%+v %s %s, %v", a, a.listener("http"), a.listener("https"), err)
			}
			if err := site.ValidLabel(a.listener("https")); err != nil {
				t.Error(err)
			}
		})
	}
	for _, text := range []string{"", "80", "*:80", "*:0:", "*:65536:", "*:http:", "300.1.1.1:80:", "[::1:80:", "[::1]80:", "::1:80:", "*:-1:", "*:80:a b", "*:80:a_b", "*:80:a/b", "[fe80::1%eth0]:80:"} {
		if a, err := parseAddress(text); err == nil {
			t.Errorf("%q is read as %+v", text, a)
		}
	}
}

func TestFolders(t *testing.T) {
	o := options(t, `C:\=/mnt/c`, `c:\Sites=/srv`, `C:/Sites/Shop/=/srv/special/shop`, `\\NAS\web$=/mnt/nas`, `/home/me/publish=/srv/p`)
	for physical, want := range map[string]string{
		`C:\sites\blog`:                  "/srv/blog",
		`c:\SITES\Blog\`:                 "/srv/Blog",
		`C:/Sites/shop`:                  "/srv/special/shop",
		`C:\Sites\shop\Admin`:            "/srv/special/shop/Admin",
		`C:\Sites\shopping`:              "/srv/shopping",
		`C:\SitesOther`:                  "/mnt/c/SitesOther",
		`%SystemDrive%\inetpub\wwwroot`:  "/mnt/c/inetpub/wwwroot",
		`%systemdrive%\sites\a`:          "/srv/a",
		`\\nas\WEB$\x y`:                 "/mnt/nas/x y",
		`C:\Sites\..\..\..\etc`:          "/srv/etc",
		`C:\Sites\shop\..\..\..\..\root`: "/srv/special/shop/root",
		`/home/me/publish`:               "/srv/p",
	} {
		if got, ok := o.folder(physical); !ok || got != want {
			t.Errorf("%s: %q, %v, want %q", physical, got, ok, want)
		}
	}
	for _, physical := range []string{`D:\Sites`, `\\nas\web`, `\\nas\web$2`, `%windir%\x`, `%SystemDriveX%`, "", "x"} {
		if got, ok := o.folder(physical); ok {
			t.Errorf("%s is at %s", physical, got)
		}
	}
	for _, text := range []string{"", "=", `C:\a`, `C:\a=`, `C:\a=srv`, `=/srv`, `C:\a=C:\b`} {
		if m, err := ParseMap(text); err == nil {
			t.Errorf("%q is read as %+v", text, m)
		}
	}
}

// What is said of folders without a map is enough to go on.
func TestUnmapped(t *testing.T) {
	_, err := Read("fleet.config", fleet(t), options(t, `C:\inetpub=/srv`))
	var unmapped Unmapped
	if !errors.As(err, &unmapped) {
		t.Fatalf("%v", err)
	}
	for _, says := range []string{`fleet.config:59: D:\Sites\Orders (site Orders & Co.)`, `fleet.config:66: \\NAS01\web\reports`, `--map 'D:\Sites=/srv/sites'`, `--map '\\NAS01\web=/srv/web'`, "nothing was written"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%q is not told:\n%v", says, err)
		}
	}
	if strings.Contains(err.Error(), "inetpub") || strings.Count(err.Error(), "--map") != 2 {
		t.Errorf("asks for what it has, or twice:\n%v", err)
	}
	o := options(t, `C:\inetpub=/srv`)
	o.Maps = append(o.Maps, unmapped.Maps()...)
	if _, err := Read("fleet.config", fleet(t), o); err != nil {
		t.Errorf("the maps are not enough: %v", err)
	}
	if m := (Unmapped{{Path: `D:\`}, {Path: `E:\x`}, {Path: `\\nas\web`}, {Path: `C:\a\b`}, {Path: `C:\a\b\c`}}).Maps(); len(m) != 4 {
		t.Errorf("%v", m)
	}
}

func TestOnly(t *testing.T) {
	o := options(t, `C:\inetpub=/srv`)
	o.Only = []string{"default web SITE"}
	result, err := Read("f", fleet(t), o)
	if err != nil || len(result.Sites) != 1 || result.Sites[0].Site.Name != "default-web-site" {
		t.Fatalf("%+v %v", result, err)
	}
	for _, l := range result.Server {
		if strings.Contains(l.Text, "Orders") {
			t.Errorf("a site that was not asked for: %s", l.Text)
		}
	}
	o.Only = []string{"Shop"}
	if _, err := Read("f", fleet(t), o); err == nil || !strings.Contains(err.Error(), `has no site "Shop"`) {
		t.Errorf("%v", err)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"Default Web Site": "default-web-site", "shop.example.com": "shop-example-com", "--A--": "a", "\u00e9\u00e9": "site", "": "site",
		strings.Repeat("ab ", 40): strings.TrimRight(strings.Repeat("ab-", 21), "-"),
	} {
		if got := label(name); got != want || site.ValidLabel(got) != nil {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	r := &reader{labels: map[string]bool{}}
	for _, want := range []string{"a", "a-2", "a-3"} {
		if got := r.unique("a"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestWebConfig(t *testing.T) {
	const published = `<configuration><location path="." inheritInChildApplications="false"><system.webServer>
<handlers><add name="aspNetCore" path="*" verb="*" modules="AspNetCoreModuleV2"/></handlers>
<aspNetCore processPath="dotnet" arguments=".\Shop.dll" hostingModel="outofprocess"/></system.webServer></location></configuration>`
	result, err := ReadWebConfig("web.config", []byte(published), "/home/me/publish", options(t, "/home/me/publish=/srv/shop"))
	if err != nil {
		t.Fatal(err)
	}
	if s := result.Sites[0].Site; s.Name != "publish" || s.Applications[0].Root != "/srv/shop" || len(s.Applications[0].Command) != 0 {
		t.Errorf("%+v", s)
	}
	result, err = ReadWebConfig("web.config", []byte("<configuration/>"), "/home/me/publish", options(t))
	if err != nil || result.Sites[0].Site.Applications[0].Root != "/home/me/publish" || len(result.Sites[0].Lines) != 3 {
		t.Errorf("%+v %v", result, err)
	}
	var wrong webconfig.Errors
	if _, err := ReadWebConfig("web.config", []byte(strings.Replace(published, "processPath", "procesPath", 1)), "/x", options(t)); !errors.As(err, &wrong) {
		t.Errorf("%v", err)
	}
	if _, err := ReadWebConfig("web.config", []byte(published), "/", options(t)); err == nil {
		t.Error("the whole file system is an application")
	}
}
