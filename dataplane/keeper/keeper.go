// Package keeper is the small parent of all application processes. It forks and reaps them, moves their output into
// capture files, holds the listening sockets, and restarts the worker, which does everything else. It knows no HTTP, no
// gRPC and no config, so that it needs no upgrade and a crash of the worker touches no application.
package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/datadir"
	"github.com/ancora-fleet/ancora/dataplane/keeper/protocol"
	"github.com/ancora-fleet/ancora/dataplane/proctree"
)

// Config is for New.
type Config struct {
	// DataDir is locked: one keeper each.
	DataDir string
	// Args are the worker's arguments, without the program's name; it is the keeper's own program.
	Args []string
	// StopTimeout is how long the worker may take to stop its instances before all is killed. Default 650 s: above the
	// longest shutdownTimeLimit.
	StopTimeout time.Duration
	Logger      hclog.Logger
}

// UsageError is the code with which a worker ends when no restart mends what is wrong (EX_USAGE). It is not 2, with which a
// program ends that panics: that one must be started again.
const UsageError = 64

// WorkerExit says that the worker ended with a code that no restart mends.
type WorkerExit struct{ Code int }

func (e *WorkerExit) Error() string {
	return fmt.Sprintf("keeper: the worker ended with code %d", e.Code)
}

// Keeper is one keeper. All its state belongs to the loop of Run.
type Keeper struct {
	config    Config
	log       hclog.Logger
	id        string // of the data directory, the beginning of every mark
	do        chan func()
	ended     chan struct{}
	children  chan struct{} // a child was started: the reaper has something to wait for
	instances map[string]*instance
	listeners map[string]*listener
	runs      map[string]*capture.Writer // by directory, of instances that are held or were a moment ago
	worker    worker
	stopping  bool
	ending    sync.WaitGroup // runs being finished
}

// New makes a keeper. Run starts it.
func New(config Config) *Keeper {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.StopTimeout == 0 {
		config.StopTimeout = 650 * time.Second
	}
	return &Keeper{
		config: config, log: config.Logger, do: make(chan func()), ended: make(chan struct{}), children: make(chan struct{}, 1),
		instances: map[string]*instance{}, listeners: map[string]*listener{}, runs: map[string]*capture.Writer{},
	}
}

// Run keeps worker and instances until ctx ends or the worker stops by itself; then nothing it started is left. A worker
// that ends with UsageError gives a *WorkerExit.
func (k *Keeper) Run(ctx context.Context) error {
	lock, err := datadir.Lock(k.config.DataDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if k.id, err = datadir.ID(k.config.DataDir); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("keeper: become subreaper: %w", err)
	}
	unix.Umask(0o022)
	if err := errors.Join(closeOnExec(), k.endLeftovers()); err != nil {
		return err
	}
	// Reaping and looping need few objects; a small heap is worth more than speed here.
	debug.SetGCPercent(20)
	defer close(k.ended)
	go k.reap()
	k.startWorker()
	defer k.endAll()
	return k.loop(ctx)
}

func (k *Keeper) loop(ctx context.Context) error {
	stop, limit := ctx.Done(), (<-chan time.Time)(nil)
	free := time.NewTimer(5 * time.Second)
	defer free.Stop()
	for {
		select {
		case f := <-k.do:
			f()
		case <-free.C:
			debug.FreeOSMemory()
		case <-k.worker.restart:
			k.startWorker()
		case <-stop:
			stop, k.stopping = nil, true
			limit = time.After(k.config.StopTimeout)
			k.worker.restart = nil
			k.send(protocol.Message{Kind: protocol.KindStop}, nil)
		case <-limit:
			k.log.Warn("the worker does not stop, ending everything")
			k.worker.kill()
			return nil
		}
		if over, err := k.over(); over {
			return err
		}
	}
}

// over says whether the worker's end is the keeper's too.
func (k *Keeper) over() (bool, error) {
	if k.worker.pid != 0 {
		return false, nil
	}
	switch {
	case k.stopping, k.worker.finished:
		return true, nil
	case k.worker.code == UsageError:
		return true, &WorkerExit{UsageError}
	}
	return false, nil
}

// call runs f in the loop.
func (k *Keeper) call(f func()) {
	select {
	case k.do <- f:
	case <-k.ended:
	}
}

// reap waits for every child, also for those that were reparented here: nothing stays a zombie.
func (k *Keeper) reap() {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == nil:
			exit := protocol.Exit{Code: status.ExitStatus(), Time: time.Now()}
			if status.Signaled() {
				exit.Code, exit.Signal = 0, int(status.Signal())
			}
			k.call(func() { k.exited(pid, exit) })
		case errors.Is(err, unix.ECHILD):
			select {
			case <-k.children:
			case <-k.ended:
				return
			}
		}
	}
}

func (k *Keeper) childStarted() {
	select {
	case k.children <- struct{}{}:
	default:
	}
}

func (k *Keeper) exited(pid int, exit protocol.Exit) {
	if pid == k.worker.pid {
		k.workerExited(exit)
		return
	}
	for _, i := range k.instances {
		if i.PID == pid && i.exit == nil {
			i.exit = &exit
			k.send(protocol.Message{Kind: protocol.KindExit, ID: i.id, PID: pid, Exit: &exit}, nil)
			k.save()
			return
		}
	}
}

// endAll kills what descends from this process and closes what is open.
func (k *Keeper) endAll() {
	if err := proctree.KillDescendants(); err != nil {
		k.log.Error("not all is ended", "error", err)
	}
	for _, i := range k.instances {
		k.forget(i)
	}
	for _, l := range k.listeners {
		_ = l.file.Close()
	}
	k.ending.Wait()
}

// closeOnExec keeps what this process was given beyond the three standard descriptors from the applications.
func closeOnExec() error {
	fds, err := os.ReadDir("/proc/self/fd")
	for _, entry := range fds {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return err
}
