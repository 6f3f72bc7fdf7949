package supervise

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/shadow"
)

// Copies are made for instances to run from.
type Copies interface {
	// Take gives the newest copy that is as the folder is, until Release. It may take its time. Without a path it is the folder itself.
	Take(ctx context.Context) (shadow.Copy, error)
	// Hold says that an instance runs from a copy that was taken by an earlier worker, until Release.
	Hold(shadow.Copy)
	// Release says that an instance has ended.
	Release(shadow.Copy)
}

// takeCopy gives the instance what it is to run from, unless it is not wanted any more before that is made.
func (i *instance) takeCopy() (err error) {
	if copies := i.pool.config.Copies; copies != nil {
		i.copy, err = copies.Take(i.starting)
	}
	return err
}

// holdCopy takes over what an earlier worker has given it.
func (i *instance) holdCopy(have shadow.Copy) {
	if copies := i.pool.config.Copies; copies != nil && have.Path != "" {
		copies.Hold(have)
		i.copy = have
	}
}

// letCopyGo is called when no process of the instance is left; it says whether there was a copy.
func (i *instance) letCopyGo() bool {
	copies := i.pool.config.Copies
	if copies == nil || i.copy.Path == "" {
		return false
	}
	copies.Release(i.copy)
	i.copy = shadow.Copy{}
	return true
}

// CopyOf gives the copy that a process runs from, also one that an earlier worker has started; an empty path is the folder itself.
// ok is false when that was not noted, as it is soon after the start.
func CopyOf(p *process.Process) (path string, ok bool) {
	var n note
	if json.Unmarshal(p.Note(), &n) != nil {
		return "", false
	}
	return n.Copy.Path, true
}

// disturbed says why an instance has ended of SIGBUS, which is what becomes of code in memory whose file is cut off.
func (i *instance) disturbed(m machine, exit process.Exit) {
	find := i.pool.config.Disturbed
	if find == nil || !busError(m, exit) {
		return
	}
	files := find(i.started)
	if len(files) == 0 {
		return
	}
	i.record(journal.Event{
		ID: journal.EventFilesChanged, Exit: exit.String(),
		Message: "the application has died since a file was written to that it had in use",
		Reason: fmt.Sprintf("changed since its start: %s. Set the handlerSetting enableShadowCopy to true, or deploy into a new folder and rename it, or put files in place by renaming",
			strings.Join(files, ", ")),
	})
}

// busError recognises an end by SIGBUS, also of a child by whose code the main process has ended, as shells do. Before it has listened
// the same code is one of the .NET host's.
func busError(m machine, exit process.Exit) bool {
	return exit.Signal == int(syscall.SIGBUS) || m.Proven && exit.Signal == 0 && exit.Code == 128+int(syscall.SIGBUS)
}
