package socket

import (
	"net/netip"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestShared: who writes while another closes reaches nobody else, although the descriptor is somebody else's at once.
func TestShared(t *testing.T) {
	direct(t)
	couple := func() (ours, theirs int) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		return fds[0], fds[1]
	}
	var leaked [16]byte
	for n := range 3000 {
		ours, theirs := couple()
		c := FromDescriptor(ours, netip.AddrPort{})
		if err := c.Share(); err != nil {
			t.Fatal(err)
		}
		var writing sync.WaitGroup
		begun := make(chan struct{})
		writing.Go(func() {
			close(begun)
			for {
				if _, err := c.Write([]byte("secret")); err != nil {
					return
				}
			}
		})
		<-begun
		if n%2 == 0 {
			syscall.Read(theirs, leaked[:]) // so that it is in the middle of it
		}
		c.Close()
		next, other := couple()
		writing.Wait()
		if got, err := syscall.Read(other, leaked[:]); err != syscall.EAGAIN {
			t.Fatalf("%d times closed: the next one gets %q, %v", n+1, leaked[:max(got, 0)], err)
		}
		for _, fd := range []int{theirs, next, other} {
			syscall.Close(fd)
		}
	}
}
