package keeper

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/keeper/protocol"
	"github.com/ancora-fleet/ancora/dataplane/proctree"
	"github.com/ancora-fleet/ancora/dataplane/rlimit"
)

// instance is one started process, until it is forgotten.
type instance struct {
	proctree.Instance
	id     string
	run    *capture.Writer
	runDir string
	note   []byte
	exit   *protocol.Exit
}

func (i *instance) message() protocol.Message {
	return protocol.Message{Kind: protocol.KindInstance, ID: i.id, PID: i.PID, Start: i.Start, Mark: i.Mark, RunDir: i.runDir, Note: i.note, Exit: i.exit}
}

// handle answers one request. Kills take their time and must not hold up others, so they run beside the loop.
func (k *Keeper) handle(r protocol.Request) {
	answer := protocol.Message{Kind: protocol.KindAnswer, Seq: r.Seq, ID: r.ID}
	switch r.Op {
	case protocol.OpStart:
		k.answer(answer, k.start(r.ID, r.Spec, &answer), nil)
	case protocol.OpListen:
		file, err := k.listen(r.Name, r.Address, &answer)
		k.answer(answer, err, file)
	case protocol.OpUnlisten:
		k.answer(answer, k.unlisten(r.Name), nil)
	case protocol.OpAppend:
		k.answer(answer, k.append(r.RunDir, r.Data), nil)
	case protocol.OpNotify:
		_, err := daemon.SdNotify(false, r.Name)
		k.answer(answer, err, nil)
	case protocol.OpSignal, protocol.OpKill, protocol.OpNote, protocol.OpForget:
		i, ok := k.instances[r.ID]
		if !ok {
			k.answer(answer, fmt.Errorf("keeper: instance %q is not held", r.ID), nil)
			return
		}
		k.handleInstance(r, i, answer)
	default:
		k.answer(answer, fmt.Errorf("keeper: %q is not known", r.Op), nil)
	}
}

func (k *Keeper) handleInstance(r protocol.Request, i *instance, answer protocol.Message) {
	switch r.Op {
	case protocol.OpSignal:
		var err error
		if i.exit == nil {
			err = unix.Kill(i.PID, unix.Signal(r.Signal))
		}
		k.answer(answer, err, nil)
	case protocol.OpNote:
		if len(r.Data) > protocol.MaxNote {
			k.answer(answer, fmt.Errorf("keeper: a note of %d bytes: at most %d are allowed", len(r.Data), protocol.MaxNote), nil)
			return
		}
		i.note = r.Data
		k.answer(answer, nil, nil)
	case protocol.OpKill, protocol.OpForget:
		conn := k.worker.conn
		go func() {
			err := proctree.Kill(i.Instance)
			k.call(func() {
				if err == nil && r.Op == protocol.OpForget {
					k.forget(i)
				}
				if k.worker.conn == conn {
					k.answer(answer, err, nil)
				}
			})
		}()
	}
}

func (k *Keeper) answer(m protocol.Message, err error, file *os.File) {
	if err != nil {
		m.Error = err.Error()
		var errno syscall.Errno
		if errors.As(err, &errno) {
			m.Errno = int(errno)
		}
	}
	k.send(m, file)
}

func (k *Keeper) start(id string, spec *protocol.Spec, answer *protocol.Message) error {
	if spec == nil || len(spec.Argv) == 0 || id == "" {
		return errors.New("keeper: start without id or program")
	}
	if _, held := k.instances[id]; held {
		return fmt.Errorf("keeper: instance %q runs already", id)
	}
	if w, open := k.runs[spec.RunDir]; open && !w.Closed() {
		return fmt.Errorf("keeper: %s is the run of another instance", spec.RunDir)
	}
	run, err := capture.OpenWriter(spec.RunDir)
	if err != nil {
		return err
	}
	i := &instance{Instance: proctree.Instance{Mark: k.id + "/" + id}, id: id, run: run, runDir: spec.RunDir, note: spec.Note}
	if err := rlimit.WithStack(spec.Stack, func() error { return k.fork(i, spec) }); err != nil {
		return errors.Join(err, run.Finish())
	}
	k.runs[spec.RunDir] = run
	if p, err := proctree.Read(i.PID); err == nil {
		i.Start = p.Start
	}
	k.instances[id] = i
	k.save()
	if err := capture.PruneRuns(filepath.Dir(spec.RunDir), capture.RunsKept, k.runs); err != nil {
		k.log.Warn("old runs not removed", "error", err)
	}
	answer.PID, answer.Start, answer.Mark = i.PID, i.Start, i.Mark
	return nil
}

func (k *Keeper) fork(i *instance, spec *protocol.Spec) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	files := []uintptr{null.Fd(), null.Fd(), null.Fd()}
	for n, s := range []capture.Stream{capture.Stdout, capture.Stderr} {
		if spec.Silent {
			break
		}
		pipe, err := i.run.Pipe(s)
		if err != nil {
			return err
		}
		defer pipe.Close()
		files[1+n] = pipe.Fd()
	}
	attr := &syscall.ProcAttr{Dir: spec.Dir, Env: proctree.Marked(spec.Env, i.Mark), Files: files, Sys: &syscall.SysProcAttr{Setsid: true}}
	if spec.Switch {
		attr.Sys.Credential = &syscall.Credential{Uid: spec.UID, Gid: spec.GID, Groups: spec.Groups}
	}
	if i.PID, err = syscall.ForkExec(spec.Argv[0], spec.Argv, attr); err != nil {
		if _, missing := os.Stat(spec.Dir); missing != nil {
			return missing
		}
		return fmt.Errorf("exec %s: %w", spec.Argv[0], err)
	}
	k.childStarted()
	return nil
}

func (k *Keeper) forget(i *instance) {
	if k.instances[i.id] == i {
		delete(k.instances, i.id)
		maps.DeleteFunc(k.runs, func(_ string, w *capture.Writer) bool { return w.Closed() })
		k.save()
		k.ending.Go(func() {
			if err := i.run.Finish(); err != nil {
				k.log.Warn("capture not ended", "instance", i.id, "error", err)
			}
		})
	}
}

// append writes one event line. A run that is over is opened for it alone and stays over, but not before its own writer has
// closed it: two would write over each other's marks.
func (k *Keeper) append(dir string, line []byte) error {
	if dir == "" || len(line) == 0 || line[len(line)-1] != '\n' {
		return errors.New("keeper: an event is a line in a run's directory")
	}
	if writer, open := k.runs[dir]; open {
		if err := writer.Append(capture.Event, line); !errors.Is(err, os.ErrClosed) {
			return err
		}
	}
	writer, err := capture.OpenWriter(dir)
	if err != nil {
		return err
	}
	return errors.Join(writer.Append(capture.Event, line), writer.End(), writer.Close())
}
