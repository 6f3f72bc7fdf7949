package ingress

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/socket"
)

// accept returns when the socket is closed or broken. A process that is out of descriptors gets some back by waiting.
func (l *Listener) accept() error {
	const longest = time.Second
	take := l.acceptOne
	if l.file != nil {
		if raw, err := l.file.SyscallConn(); err == nil {
			take = func() error { return l.acceptDirect(raw) }
		}
	}
	for pause := time.Duration(0); ; {
		begin := time.Now()
		err := take()
		if err == nil {
			pause = 0
			continue
		}
		var errno unix.Errno
		if l.draining.Load() || !errors.As(err, &errno) || errno == unix.EBADF || errno == unix.EINVAL {
			return err
		}
		if time.Since(begin) > longest { // it went well for a while
			pause = 0
		}
		pause = min(max(2*pause, 5*time.Millisecond), longest)
		l.log.Warn("cannot accept", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-l.life.Done():
			return err
		}
	}
}

func (l *Listener) acceptOne() error {
	nc, err := l.ln.Accept()
	if err == nil {
		l.give(newConn(l, socket.New(nc), addrPort(nc.RemoteAddr())))
	}
	return err
}

// open prepares the socket. A TCP listener of package net cannot be accepted from past it, a file of the same socket can.
func (l *Listener) open() {
	if tcp, ok := l.ln.(*net.TCPListener); ok && socket.Direct {
		if file, err := tcp.File(); err == nil {
			l.file = file
		}
	}
	l.inherit()
}

// shut ends accept.
func (l *Listener) shut() {
	_ = l.ln.Close() // by one of the two that end it
	if l.file != nil {
		_ = l.file.Close()
	}
}

// acceptDirect accepts until that fails. What net sets on every connection the listening socket has, and they inherit it.
func (l *Listener) acceptDirect(raw syscall.RawConn) error {
	var result error
	err := raw.Read(func(ln uintptr) bool {
		for {
			var sa unix.RawSockaddrAny
			size := uint32(unsafe.Sizeof(sa))
			fd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, ln, uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
			switch errno {
			case 0:
				client := peerOf(&sa)
				l.give(newConn(l, socket.FromDescriptor(int(fd), client), client))
			case unix.EAGAIN:
				return false
			case unix.EINTR, unix.ECONNABORTED: // the client was faster
			default:
				result = errno
				return true
			}
		}
	})
	return errors.Join(err, result)
}

func peerOf(sa *unix.RawSockaddrAny) netip.AddrPort {
	port := func(p *uint16) uint16 {
		b := (*[2]byte)(unsafe.Pointer(p))
		return uint16(b[0])<<8 | uint16(b[1])
	}
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), port(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), port(&in.Port))
	}
	return netip.AddrPort{}
}

// give lets a worker serve the connection: one that is free, whose stack has grown already, else a new one.
func (l *Listener) give(c *conn) {
	select {
	case l.free <- c:
	default:
		l.serving.Go(func() { l.work(c) })
	}
}

// work serves one connection after the other until there are no more, or the sweep finds that too many workers are free.
func (l *Listener) work(c *conn) {
	for {
		l.serve(c)
		c = nil // it is garbage while the worker waits
		l.idle.Add(1)
		select {
		case c = <-l.free:
		case <-l.retire:
		}
		l.idle.Add(-1)
		if c == nil {
			return
		}
	}
}

// retireWorkers ends the free workers that a burst has left, half of them a second.
func (l *Listener) retireWorkers() {
	for n := (l.idle.Load() + 1) / 2; n > 0; n-- {
		select {
		case l.retire <- struct{}{}:
		default:
			return
		}
	}
}

// unsentMost is how many bytes of an answer may wait in the kernel that the client's window has no room for. Without it a
// client that reads nothing holds megabytes that are nobody's account, and looks like one that has its answer.
const unsentMost = 128 << 10

// inherit sets what accepted sockets inherit, so that it costs nothing per connection: no delay of small segments, probes
// of peers that are silent, and an end of those that acknowledge nothing. A socket for multipath TCP, which net.Listen makes
// unless told otherwise, does not know all of it.
func (l *Listener) inherit() {
	const (
		probeAfter = 15 // seconds, as net has it
		limit      = 60 * time.Second
		// Every client speaks first, in every protocol we serve: a connection comes to us with its first bytes, and one that
		// stays silent after this many seconds. A connection for one request is not waited for a second time then.
		silent = 1
	)
	s, ok := l.ln.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := s.SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) {
			for _, o := range [...][3]int{
				{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
				{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, probeAfter}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, probeAfter},
				{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(limit.Milliseconds())},
				{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMost},
				{unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, silent},
			} {
				err = errors.Join(err, unix.SetsockoptInt(int(fd), o[0], o[1], o[2]))
			}
		}), err)
	}
	if err != nil {
		l.log.Debug("dead peers are noticed late", "error", err)
	}
}
