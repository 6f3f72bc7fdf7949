package rootfile

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

// As calls do with the file rights of owner, and no more. Linux keeps whom the file system sees, and the groups, for each
// thread, so a thread of its own takes them on. It never gives them back: its goroutine ends locked to it, with which Go
// ends the thread, and no other goroutine can ever run as somebody else. Taking on a user other than root also drops the
// thread's powers over files, so what is created belongs to the owner and what the owner may not open is not opened. What
// do opens may be written to from any thread.
//
// The package syscall would change all threads of the process; that is why the calls are raw.
func As(owner *process.Credential, do func() error) error {
	if owner == nil || os.Geteuid() != 0 {
		return do()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := become(owner); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

func become(owner *process.Credential) error {
	groups := append([]uint32{owner.GID}, owner.Groups...)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); errno != 0 {
		return fmt.Errorf("groups %v: %w", groups, errno)
	}
	if err := switched("group", owner.GID, unix.SetfsgidRetGid); err != nil {
		return err
	}
	return switched("user", owner.UID, unix.SetfsuidRetUid)
}

// switched says whether the kernel took the number: these two calls have no other way to fail than to change nothing.
func switched(what string, id uint32, set func(int) (int, error)) error {
	if _, err := set(int(id)); err != nil {
		return fmt.Errorf("%s %d: %w", what, id, err)
	}
	if now, err := set(-1); err != nil || now != int(id) {
		return fmt.Errorf("%s %d: the kernel does not let the agent take it on (%d): %v", what, id, now, err)
	}
	return nil
}
