package explain

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]Question{
		"https://shop.test":                     {Scheme: "https", Authority: "shop.test", Target: "/"},
		"HTTP://Shop.test:8080/a/B?c=d#e":       {Scheme: "http", Authority: "Shop.test:8080", Target: "/a/B?c=d"},
		"http://shop.test?x":                    {Scheme: "http", Authority: "shop.test", Target: "/?x"},
		"http://[::1]:80/großer ordner":         {Scheme: "http", Authority: "[::1]:80", Target: "/gro%C3%9Fer%20ordner"},
		"http://shop.test/a/../b%2F\\?q=?/://#": {Scheme: "http", Authority: "shop.test", Target: "/a/../b%2F\\?q=?/://"},
	} {
		if got, err := ParseURL(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"shop.test/a?hush":                      "neither http:// nor https://",
		"ftp://shop.test?hush":                  "neither http:// nor https://",
		"http:///a?hush":                        "names no host",
		"http://me:hush@shop.test/":             "a user name or a password",
		"http://shöp.test/?hush":                "are written as xn--",
		"http://sh op.test/?hush":               "has characters that no host name has",
		"http://" + strings.Repeat("a", 301):    "has 301 bytes, more than 300",
		"http://a/?" + strings.Repeat("a", 4e4): "have 40002 bytes",
	} {
		if got, err := ParseURL(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	all := Question{Scheme: "x", Method: strings.Repeat("a", 65)}
	if err := all.Check(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not all at once: %v", err)
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("https://shop.test:443/a b?c#d")
	f.Add("http://[::1]?\x80")
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseURL(text)
		if err != nil {
			return
		}
		again, err := ParseURL(q.Scheme + "://" + q.Authority + q.Target)
		if err != nil || again.Authority != q.Authority || !strings.HasPrefix(q.Target, again.Target) {
			t.Errorf("%q: %+v, read again %+v, %v", text, q, again, err)
		}
		if strings.ContainsAny(q.Authority+q.Target, " \r\n") {
			t.Errorf("%q: %+v", text, q)
		}
	})
}

// Hosts that differ in what is theirs alone are one group, and say it each.
func TestLines(t *testing.T) {
	one := func(pid string, status int) *Trail {
		x := &Trail{Site: "shop", Application: "/api"}
		x.Pass(Listener, "listener http").Here("same")
		if step := x.Warn(Instance, "an instance gets it"); pid != "" {
			step.Here("pid %s", pid)
		}
		if status != 0 {
			x.Stop(Rules, status, 6, "no").At(Place{"/w", 2, 3})
		}
		return x
	}
	groups := Group([]Hosted{{"web1", one("1", 0)}, {"web2", one("2", 404)}, {"web3", one("3", 0)}, {"web4", one("", 0)}})
	if len(groups) != 2 || len(groups[0]) != 3 {
		t.Fatalf("%v", groups)
	}
	got := strings.Join(append(Lines(groups[0]), Lines(groups[1])...), "\n")
	want := `  listener     listener http  (same)
! instance     an instance gets it
                 web1: pid 1
                 web3: pid 3
= no answer, the connection is closed, site shop application /api
  listener     listener http  (same)
! instance     an instance gets it  (pid 2)
x rules        no  [/w:2:3]
= 404.6, site shop application /api`
	if got != want {
		t.Errorf("%s\n\nwant\n%s", got, want)
	}
}
