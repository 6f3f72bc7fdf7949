package forward

import (
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// What rules add comes behind the application's own fields, Server goes when it is to go, and no application says that an
// error is ours.
func TestDress(t *testing.T) {
	add := []Field{{Name: []byte("X-Frame-Options"), Value: []byte("DENY")}}
	for _, c := range []struct {
		opt  Options
		want string
	}{
		{Options{}, "SERVER: Kestrel|X-A: 1|X-Frame-Options: SAMEORIGIN"},
		{Options{Add: add}, "SERVER: Kestrel|X-A: 1|X-Frame-Options: SAMEORIGIN|X-Frame-Options: DENY"},
		{Options{Add: add, NoServer: true}, "X-A: 1|X-Frame-Options: SAMEORIGIN|X-Frame-Options: DENY"},
	} {
		var a h1.Response
		if err := a.Parse([]byte(crlf("HTTP/1.1 200 OK\nSERVER: Kestrel\nX-A: 1\nx-ancora-error: 404.8\nX_Ancora_Error: 404.8\nX-Frame-Options: SAMEORIGIN\n\n"))); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range c.opt.dress(filterAnswer(&a, "")) {
			got = append(got, string(f.Name)+": "+string(f.Value))
		}
		if s := strings.Join(got, "|"); s != c.want {
			t.Errorf("got  %s\nwant %s", s, c.want)
		}
	}
}
