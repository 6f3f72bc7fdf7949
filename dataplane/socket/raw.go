package socket

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below never wait, so they are made without telling the scheduler: the pair of entersyscall and exitsyscall
// costs as much as a small receive, and what waits is Go's poller. A stop of the world waits for one of them at most.

func recv(fd int, p []byte, flags int) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), uintptr(flags|syscall.MSG_DONTWAIT), 0, 0)
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}

func send(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}

// shut closes a socket, which never waits: what is unsent the system sends by itself.
func shut(fd int) error {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0); errno != 0 && errno != syscall.EINTR { // closed in any case
		return os.NewSyscallError("close", errno)
	}
	return nil
}

// gather sends several pieces with one call.
func gather(fd int, vecs []unix.Iovec) (int, syscall.Errno) {
	message := unix.Msghdr{Iov: unsafe.SliceData(vecs)}
	message.SetIovlen(len(vecs))
	for {
		n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		if errno != syscall.EINTR {
			return int(n), errno
		}
	}
}
