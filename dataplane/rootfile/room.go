package rootfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// spare is how much of a file system is left to others, in bytes; of a small one a twentieth.
const spare = 64 << 20

// Room says whether so many bytes may be written to a file without taking the last of its file system from others.
func Room(file *os.File, bytes int64) (bool, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(file.Fd()), &s); err != nil {
		return false, &os.PathError{Op: "statfs", Path: file.Name(), Err: err}
	}
	if s.Blocks == 0 {
		return true, nil // one that has no size, as some shares
	}
	free, all := int64(s.Bavail)*s.Bsize, int64(s.Blocks)*s.Bsize
	return free-bytes >= min(spare, all/20), nil
}
