package capture

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Pipe gives the writing end of a new pipe, an ordinary one for an application; what comes out of it is captured until
// its last writer is gone.
func (w *Writer) Pipe(s Stream) (*os.File, error) {
	fds := [2]int{}
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	reader := os.NewFile(uintptr(fds[0]), s.String())
	w.mu.Lock()
	w.readers = append(w.readers, reader)
	w.mu.Unlock()
	w.pipes.Go(func() { w.follow(s, reader) })
	return os.NewFile(uintptr(fds[1]), s.String()), nil
}

func (w *Writer) follow(s Stream, reader *os.File) {
	defer reader.Close()
	raw, err := reader.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		for {
			n, err := w.Splice(s, int(fd))
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN):
				return false
			case err != nil || n == 0:
				return true
			}
		}
	})
}

// FinishLimit is how long the end of a run waits for its pipes to be closed.
const FinishLimit = time.Second

// Finish ends the run and closes its files. It is for when the processes of the run are gone: their output is in the pipes
// or captured. Should somebody else have been passed a pipe's writing end, it is no longer listened to after FinishLimit.
func (w *Writer) Finish() error {
	w.mu.Lock()
	w.over = true
	for _, reader := range w.readers {
		_ = reader.SetReadDeadline(time.Now().Add(FinishLimit))
	}
	w.mu.Unlock()
	w.pipes.Wait()
	return errors.Join(w.End(), w.Close())
}
