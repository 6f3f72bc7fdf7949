// Package journal finds lines in the captured output of applications.
//
// The keeper writes raw bytes and marks (package capture); this package says which line is where, its sequence and its
// time. That is a pure function of capture and marks: the index files it keeps beside a run only make it quick, and may
// be deleted at any time without changing a sequence or a cursor. Secrets are taken out when lines are read, never later
// and never earlier, so a capture needs no second pass and no copy.
package journal

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/dataplane/atomicfile"
	"github.com/ancora-fleet/ancora/dataplane/capture"
)

const (
	idFile       = "journal-id"
	runFile      = ".run" // last run number given out, in an application's directory
	instanceFile = "instance"
)

// Journal reads the captures under one directory. Its methods may be called from any goroutine.
type Journal struct {
	root string
	id   [idLen]byte
	log  hclog.Logger

	mu   sync.Mutex
	runs map[runKey]*run // those being read
}

// Open opens the captures directory root, which is made (0700) when missing, and its persisted id. A new id makes every
// cursor issued before unknown, so it is made once.
func Open(root string, log hclog.Logger) (*Journal, error) {
	if log == nil {
		log = hclog.NewNullLogger()
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{root: root, log: log, runs: map[runKey]*run{}}
	path := filepath.Join(root, idFile)
	text, err := os.ReadFile(path)
	if err == nil {
		n, err := hex.Decode(j.id[:], []byte(strings.TrimSpace(string(text))))
		if err == nil && n == idLen {
			return j, nil
		}
		log.Warn("journal id is damaged, a new one is made: cursors issued before are void")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("journal: %w", err)
	}
	rand.Read(j.id[:])
	if err := atomicfile.Write(path, []byte(hex.EncodeToString(j.id[:])+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return j, nil
}

// NextRun gives out the next run number of an application. It is on disk before it is returned, so it only grows, and it
// is above every run that has a directory.
func (j *Journal) NextRun(site, app string) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	dir := capture.AppDir(j.root, site, app)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("journal: next run: %w", err)
	}
	runs, err := listRuns(dir)
	if err != nil {
		return 0, fmt.Errorf("journal: next run: %w", err)
	}
	var last uint64
	if len(runs) > 0 {
		last = runs[len(runs)-1]
	}
	path := filepath.Join(dir, runFile)
	if text, err := os.ReadFile(path); err == nil {
		// A damaged counter reads as 0: the directories decide.
		n, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		last = max(last, n)
	}
	last++
	if err := atomicfile.Write(path, []byte(strconv.FormatUint(last, 10)+"\n"), 0o600); err != nil {
		return 0, fmt.Errorf("journal: next run: %w", err)
	}
	return last, nil
}

// SetSecrets says what must never be shown of a run's output: pairing token and secret values. Call it before the run
// starts. A secret of several lines is redacted line by line; lines shorter than 4 bytes are not, they would take
// everything with them. The list is kept (0600) as long as the run's lines.
func (j *Journal) SetSecrets(site, app string, run uint64, secrets []string) error {
	var text strings.Builder
	for _, secret := range secrets {
		for line := range strings.SplitSeq(secret, "\n") {
			if line = strings.TrimSuffix(line, "\r"); len(line) >= minSecret {
				text.WriteString(line + "\n")
			}
		}
	}
	return j.writeRunFile(site, app, run, capture.RedactFile, text.String())
}

// SetInstance says which instance (slot, from 1) a run belongs to. A run nobody said it of belongs to instance 1.
func (j *Journal) SetInstance(site, app string, run uint64, instance uint32) error {
	return j.writeRunFile(site, app, run, instanceFile, strconv.FormatUint(uint64(instance), 10)+"\n")
}

func (j *Journal) writeRunFile(site, app string, run uint64, name, text string) error {
	dir := capture.RunDir(j.root, site, app, run)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("journal: %s: %w", name, err)
	}
	if err := atomicfile.Write(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		return fmt.Errorf("journal: %s: %w", name, err)
	}
	return nil
}
