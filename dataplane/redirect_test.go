package dataplane

import (
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

// taken is a ResponseWriter that keeps the head.
type taken struct {
	status   int
	location string
}

func (t *taken) Head(status int, fields []forward.Field, _ int64) error {
	t.status = status
	for _, f := range fields {
		t.location += string(f.Name) + "=" + string(f.Value)
	}
	return nil
}
func (t *taken) Write(p []byte) (int, error) { return len(p), nil }
func (t *taken) Abort(error)                 {}

type answers int

func (a answers) Serve(_ *forward.Request, w forward.ResponseWriter) { w.Head(int(a), nil, 0) }

func TestRedirect(t *testing.T) {
	for _, tt := range []struct {
		method, host, path, query, port string
		status                          int
		location                        string
	}{
		{"GET", "shop.test", "/a", "?b=c", "", 301, "https://shop.test/a?b=c"},
		{"HEAD", "shop.test:80", "/", "", "", 301, "https://shop.test/"},
		{"POST", "Shop.test:8080", "/a", "", "8443", 308, "https://Shop.test:8443/a"},
		{"GET", "[::1]:80", "/", "", "8443", 301, "https://[::1]:8443/"},
		{"GET", "[::1]", "/", "", "", 301, "https://[::1]/"},
		{"GET", "shop.test", "//evil.test/%2F..", "", "", 301, "https://shop.test//evil.test/%2F.."},
		{"GET", "shop.test", "/.well-known/acme-challenge/token", "", "", 200, ""},
		{"GET", "shop.test", "/.well-known/acme-challenge", "", "", 301, "https://shop.test/.well-known/acme-challenge"},
	} {
		w := &taken{}
		d := redirectDoor{&watchedDoor{answers(200), newObserver()}, tt.port}
		d.Serve(&forward.Request{Method: []byte(tt.method), Host: []byte(tt.host), Path: []byte(tt.path), Query: []byte(tt.query)}, w)
		if want := tt.location; w.status != tt.status || w.location != want && w.location != "Location="+want {
			t.Errorf("%s %s%s: %d %s", tt.method, tt.host, tt.path, w.status, w.location)
		}
	}
	w := &taken{}
	d := redirectDoor{&watchedDoor{answers(200), newObserver()}, ""}
	d.Serve(&forward.Request{Method: []byte("GET"), Host: []byte("shop.test"), Path: []byte("/"), Secure: true, SchemeTold: true}, w)
	if w.status != 200 {
		t.Errorf("who has come over TLS is sent on: %d %s", w.status, w.location)
	}
	for address, want := range map[string]string{"0.0.0.0:443": "", "[::]:8443": "8443", "": ""} {
		if got := portOf(address); got != want {
			t.Errorf("%q: %q", address, got)
		}
	}
}
