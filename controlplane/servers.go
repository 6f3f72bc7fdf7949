package controlplane

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/ancora-fleet/ancora/controlplane/api"
	"github.com/ancora-fleet/ancora/controlplane/auth"
	"github.com/ancora-fleet/ancora/controlplane/dispatch"
	"github.com/ancora-fleet/ancora/controlplane/logbroker"
	"github.com/ancora-fleet/ancora/controlplane/pki"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	"github.com/ancora-fleet/ancora/proto/transport"
)

// stopLimit is how long calls may go on after the controller was told to end.
const stopLimit = 500 * time.Millisecond

// listeners are bound before anything else runs, so that a taken port is told at once.
type listeners struct{ operators, agents net.Listener }

func (c *Controller) listen() (*listeners, error) {
	operators, err := net.Listen("tcp", c.config.OperatorAddress)
	if err != nil {
		return nil, fmt.Errorf("operators' listener: %w", err)
	}
	agents, err := net.Listen("tcp", c.config.AgentAddress)
	if err != nil {
		operators.Close()
		return nil, fmt.Errorf("agents' listener: %w", err)
	}
	return &listeners{operators, agents}, nil
}

func (l *listeners) close() {
	l.operators.Close()
	l.agents.Close()
}

// servers are the two doors of the controller. Agents can never call what is for operators, and the other way round,
// because it is not served where they come in.
type servers struct{ operators, agents *server }

func (c *Controller) newServers(l *listeners) *servers {
	certificate := pki.NewServer(c.authority).Certificate
	dispatcher := dispatch.New(dispatch.Config{Store: c.store, Logger: c.config.Logger})
	broker := logbroker.New(logbroker.Config{Store: c.store, Hosts: dispatcher, Logger: c.config.Logger})

	operators := grpc.NewServer(slices.Concat(
		transport.OperatorServerOptions(transport.OperatorServer(certificate)),
		api.Errors(c.logger),
		auth.Operators{Views: c.store}.Options(),
	)...)
	api.Register(operators, api.Config{Store: c.store, Tokens: c.authority, Logs: broker, Hosts: dispatcher, Logger: c.config.Logger})
	alive := health.NewServer()
	healthv1.RegisterHealthServer(operators, alive)

	agents := grpc.NewServer(slices.Concat(
		transport.AgentServerOptions(transport.AgentServer(certificate, c.authority.Pool())),
		auth.Agents{Views: c.store}.Options(),
	)...)
	agentv1.RegisterAgentServiceServer(agents, dispatcher)
	agentv1.RegisterEnrollmentServiceServer(agents, pki.NewEnrollment(c.authority, c.store, c.config.Logger))

	return &servers{
		operators: &server{grpc: operators, listener: l.operators, health: alive, opened: make(chan struct{}), stopped: make(chan struct{})},
		agents:    &server{grpc: agents, listener: l.agents, opened: make(chan struct{}), stopped: make(chan struct{})},
	}
}

// open lets calls in.
func (s *servers) open() {
	close(s.operators.opened)
	close(s.agents.opened)
}

// server is one door.
type server struct {
	grpc     *grpc.Server
	listener net.Listener
	health   *health.Server // nil where there is none
	opened   chan struct{}
	stopped  chan struct{}
	stopping sync.Once
}

func (s *server) address() string { return s.listener.Addr().String() }

// run serves from when the door is open until stop.
func (s *server) run() error {
	select {
	case <-s.opened:
		return s.grpc.Serve(s.listener)
	case <-s.stopped:
		return nil
	}
}

// stop lets running calls end within stopLimit. Sessions and watches never end by themselves: they are cut.
func (s *server) stop(error) {
	s.stopping.Do(func() {
		close(s.stopped)
		if s.health != nil {
			s.health.Shutdown()
		}
		cut := time.AfterFunc(stopLimit, s.grpc.Stop)
		defer cut.Stop()
		s.grpc.GracefulStop()
	})
}
