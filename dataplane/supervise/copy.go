package supervise

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/shadow"
)

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

// letCopyGo is called when no process of the instance is left.
func (i *instance) letCopyGo() {
	if copies := i.pool.config.Copies; copies != nil && i.copy.Path != "" {
		copies.Release(i.copy)
		i.copy = shadow.Copy{}
	}
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
