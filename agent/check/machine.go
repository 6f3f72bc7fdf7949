package check

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LookAtMachine finds out what of this host concerns every application.
func LookAtMachine() Machine {
	m := Machine{Arch: runtime.GOARCH, Calls: broken(calls())}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	musl, _ := filepath.Glob("/lib/ld-musl-*.so.1")
	glibc, _ := filepath.Glob("/lib*/ld-linux*.so.*")
	m.Musl = len(musl) > 0 && len(glibc) == 0
	if text, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances"); err == nil {
		m.WatcherLimit, _ = strconv.Atoi(strings.TrimSpace(string(text)))
	}
	return m
}

// call is a system call, and how to try it without doing anything.
type call struct {
	name   string
	dotnet bool
	try    func() error
}

// calls are those that the agent uses beside what every program does, and those without which .NET 10 was seen to end at its
// start: of memfd_create, membarrier, eventfd2 and others it does without.
func calls() []call {
	return []call{
		{"epoll_create1", false, func() error { return opened(unix.EpollCreate1(unix.EPOLL_CLOEXEC)) }},
		{"splice", false, trySplice},
		{"prctl(PR_GET_CHILD_SUBREAPER)", false, func() error {
			var is int32
			return unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&is)), 0, 0, 0)
		}},
		{"inotify_init1", false, func() error {
			err := opened(unix.InotifyInit1(unix.IN_CLOEXEC))
			if errors.Is(err, unix.EMFILE) { // there are none left, which is another finding
				return nil
			}
			return err
		}},
		{"sched_getaffinity", true, func() error { var set unix.CPUSet; return unix.SchedGetaffinity(0, &set) }},
		{"prlimit64", true, func() error { var l unix.Rlimit; return unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &l) }},
		{"sysinfo", true, func() error { var i unix.Sysinfo_t; return unix.Sysinfo(&i) }},
	}
}

func broken(all []call) (wrong []Call) {
	for _, c := range all {
		if err := c.try(); err != nil {
			wrong = append(wrong, Call{Name: c.name, Why: err.Error(), DotNet: c.dotnet})
		}
	}
	return wrong
}

func opened(fd int, err error) error {
	if err == nil {
		err = unix.Close(fd)
	}
	return err
}

// trySplice moves nothing from one empty pipe to another.
func trySplice() error {
	var a, b [2]int
	if err := unix.Pipe2(a[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return err
	}
	defer closeBoth(a)
	if err := unix.Pipe2(b[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return err
	}
	defer closeBoth(b)
	if _, err := unix.Splice(a[0], nil, b[1], nil, 1, unix.SPLICE_F_NONBLOCK); err != nil && !errors.Is(err, unix.EAGAIN) {
		return err
	}
	return nil
}

func closeBoth(pipe [2]int) {
	_ = unix.Close(pipe[0])
	_ = unix.Close(pipe[1])
}

// watchers counts the inotify instances that a user has open, as far as this process may see them.
func watchers(uid uint32) int {
	count := 0
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range processes {
		info, err := os.Stat(dir)
		if err != nil {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != uid {
			continue
		}
		files, _ := os.ReadDir(filepath.Join(dir, "fd"))
		for _, f := range files {
			if target, err := os.Readlink(filepath.Join(dir, "fd", f.Name())); err == nil && target == "anon_inode:inotify" {
				count++
			}
		}
	}
	return count
}
