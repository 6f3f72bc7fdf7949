package store

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// lock keeps a second controller off a data directory until unlock is called or this process ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s is in use by another controller: %w", path, err)
	}
	return func() { f.Close() }, nil
}
