package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const (
	slowConnections = 4000
	slowSources     = 400 // addresses of 127.0.0.0/8
	slowShip        = "all ways, the good client's address"
)

func slowAttacks() (names []string) {
	for _, way := range lab.SlowWays() {
		names = append(names, way.Name)
	}
	return append(names, slowShip)
}

// assault lets a child process attack for so long. Pinned, it has the first processor and no other.
func assault(name, address string, length time.Duration, pinned bool) (said string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(self, "-child", name, address, length.String())
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with the goroutine, as it has what the child inherits
		var err error
		if pinned {
			var first unix.CPUSet
			first.Set(0)
			err = unix.SchedSetaffinity(0, &first)
		}
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil { // Pdeathsig means this thread
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return "", err
	}
	select {
	case err = <-ended:
	case <-time.After(length + lab.Deadline):
		_ = cmd.Process.Kill()
		err = errors.New("the attacker does not end")
	}
	return strings.TrimSpace(out.String()), err
}

// attackAsChild is what the child process does: NAME ADDRESS LENGTH.
func attackAsChild(args []string) error {
	if len(args) != 3 {
		return errors.New("-child NAME ADDRESS LENGTH")
	}
	length, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), length)
	defer cancel()
	if name, ok := strings.CutPrefix(args[0], "h2 "); ok {
		return attackH2(ctx, name, args[1])
	}
	attackSlowly(ctx, strings.TrimPrefix(args[0], "slow "), args[1])
	return nil
}

func attackSlowly(ctx context.Context, name, address string) {
	var attackers sync.WaitGroup
	var cut atomic.Int64
	ways := lab.SlowWays()
	for n := range slowConnections {
		way := ways[n%len(ways)]
		from := &net.TCPAddr{IP: goodAddress()}
		if name != slowShip {
			for _, w := range ways {
				if w.Name == name {
					way = w
				}
			}
			from.IP = net.IPv4(127, 1, byte(n%slowSources/200), byte(1+n%200))
		}
		attackers.Go(func() { way.Attack(ctx, address, from, &cut) })
	}
	attackers.Wait()
	fmt.Println(cut.Load(), "cut")
}
