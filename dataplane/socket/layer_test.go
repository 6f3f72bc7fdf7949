package socket

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/secure/securetest"
)

// slices passes on in pieces of a few bytes what a client writes, each in a segment of its own.
type slices struct {
	net.Conn
	size int
}

func (s slices) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = s.Conn.Write(p[n:min(n+s.size, len(p))])
		n += k
	}
	return n, err
}

// secured puts TLS between the two, and gives the client's side of it.
func secured(t *testing.T, c *Conn, peer net.Conn) *tls.Conn {
	config := &tls.Config{Certificates: []tls.Certificate{securetest.NewAuthority(t).Issue(time.Hour, "layer.test")}}
	var server *tls.Conn
	c.Wrap(NewPool(16), func(nc net.Conn) net.Conn {
		server = tls.Server(nc, config)
		return server
	})
	client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error)
	go func() { shaken <- client.Handshake() }()
	if err := errors.Join(server.Handshake(), <-shaken); err != nil {
		t.Fatal(err)
	}
	return client
}

// TestEachThroughTLS: every byte comes once, in its order, however its records were cut; answers go out from inside; who has
// to read leaves and comes back; an end is an end.
func TestEachThroughTLS(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, peer *net.TCPConn) {
		client := secured(t, c, slices{peer, 7})
		pool, got, ended := NewPool(10), "", make(chan error)
		each := func(until string) error {
			return c.Each(pool, func(buf *[]byte, n int) bool {
				got += string((*buf)[:n])
				pool.Put(buf)
				if c.Inside() != Direct {
					t.Error("inside:", c.Inside())
				}
				if _, err := io.WriteString(c, "."); err != nil {
					t.Error(err)
				}
				return !strings.HasSuffix(got, until)
			})
		}
		want := "a head" + strings.Repeat("a body that needs two records ", 1000) + "|"
		go func() {
			err := each("|")
			if err == nil {
				rest := make([]byte, 4)
				if _, err = io.ReadFull(c, rest); err == nil {
					got += string(rest)
					err = each("nothing ends like this")
				}
			}
			ended <- err
		}()
		go io.Copy(io.Discard, client)
		for _, piece := range []string{"a head", want[len("a head"):], "read", "more", "and more"} {
			if _, err := io.WriteString(client, piece); err != nil {
				t.Fatal(err)
			}
		}
		client.CloseWrite()
		if err := <-ended; err != io.EOF {
			t.Error(err)
		}
		if got != want+"readmoreand more" {
			t.Errorf("%d bytes, want %d", len(got), len(want)+16)
		}
	})
}

// TestEachThroughTLSInterrupted ends a wait that the layer is not part of.
func TestEachThroughTLSInterrupted(t *testing.T) {
	c, peer := pair(t)
	secured(t, c, peer)
	time.AfterFunc(20*time.Millisecond, c.InterruptRead)
	if err := c.Each(NewPool(16), func(*[]byte, int) bool { return true }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}
