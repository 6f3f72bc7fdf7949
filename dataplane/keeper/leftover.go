package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/atomicfile"
	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/proctree"
)

// savedFile stands in the data directory.
const savedFile = "instances.json"

// saved is what a later keeper must know of an instance when this one is killed.
type saved struct {
	proctree.Instance
	RunDir string `json:"run_dir"`
	// Boot names the boot in which pid and start time mean something.
	Boot string `json:"boot"`
}

// save writes who runs, whole or not at all.
func (k *Keeper) save() {
	all := []saved{}
	for _, i := range k.instances {
		all = append(all, saved{i.Instance, i.runDir, bootID()})
	}
	data, err := json.Marshal(all)
	if err == nil {
		err = atomicfile.Write(filepath.Join(k.config.DataDir, savedFile), data, 0o600)
	}
	if err != nil {
		k.log.Error("instances not saved", "error", err)
	}
}

// endLeftovers ends what a keeper that was killed left behind, so that nothing runs twice, and ends its captures.
// Processes are known by pid and start time, and by the mark that everything of this data directory carries.
func (k *Keeper) endLeftovers() error {
	var before []saved
	data, err := os.ReadFile(filepath.Join(k.config.DataDir, savedFile))
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		k.log.Warn("who ran before is not readable, going by marks", "error", err)
	}
	var left []proctree.Instance
	for _, s := range before {
		if s.Boot == bootID() {
			left = append(left, s.Instance)
		}
	}
	if err := proctree.KillLeftovers(left, k.id+"/"); err != nil {
		return fmt.Errorf("keeper: end what an earlier agent left: %w", err)
	}
	for _, s := range before {
		if w, err := capture.OpenWriter(s.RunDir); err == nil {
			_ = w.Finish()
		}
	}
	k.save()
	return nil
}

func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}
