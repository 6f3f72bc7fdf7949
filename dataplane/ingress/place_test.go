package ingress

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/turnstile"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// oneAtOnce puts a listener that lets one request through at once in front of an application with a body limit of 1 MiB.
func oneAtOnce(t *testing.T, app http.HandlerFunc) *server {
	instance := httptest.NewServer(app)
	one := turnstile.New(turnstile.Limits{Places: 1, Line: 1, Patience: time.Hour})
	up := upstream.New("tcp", instance.Listener.Addr().String(), upstream.Options{Place: one})
	t.Cleanup(func() {
		up.Close()
		instance.Close()
		if l := one.Load(); l.InFlight != 0 || l.Places != 0 || l.Queued != 0 {
			t.Errorf("left over: %+v", l)
		}
	})
	return start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		if err := one.Enter(r.Context, turnstile.Party{}); err != nil {
			w.Head(503, nil, 0)
			return
		}
		defer one.Leave()
		err := forward.Serve(r, w, up, forward.Options{BodyLimit: 1 << 20})
		if failed, ok := err.(*forward.Error); ok && !failed.Sent {
			w.Head(failed.Kind.Status(), nil, 0)
		}
	}), Options{H2C: true})
}

// TestSlowClientsHaveNoPlace: over both versions, a client that owes its body or does not take its answer stands in
// nobody's way, and its request goes on when it does.
func TestSlowClientsHaveNoPlace(t *testing.T) {
	const large = 50 << 20
	s := oneAtOnce(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/large" {
			io.CopyN(w, endless{}, large)
		} else if n > 0 {
			io.WriteString(w, "got it")
		}
	})
	h1Client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for name, client := range map[string]*http.Client{"h1": h1Client, "h2": h2Client(t)} {
		others := func(what string) {
			t.Helper()
			res, err := client.Get("http://" + s.addr)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, what, err)
			}
			if res.Body.Close(); res.StatusCode != 200 {
				t.Errorf("%s, %s: %d", name, what, res.StatusCode)
			}
		}
		body, send := io.Pipe()
		answered := make(chan string)
		go func() {
			res, err := client.Post("http://"+s.addr, "text/plain", body)
			if err != nil {
				answered <- err.Error()
				return
			}
			defer res.Body.Close()
			text, _ := io.ReadAll(res.Body)
			answered <- string(text)
		}()
		io.WriteString(send, "hello")
		others("while a body does not come")
		send.Close()
		if got := <-answered; got != "got it" {
			t.Errorf("%s: %q", name, got)
		}
		res, err := client.Get("http://" + s.addr + "/large")
		if err != nil {
			t.Fatal(err)
		}
		others("while an answer is not taken")
		if n, err := io.Copy(io.Discard, res.Body); n != large || err != nil {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		res.Body.Close()
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestBodyLimitOverH2: with its length said, and in the middle of the body.
func TestBodyLimitOverH2(t *testing.T) {
	s := oneAtOnce(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) })
	for kind, c := range map[string]struct {
		body   io.Reader
		status int
	}{
		"length":            {strings.NewReader(strings.Repeat("x", 1<<20)), 200},
		"length too large":  {strings.NewReader(strings.Repeat("x", 1<<20+1)), 413},
		"unknown":           {io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20))), 200},
		"unknown too large": {io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20+1))), 413},
	} {
		res, err := h2Client(t).Post("http://"+s.addr, "text/plain", c.body)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if res.Body.Close(); res.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", kind, res.StatusCode, c.status)
		}
	}
}
