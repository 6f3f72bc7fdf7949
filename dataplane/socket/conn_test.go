package socket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func pair(t *testing.T) (ours *Conn, theirs *net.TCPConn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return New(b), a.(*net.TCPConn)
}

func TestReceive(t *testing.T) {
	c, peer := pair(t)
	pool := NewPool(4)
	go io.WriteString(peer, "hello")
	for got := ""; got != "hello"; {
		buf, n, err := c.Receive(pool)
		if err != nil || n < 1 || n > 4 {
			t.Fatal(n, err)
		}
		got += string((*buf)[:n])
		pool.Put(buf)
	}
	time.AfterFunc(20*time.Millisecond, c.InterruptRead)
	if buf, _, err := c.Receive(pool); buf != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("interrupted: %v", err)
	}
	c.SetReadDeadline(time.Time{})
	peer.CloseWrite()
	if buf, _, err := c.Receive(pool); buf != nil || err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestReceiveFromOther works on what is no socket, holding a buffer.
func TestReceiveFromOther(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	go func() { io.WriteString(b, "hi"); b.Close() }()
	c, pool := New(a), NewPool(8)
	if buf, n, err := c.Receive(pool); err != nil || string((*buf)[:n]) != "hi" {
		t.Error(n, err)
	}
	if _, _, err := c.Receive(pool); err != io.EOF {
		t.Error(err)
	}
	if !c.Quiet() || c.Peek(nil, nil) == nil || c.Control(func(uintptr) {}) {
		t.Error("more than a pipe can do")
	}
}

func TestQuiet(t *testing.T) {
	c, peer := pair(t)
	if !c.Quiet() {
		t.Error("not quiet at first")
	}
	io.WriteString(peer, "x")
	quiet := func() bool { return !c.Quiet() }
	eventually(t, quiet)
	io.ReadFull(c, make([]byte, 1))
	if !c.Quiet() {
		t.Error("not quiet after reading")
	}
	peer.Close()
	eventually(t, quiet)
}

func TestPeek(t *testing.T) {
	c, peer := pair(t)
	go func() {
		for _, b := range []byte("abc") {
			peer.Write([]byte{b})
			<-time.After(time.Millisecond)
		}
	}()
	var buf [8]byte
	if err := c.Peek(buf[:], func(got []byte) bool { return string(got) == "abc" }); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(c, buf[:3]); string(buf[:n]) != "abc" {
		t.Errorf("%q, %v: something was consumed", buf[:n], err)
	}
	peer.Close()
	if err := c.Peek(buf[:], func([]byte) bool { return true }); err != io.EOF {
		t.Error(err)
	}
}

func TestReset(t *testing.T) {
	c, peer := pair(t)
	c.Reset()
	if _, err := peer.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Error(err)
	}
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
		<-time.After(time.Millisecond)
	}
}

// raw gives a connection of a descriptor of its own, as accept does, and its peer.
func raw(t *testing.T) (ours *Conn, theirs *net.TCPConn) {
	direct(t)
	accepted, peer := pair(t)
	file, err := accepted.nc.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	file.Close()
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	c := FromDescriptor(fd, peer.LocalAddr().(*net.TCPAddr).AddrPort())
	t.Cleanup(func() { c.Close() })
	return c, peer
}

// direct skips what needs sockets to be used directly.
func direct(t *testing.T) {
	if !Direct {
		t.Skip("built with the tag netconn")
	}
}

// both runs a test on a connection that Go's poller knows already and on one that it does not know yet.
func both(t *testing.T, test func(t *testing.T, c *Conn, peer *net.TCPConn)) {
	t.Run("known", func(t *testing.T) { c, peer := pair(t); test(t, c, peer) })
	t.Run("unknown", func(t *testing.T) { c, peer := raw(t); test(t, c, peer) })
}

// TestEach: every byte comes once, in its order, however it was cut, and also those that came with the end.
func TestEach(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, peer *net.TCPConn) {
		pool, got, turns := NewPool(4), "", make(chan int, 100)
		ended := make(chan error)
		go func() {
			ended <- c.Each(pool, func(buf *[]byte, n int) bool {
				got += string((*buf)[:n])
				pool.Put(buf)
				turns <- len(got)
				return true
			})
		}()
		want := ""
		for _, piece := range []string{"a", "bcd", "exactly8", "more than the buffer holds", "", "z"} {
			io.WriteString(peer, piece)
			want += piece
			for n := 0; n < len(want) && piece != ""; n = <-turns {
			}
		}
		io.WriteString(peer, "last")
		peer.CloseWrite()
		if err := <-ended; err != io.EOF && !ends(c, err) || got != want+"last" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// ends says whether err is that of a read which was interrupted since the connection has ended.
func ends(c *Conn, err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) && c.Ended() }

