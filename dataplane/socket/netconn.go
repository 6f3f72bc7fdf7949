//go:build netconn

package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const Direct = false

func recv(int, []byte, int) (int, syscall.Errno) { return 0, syscall.ENOSYS }

func send(int, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

func gather(int, []unix.Iovec) (int, syscall.Errno) { return 0, syscall.ENOSYS }
