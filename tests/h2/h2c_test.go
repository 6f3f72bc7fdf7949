package h2

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// grpcLike is an application that speaks HTTP/2, and proxy before it.
func grpcLike(t *testing.T, app http.HandlerFunc) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: app, Protocols: new(http.Protocols)}
	server.Protocols.SetUnencryptedHTTP2(true)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; err != http.ErrServerClosed {
			t.Error(err)
		}
	})
	address, _ = proxyTo(t, ln.Addr().String(), upstream.Options{H2C: true})
	return address
}

// TestEndsWithItsHead: what gRPC calls Trailers-Only, a head that ends the stream, is one for the client too: a status in a
// head that ends nothing is none for it.
func TestEndsWithItsHead(t *testing.T) {
	c := dial(t, grpcLike(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", "12")
	}))
	c.headers(1, fields(post+"te: trailers\n"), true)
	if verdict, head, _ := c.outcome(1); verdict != "200" || !head.StreamEnded() {
		t.Errorf("%s, ended %v: %v", verdict, head.StreamEnded(), head.Fields)
	}
}

// TestTokenStaysInsideH2C is TestTokenStaysInside for an application that speaks HTTP/2, whose trailers do pass.
func TestTokenStaysInsideH2C(t *testing.T) {
	events := make(chan http.Header, 1)
	address := grpcLike(t, func(w http.ResponseWriter, r *http.Request) {
		events <- r.Header
		shown := r.Header.Get("MS-ASPNETCORE-TOKEN")
		w.Header().Set("Trailer", "X-Kept")
		for _, name := range []string{"X-A", "X-" + shown, "Ms-Aspnetcore-Token", http.TrailerPrefix + "X-B", http.TrailerPrefix + "X-" + shown, http.TrailerPrefix + "Ms-Aspnetcore-Event"} {
			w.Header().Set(name, "<"+shown+">")
		}
		w.WriteHeader(200)
		w.Write([]byte("ok"))
		w.Header().Set("X-Kept", "1")
	})
	c := dial(t, address)
	c.headers(1, fields(post+"ms-aspnetcore-event: shutdown\nms_aspnetcore_event: shutdown\nms-aspnetcore-token: forged\nte: trailers\n"), true)
	verdict, _, body := c.outcome(1)
	if verdict != "200" || string(body) != "ok" {
		t.Errorf("%s %q", verdict, body)
	}
	kept := false
	for _, f := range c.got {
		kept = kept || f.Name == "x-kept"
		if strings.Contains(strings.ToLower(f.Name+f.Value), token) || strings.HasPrefix(f.Name, "ms-aspnetcore") {
			t.Errorf("%s: %s", f.Name, f.Value)
		}
	}
	if !kept {
		t.Errorf("no trailers: %v", c.got)
	}
	if got := <-events; len(got.Values("MS-ASPNETCORE-TOKEN")) != 1 || got.Get("MS-ASPNETCORE-TOKEN") != token || got.Get("MS-ASPNETCORE-EVENT") != "" {
		t.Errorf("the application sees %v", got)
	}
}

// TestAllFieldsH2C: as many fields as a client may send reach the application, and ours besides, however they are spelled.
func TestAllFieldsH2C(t *testing.T) {
	seen := make(chan http.Header, 1)
	address := grpcLike(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header })
	c := dial(t, address)
	block := fields(get)
	for range 98 {
		block = append(block, one("x-a", "1: 2")...)
	}
	c.headers(1, append(block, append(one("x-empty", ""), one("cookie", "a=1")...)...), true)
	verdict, _, _ := c.outcome(1)
	if verdict != "200" {
		t.Fatal(verdict)
	}
	got := <-seen
	if values := got.Values("X-A"); len(values) != 98 || values[97] != "1: 2" || len(got["X-Empty"]) != 1 || got.Get("Cookie") != "a=1" ||
		got.Get("MS-ASPNETCORE-TOKEN") != token || got.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("the application sees %v", got)
	}
}

// TestSameRequestH2C: what TestDowngrade lets through means the same to an application that speaks HTTP/2.
func TestSameRequestH2C(t *testing.T) {
	seen := make(chan string, 1)
	address := grpcLike(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		select {
		case seen <- fmt.Sprintf("%s %s HTTP/1.1\nHost: %s\n%s", r.Method, r.RequestURI, r.Host, body):
		default:
			t.Error("a second request")
		}
		io.WriteString(w, "ok")
	})
	for _, d := range downgrades() {
		if d.sees == "" || d.partly {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			if verdict := d.play(t, address); verdict != "200" {
				t.Fatal(verdict)
			}
			head, body, _ := strings.Cut(d.sees, "\n\n")
			lines := strings.SplitN(head, "\n", 3)
			if want, got := lines[0]+"\n"+lines[1]+"\n"+body, <-seen; got != want {
				t.Errorf("the application sees %q, want %q", got, want)
			}
		})
	}
}