// TestEachLeaves: who has to read leaves Each, reads, and comes back; nothing that came meanwhile is missed.
func TestEachLeaves(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, peer *net.TCPConn) {
		pool := NewPool(16)
		wait := func() (got string) {
			if err := c.Each(pool, func(buf *[]byte, n int) bool {
				got = string((*buf)[:n])
				pool.Put(buf)
				if c.Inside() {
					if _, err := c.Read(make([]byte, 1)); err != errInside {
						t.Errorf("a read inside: %v", err)
					}
				}
				return false
			}); err != nil {
				t.Fatal(err)
			}
			return got
		}
		for range 3 {
			io.WriteString(peer, "head")
			if got := wait(); got != "head" {
				t.Fatalf("%q", got)
			}
			go io.WriteString(peer, "body")
			body := make([]byte, 4)
			if _, err := io.ReadFull(c, body); err != nil || string(body) != "body" {
				t.Fatalf("%q, %v", body, err)
			}
		}
		c.InterruptRead()
		if err := c.Each(pool, func(*[]byte, int) bool { return true }); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("interrupted: %v", err)
		}
	})
}

// TestSendReceive: the request goes out and its answer comes back, also when the request is larger than the socket takes.
func TestSendReceive(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, peer *net.TCPConn) {
		pool := NewPool(64)
		for _, size := range []int{1, 1000, 8 << 20} {
			go func() {
				n, err := io.CopyN(io.Discard, peer, int64(size))
				fmt.Fprintf(peer, "%d %v", n, err)
			}()
			buf, n, sendErr, err := c.SendReceive(bytes.Repeat([]byte("x"), size), pool)
			if sendErr != nil || err != nil || string((*buf)[:n]) != fmt.Sprintf("%d <nil>", size) {
				t.Fatal(size, n, sendErr, err)
			}
			pool.Put(buf)
		}
	})
}

// TestSendReceiveEarlyAnswer: what the peer said before it went is received although the request is not sent.
func TestSendReceiveEarlyAnswer(t *testing.T) {
	direct(t)
	c, peer := pair(t)
	io.WriteString(peer, "go away")
	peer.Close()
	eventually(t, func() bool { return !c.Quiet() })
	eventually(t, func() bool { _, err := c.Write([]byte("x")); return err != nil })
	pool := NewPool(64)
	buf, n, sendErr, err := c.SendReceive([]byte("request"), pool)
	if err == nil && string((*buf)[:n]) != "go away" {
		t.Errorf("%q", (*buf)[:n])
	}
	if err == nil && sendErr == nil {
		t.Error("nobody is told that the request was not sent")
	}
}

// TestNudge: an end whose edge is over is found from outside.
func TestNudge(t *testing.T) {
	direct(t)
	c, peer := pair(t)
	if c.Ended() {
		t.Error("it has ended")
	}
	pool := NewPool(8)
	peer.CloseWrite()
	eventually(t, c.Ended)
	failed := make(chan error)
	go func() {
		_, _, _, err := c.SendReceive([]byte("x"), pool)
		failed <- err
	}()
	var b [1]byte
	if _, err := io.ReadFull(peer, b[:]); err != nil { // sent: now it waits
		t.Fatal(err)
	}
	c.Nudge()
	if err := <-failed; err != io.EOF {
		t.Error(err)
	}
	if _, err := c.Read(b[:]); err != io.EOF {
		t.Errorf("again: %v", err)
	}
}

func TestGather(t *testing.T) {
	both(t, func(t *testing.T, c *Conn, peer *net.TCPConn) {
		large := bytes.Repeat([]byte("y"), 8<<20)
		go func() {
			if err := c.Gather([]byte("ab"), nil, large, []byte("c")); err != nil {
				t.Error(err)
			}
			c.CloseWrite()
		}()
		got, err := io.ReadAll(peer)
		if err != nil || string(got[:2]) != "ab" || len(got) != len(large)+3 || got[len(got)-1] != 'c' {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

// TestSplice: what comes on one connection goes out on another through a pipe, whole, however slowly the other takes it; a
// pipe that is left full is used by nobody else.
func TestSplice(t *testing.T) {
	direct(t)
	both(t, func(t *testing.T, from *Conn, source *net.TCPConn) {
		to, sink := pair(t)
		var all Pipes
		pipe, err := all.Get()
		if err != nil {
			t.Fatal(err)
		}
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		go func() {
			source.Write(want)
			source.CloseWrite()
		}()
		got := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(sink)
			got <- b
		}()
		for total := int64(0); ; {
			n, err := from.Fill(pipe, int64(len(want))-total+1)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if total += int64(n); n > pipeSize {
				t.Fatalf("%d bytes at once", n)
			}
			if err := to.Drain(pipe); err != nil {
				t.Fatal(err)
			}
		}
		to.CloseWrite()
		if b := <-got; !bytes.Equal(b, want) {
			t.Errorf("%d bytes, want %d", len(b), len(want))
		}
		all.Put(pipe)

		other, peer := pair(t)
		io.WriteString(peer, "secret")
		full, _ := all.Get()
		if _, err := other.Fill(full, 100); err != nil {
			t.Fatal(err)
		}
		all.Put(full)
		if next, _ := all.Get(); next.n != 0 {
			t.Error("a pipe with somebody else's bytes")
		}
	})
}
