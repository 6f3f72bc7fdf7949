package session

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

const (
	firstPause = 50 * time.Millisecond
	mostPause  = 15 * time.Second
	growth     = 1.6
	// jitter spreads a fleet that lost its controller at one moment: a pause is this part of itself or more.
	jitter = 0.5
)

// Connector keeps the host registered for as long as it runs.
type Connector struct {
	config Config
	log    hclog.Logger
	// controllers are tried in turn; a Welcome may name others.
	controllers []string
}

// New makes a Connector.
func New(config Config) *Connector {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	return &Connector{config: config, log: config.Logger.Named("session"), controllers: config.Controllers}
}

// Run registers with one controller after the other until ctx ends. Every session has a connection of its own.
func (c *Connector) Run(ctx context.Context) error {
	pause, last := firstPause, ""
	for turn := 0; ctx.Err() == nil; turn++ {
		address := c.controllers[turn%len(c.controllers)]
		welcomed, err := c.once(ctx, address)
		if ctx.Err() != nil {
			break
		}
		if welcomed {
			pause, last = firstPause, ""
		}
		wait := spread(pause, rand.Float64())
		// One that stays away is said once, then only when it says something else.
		if text := message(err); text != last {
			c.log.Warn("no session", "controller", address, "reason", text, "retry_in", wait.Round(time.Millisecond))
			last = text
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		pause = longer(pause)
	}
	return nil
}

// longer is the pause after one that did not help.
func longer(pause time.Duration) time.Duration {
	return min(time.Duration(growth*float64(pause)), mostPause)
}

// spread makes of a pause one that others do not have; at is from 0 to 1.
func spread(pause time.Duration, at float64) time.Duration {
	return time.Duration((jitter + (1-jitter)*at) * float64(pause))
}

func (c *Connector) once(ctx context.Context, address string) (welcomed bool, err error) {
	dial := func() (*grpc.ClientConn, error) {
		config, err := c.config.TLS()
		if err != nil {
			return nil, err
		}
		return connect(address, config)
	}
	conn, err := dial()
	if err != nil {
		return false, err
	}
	return c.serve(ctx, conn, dial)
}

// message is what people read of an error.
func message(err error) string {
	if s, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		return s.GRPCStatus().Message()
	}
	if err == nil {
		return "the controller ended it"
	}
	return err.Error()
}
