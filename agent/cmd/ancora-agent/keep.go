package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/run"

	"github.com/ancora-fleet/ancora/agent/processors"
	"github.com/ancora-fleet/ancora/dataplane/keeper"
	"github.com/ancora-fleet/ancora/dataplane/process"
)

// keep says how a service verb runs under the keeper.
type keep struct {
	dataDir string
	args    []string
	log     hclog.Logger
	// processors bounds those of the worker.
	processors mostProcessors
}

// underKeeper runs worker below a keeper (D4). Started by a user or a service manager this process becomes the keeper and
// starts itself again with the same arguments; that second process runs worker, and is started again when it crashes.
func underKeeper(ctx context.Context, k keep, worker func(ctx context.Context, c *process.Client) error) error {
	if err := k.processors.check(); err != nil {
		return err
	}
	file, inherited := process.Inherited(os.Getenv)
	if !inherited {
		if err := makeDataDir(k.dataDir); err != nil {
			return err
		}
		return keeper.New(keeper.Config{DataDir: k.dataDir, Args: k.args, Logger: k.log.Named("keeper")}).Run(ctx)
	}
	governor := processors.New(k.processors.bound(os.Getenv), k.log.Named("processors"))
	boundGarbage(os.Getenv)
	client, err := process.Connect(file)
	if err != nil {
		return err
	}
	// The keeper gets the signals and says when to stop; one that was meant for this process ends it, and is a crash.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var g run.Group
	serving, stop := context.WithCancel(ctx)
	defer stop()
	g.Add(func() error { return client.Run(ctx) }, func(error) { cancel() })
	g.Add(func() error { return worker(serving, client) }, func(error) { stop() })
	governed, release := context.WithCancel(ctx)
	defer release()
	g.Add(func() error { return governor.Run(governed) }, func(error) { release() })
	waiting, waited := context.WithCancel(ctx)
	defer waited()
	g.Add(func() error {
		select {
		case <-client.Stopping():
			stop()
			<-waiting.Done()
		case <-waiting.Done():
		}
		return nil
	}, func(error) { waited() })
	if err := g.Run(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// makeDataDir makes the directory so that applications can reach their homes in it; what is secret in it has its own mode.
func makeDataDir(dir string) error {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return usageError{fmt.Errorf("data directory: %w", err)}
	}
	return nil
}
