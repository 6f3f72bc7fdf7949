package ingress

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// TestTrailers pass both ways from HTTP/2 to HTTP/2, those of a client without what only we may say.
func TestTrailers(t *testing.T) {
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Answer")
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s sum=%q event=%q", body, r.Trailer.Values("X-Sum"), r.Trailer.Values("Ms-Aspnetcore-Event"))
		w.Header().Set("X-Answer", "42")
	}))
	app.Config.Protocols = new(http.Protocols)
	app.Config.Protocols.SetUnencryptedHTTP2(true)
	app.Start()
	t.Cleanup(app.Close)
	up := upstream.New("tcp", app.Listener.Addr().String(), upstream.Options{H2C: true})
	t.Cleanup(up.Close)
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		if err := forward.Serve(r, w, up, forward.Options{Token: "t0ken"}); err != nil {
			t.Error(err)
		}
	}), Options{H2C: true})
	r, err := http.NewRequest("POST", "http://"+s.addr, io.NopCloser(strings.NewReader("hello")))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = -1
	r.Trailer = http.Header{"X-Sum": {"5d41"}, "Ms-Aspnetcore-Event": {"shutdown"}}
	answer, err := h2Client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if string(body) != `hello sum=["5d41"] event=[]` || err != nil || answer.Trailer.Get("X-Answer") != "42" {
		t.Errorf("%s, %v, trailer %v", body, err, answer.Trailer)
	}
}
