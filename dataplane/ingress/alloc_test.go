package ingress

import (
	"bytes"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/meter"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// proxy is a listener in front of an instance that answers every read with reply.
func proxy(t testing.TB, reply string) (addr string) {
	instance, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { instance.Close() })
	go func() {
		for {
			c, err := instance.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf, out := make([]byte, 16<<10), []byte(reply)
				for {
					if _, err := c.Read(buf); err != nil {
						return
					}
					c.Write(out)
				}
			}()
		}
	}()
	up := upstream.New("tcp", instance.Addr().String(), upstream.Options{})
	t.Cleanup(up.Close)
	opt := forward.Options{Token: "0123456789abcdef0123456789abcdef0123", RequestTimeout: time.Minute}
	return start(t, counted{door(func(r *forward.Request, w forward.ResponseWriter) {
		if err := forward.Serve(r, w, up, opt); err != nil {
			w.Head(502, nil, 0)
		}
	}), meter.NewSite()}, Options{}).addr
}

// counted is a door that counts, as those of sites do.
type counted struct {
	forward.Door
	*meter.Site
}

func (c counted) Begin(r *forward.Request) { c.Site.Begin(r.Lane) }

func (c counted) End(x *forward.Exchange) {
	c.Site.End(x.Request.Lane, x.Status, x.Duration, x.Received, x.Sent, x.Aborted)
}

const browser = "GET /shop/products?sort=name HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
	"Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef0123456789abcdef\r\n\r\n"

// exchanges makes a client that sends the same request again and again.
func exchanges(t testing.TB, addr, request string, length int) func() {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	out, in := []byte(request), make([]byte, 64<<10)
	return func() {
		if _, err := c.Write(out); err != nil {
			t.Fatal(err)
		}
		head := -1
		for n := 0; head < 0 || n < head+length; {
			k, err := c.Read(in[n:])
			if err != nil {
				t.Fatal(err, string(in[:n]))
			}
			n += k
			if head = bytes.Index(in[:n], []byte("\r\n\r\n")) + 4; head < 4 {
				head = -1
			}
		}
		if !bytes.HasPrefix(in, []byte("HTTP/1.1 200")) {
			t.Fatalf("%.100s", in)
		}
	}
}

// TestAllocations: a request on a kept connection costs no heap allocation, neither ours nor, in this process, those of
// client and instance.
func TestAllocations(t *testing.T) {
	body := string(bytes.Repeat([]byte("x"), 1024))
	tests := []struct {
		name, request, reply string
		length               int
	}{
		{"GET 1 KiB", browser, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nServer: Kestrel\r\nDate: now\r\nContent-Length: 1024\r\n\r\n" + body, 1024},
		{"chunked", browser, "HTTP/1.1 200 OK\r\nServer: Kestrel\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + body + "\r\n0\r\n\r\n", 1024 + 5 + 2 + 5},
		{"POST 1 KiB", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1024\r\n\r\n" + body, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			exchange := exchanges(t, proxy(t, tt.reply), tt.request, tt.length)
			const n, most = 1000, 5
			for range n {
				exchange()
			}
			least := uint64(1 << 62)
			for range 3 { // what else the process does now and then, like telling the time once a second, is not ours to count
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range n {
					exchange()
				}
				runtime.ReadMemStats(&after)
				least = min(least, after.Mallocs-before.Mallocs)
			}
			if raced { // whose own objects are among them
				return
			}
			t.Logf("figure: %d heap objects over %d requests, at most %d", least, n, most)
			if least > most {
				t.Errorf("%d heap objects over %d requests", least, n)
			}
		})
	}
}

func BenchmarkForward(b *testing.B) {
	body := string(bytes.Repeat([]byte("x"), 1024))
	exchange := exchanges(b, proxy(b, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1024\r\n\r\n"+body), browser, 1024)
	b.ReportAllocs()
	for b.Loop() {
		exchange()
	}
}
