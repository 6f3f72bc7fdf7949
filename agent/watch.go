package agent

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/ancora-fleet/ancora/agent/policy"
	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/atomicfile"
)

const (
	policyPoll  = 5 * time.Second
	policyQuiet = 200 * time.Millisecond
)

// firstPolicy is readPolicy for a worker that begins. Where it takes over from one that was lost, a policy that is broken by now is
// no reason to serve nobody: the one that was in force goes on.
func (a *Agent) firstPolicy() (dataplane.Policy, error) {
	p, err := a.readPolicy()
	if err == nil || len(a.config.Keeper.Listeners()) == 0 {
		return p, err
	}
	kept, unkept := policy.Load(a.keptPolicy())
	if unkept != nil {
		return p, err
	}
	a.log.Error("policy is broken, the last good one holds", "error", err)
	return a.takePolicy(kept), nil
}

// keptPolicy is where the policy in force is kept.
func (a *Agent) keptPolicy() string { return filepath.Join(a.config.DataDir, "policy.yaml") }

func (a *Agent) readPolicy() (dataplane.Policy, error) {
	content, err := os.ReadFile(a.config.PolicyFile)
	if err != nil {
		return dataplane.Policy{}, fmt.Errorf("policy: %w", err)
	}
	p, err := policy.Parse(a.config.PolicyFile, content)
	if err != nil {
		return dataplane.Policy{}, err
	}
	if err := atomicfile.Write(a.keptPolicy(), content, 0o600); err != nil {
		a.log.Warn("policy is not kept: should it be broken when the worker starts, nobody is served", "error", err)
	}
	return a.takePolicy(p), nil
}

func (a *Agent) takePolicy(p policy.Policy) dataplane.Policy {
	p.Listeners = a.ports.settle(p.Listeners)
	a.admin.SetAddress(p.Admin)
	return p.Policy
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
