package agent

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/ancora-fleet/ancora/agent/policy"
	"github.com/ancora-fleet/ancora/dataplane"
)

const (
	policyPoll  = 5 * time.Second
	policyQuiet = 200 * time.Millisecond
)

func (a *Agent) readPolicy() (dataplane.Policy, error) {
	p, err := policy.Load(a.config.PolicyFile)
	if err != nil {
		return dataplane.Policy{}, err
	}
	p.Listeners = a.ports.settle(p.Listeners)
	a.admin.SetAddress(p.Admin)
	return p.Policy, nil
}

// watchPolicy puts a changed policy in force; a broken one leaves the last good one. Events only say when to look, a slow
// poll looks where there are none.
func (a *Agent) watchPolicy(ctx context.Context) error {
	events := make(<-chan fsnotify.Event)
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		defer watcher.Close()
		if watcher.Add(filepath.Dir(a.config.PolicyFile)) == nil {
			events = watcher.Events
		}
	}
	poll := time.NewTicker(policyPoll)
	defer poll.Stop()
	seen, _ := os.ReadFile(a.config.PolicyFile)
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-events:
			if !open {
				events = nil
				continue
			}
			if filepath.Base(e.Name) != filepath.Base(a.config.PolicyFile) {
				continue
			}
			select {
			case <-time.After(policyQuiet):
			case <-ctx.Done():
				return nil
			}
		case <-poll.C:
		}
		now, err := os.ReadFile(a.config.PolicyFile)
		if err != nil || bytes.Equal(now, seen) {
			continue
		}
		seen = now
		p, err := a.readPolicy()
		if err != nil {
			a.log.Error("policy is broken, the last good one holds", "error", err)
			continue
		}
		a.log.Info("policy changed")
		a.server.SetPolicy(p)
	}
}
