package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// fork leaves a lingering process behind that a kill of one pid, of one process group or of one session does not reach.
func fork(kind string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"linger"}
	attr := &syscall.SysProcAttr{}
	switch kind {
	case "plain":
	case "setsid":
		attr.Setsid = true
	case "double":
		// The middle process starts the last one in a session of its own and ends, so the last one has no parent here.
		attr.Setsid = true
		args = []string{"linger", "again"}
	default:
		return fmt.Errorf("childapp: fork %q: plain, setsid and double are known", kind)
	}
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, attr
	if err := cmd.Start(); err != nil {
		return err
	}
	fmt.Printf("childapp forked pid=%d kind=%s\n", cmd.Process.Pid, kind)
	go func() { _ = cmd.Wait() }()
	return nil
}

func linger() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	if len(os.Args) > 2 {
		if err := fork("setsid"); err != nil {
			fatal(err.Error())
		}
		return
	}
	for { // not select{}: without cgo the runtime takes that for a deadlock
		time.Sleep(time.Hour)
	}
}

// serveFromChild starts the server as a child, as `dotnet run` and batch wrappers do, and ends when it does; or at once.
func serveFromChild(waits bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if !waits {
		return cmd.Start()
	}
	return cmd.Run()
}
