package keeper

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/keeper/protocol"
	"github.com/ancora-fleet/ancora/dataplane/proctree"
)

const (
	firstPause  = 100 * time.Millisecond
	longest     = 5 * time.Second
	provenAfter = 10 * time.Second
)

// worker is the replaceable process of the agent.
type worker struct {
	pid      int
	conn     *protocol.Conn
	started  time.Time
	pause    time.Duration
	restart  <-chan time.Time
	code     int
	finished bool // it ended with code 0: there is nothing more to do
}

func (w *worker) kill() {
	if w.pid != 0 {
		_ = unix.Kill(w.pid, unix.SIGKILL)
	}
}

func (k *Keeper) startWorker() {
	k.worker.restart = nil
	if err := k.forkWorker(); err != nil {
		k.log.Error("worker does not start", "error", err)
		k.pauseWorker()
		return
	}
	k.worker.started, k.worker.code = time.Now(), 0
}

func (k *Keeper) forkWorker() error {
	conn, theirs, err := protocol.Pair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	env := []string{protocol.FDVariable + "=3", proctree.MarkVariable + "=" + k.id + "/worker"}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, protocol.FDVariable+"=") && !strings.HasPrefix(v, proctree.MarkVariable+"=") {
			env = append(env, v)
		}
	}
	pid, err := syscall.ForkExec("/proc/self/exe", append([]string{os.Args[0]}, k.config.Args...), &syscall.ProcAttr{
		Env: env, Files: []uintptr{0, 1, 2, theirs.Fd()}, Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		_ = conn.Close()
		return fmt.Errorf("keeper: fork: %w", err)
	}
	k.childStarted()
	k.worker.pid, k.worker.conn = pid, conn
	k.greet()
	go k.serve(conn)
	return nil
}

// greet tells a new worker what is held, so that it adopts by identity and never by guessing.
func (k *Keeper) greet() {
	k.send(protocol.Message{Kind: protocol.KindHello, Version: protocol.Version, PID: os.Getpid(), Mark: k.id}, nil)
	for _, i := range k.instances {
		k.send(i.message(), nil)
	}
	for name, l := range k.listeners {
		k.send(protocol.Message{Kind: protocol.KindListener, Name: name, Address: l.address}, nil)
	}
	k.send(protocol.Message{Kind: protocol.KindReady}, nil)
	if k.stopping {
		k.send(protocol.Message{Kind: protocol.KindStop}, nil)
	}
}

func (k *Keeper) send(m protocol.Message, file *os.File) {
	if k.worker.conn == nil {
		return
	}
	if err := k.worker.conn.Send(m, file); err != nil {
		k.log.Debug("message not sent", "kind", m.Kind, "error", err)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			k.log.Warn("the worker does not listen, ending it", "pid", k.worker.pid)
			k.worker.kill()
		}
	}
}

// serve reads one worker's requests; they are answered in the loop.
func (k *Keeper) serve(conn *protocol.Conn) {
	for {
		var r protocol.Request
		file, err := conn.Receive(&r)
		if file != nil {
			_ = file.Close()
		}
		if err != nil {
			_ = conn.Close() // the worker is gone, or sent what is no request and must go: its exit is what counts
			return
		}
		k.call(func() {
			if k.worker.conn == conn {
				k.handle(r)
			}
		})
	}
}

func (k *Keeper) workerExited(exit protocol.Exit) {
	_ = k.worker.conn.Close()
	up := time.Since(k.worker.started)
	k.worker.pid, k.worker.conn, k.worker.code = 0, nil, exit.Code
	if exit.Signal == 0 && exit.Code == 0 {
		k.worker.finished = true
		return
	}
	if k.stopping || exit.Code == UsageError {
		return
	}
	k.log.Warn("worker ended, starting another", "code", exit.Code, "signal", exit.Signal)
	if up >= provenAfter {
		k.worker.pause = 0
	}
	k.pauseWorker()
}

// pauseWorker starts the next worker at once the first time, then after pauses that double up to 5 s.
func (k *Keeper) pauseWorker() {
	k.worker.restart = time.After(k.worker.pause)
	k.worker.pause = min(max(2*k.worker.pause, firstPause), longest)
}
