package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
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
