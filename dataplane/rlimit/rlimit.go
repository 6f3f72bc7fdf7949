// Package rlimit reads and lends the limit of stacks that processes inherit: the kernel knows no other way to give a program
// one of its own before its first instruction.
package rlimit

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Stack gives the limit of this process in bytes; the largest number is none.
func Stack() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_STACK, &l) != nil {
		return 0
	}
	return l.Cur
}

// WithStack runs start with the limit raised to bytes; a lower one, and 0, change nothing. Everything the process starts meanwhile
// inherits it, so it is for one that starts one program at a time.
func WithStack(bytes uint64, start func() error) error {
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &before); err != nil {
		return err
	}
	if bytes <= before.Cur {
		return start()
	}
	raised := unix.Rlimit{Cur: bytes, Max: max(bytes, before.Max)}
	if err := unix.Setrlimit(unix.RLIMIT_STACK, &raised); err != nil {
		return fmt.Errorf("raise the limit of stacks to %d bytes, at most %d are allowed here: %w", bytes, before.Max, err)
	}
	// Who may raise the upper limit may lower it again.
	defer func() { _ = unix.Setrlimit(unix.RLIMIT_STACK, &before) }()
	return start()
}
