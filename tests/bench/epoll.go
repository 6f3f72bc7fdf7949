package main

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epoll tells which descriptors have something to do. Nothing is allocated once it is made: its loops never collect garbage.
type epoll struct {
	fd     int
	events []unix.EpollEvent
}

// newEpoll makes one that tells of so many descriptors at once.
func newEpoll(most int) (epoll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return epoll{fd, make([]unix.EpollEvent, most)}, err
}

func (e *epoll) watch(fd int, events uint32) error {
	return unix.EpollCtl(e.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// wait waits for as long as it takes, and holds its processor meanwhile.
func (e *epoll) wait() ([]unix.EpollEvent, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_WAIT, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), ^uintptr(0), 0, 0)
	return e.ready(n, errno)
}

// waitFor waits at most for so long, to the nanosecond, and lets others have its processor.
func (e *epoll) waitFor(most time.Duration) ([]unix.EpollEvent, error) {
	limit := unix.NsecToTimespec(int64(most))
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.fd), uintptr(unsafe.Pointer(&e.events[0])), uintptr(len(e.events)), uintptr(unsafe.Pointer(&limit)), 0, 0)
	return e.ready(n, errno)
}

func (e *epoll) ready(n uintptr, errno unix.Errno) ([]unix.EpollEvent, error) {
	switch errno {
	case 0:
		return e.events[:n], nil
	case unix.EINTR:
		return nil, nil
	}
	return nil, errno
}

// receive gives take what there is, one receive at a time, until there is no more. It reports false when the connection has
// ended or take says so.
func receive(fd int, buf []byte, take func([]byte) bool) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EAGAIN:
			return true
		case errno != 0 || n == 0 || !take(buf[:n]):
			return false
		case int(n) < len(buf):
			return true
		}
	}
}

// send sends what is taken at once, and without MSG_DONTWAIT all of it. It raises no signal.
func send(fd int, b []byte, flags uintptr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), flags|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}
