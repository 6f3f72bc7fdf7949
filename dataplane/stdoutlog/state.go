package stdoutlog

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/process"
)

// stateFile stands beside a run's capture until its file is complete.
const stateFile = "stdoutlog"

// state is where the file of a run stands, for the next worker.
type state struct {
	Target   Target
	Identity process.Identity
	PID      int
	Started  time.Time
	// Number is that of the file that is written, from 1; Size how much of it is noted.
	Number int
	Size   int64
	// Place is behind the last line that was written.
	Place string
	// Part is the stream whose line has no end yet; 0: none.
	Part journal.Stream
}

func loadState(dir string) (s state, err error) {
	file, err := os.Open(filepath.Join(dir, stateFile))
	if err != nil {
		return s, err
	}
	defer file.Close()
	// What stands behind the value is the end of a longer one.
	if err := json.NewDecoder(file).Decode(&s); err != nil {
		return s, fmt.Errorf("stdoutlog: %s: %w", file.Name(), err)
	}
	return s, nil
}

// save writes the whole state by one call into one page: a worker that is killed leaves the old one or the new one. It is
// not synced, since a host that goes down takes the run with it.
func (s state) save(file *os.File) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(append(text, '\n'), 0)
	return err
}
