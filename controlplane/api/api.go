// Package api is what operators can ask of the controller, a file a service.
package api

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/ancora-fleet/ancora/controlplane/store"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// joinTokens makes the text a host joins with.
type joinTokens interface{ JoinToken(secret string) string }

// logStreamer joins operators who ask for logs with the hosts that have them.
type logStreamer interface {
	Stream(ctx context.Context, request *controlv1.StreamLogsRequest, send func(*controlv1.StreamLogsResponse) error) error
}

// Config is what the services work on; all of it is needed.
type Config struct {
	Store  *store.Store
	Tokens joinTokens
	Logs   logStreamer
	Hosts  explainer
	Logger hclog.Logger
}

// Register adds all operators' services to a server. Their errors are made statuses by the interceptors of Errors.
func Register(server grpc.ServiceRegistrar, config Config) {
	s := services{store: config.Store, observed: config.Store.Observed(), logger: config.Logger.Named("api")}
	controlv1.RegisterSiteServiceServer(server, &sites{services: s})
	controlv1.RegisterHostServiceServer(server, &hosts{services: s})
	controlv1.RegisterTokenServiceServer(server, &tokens{services: s, tokens: config.Tokens})
	controlv1.RegisterInstanceServiceServer(server, &instances{services: s})
	controlv1.RegisterOfflineServiceServer(server, &offline{services: s})
	controlv1.RegisterLogServiceServer(server, &logs{services: s, streamer: config.Logs})
	controlv1.RegisterExplainServiceServer(server, &explains{services: s, hosts: config.Hosts})
}

// services is what they have in common.
type services struct {
	store    *store.Store
	observed *store.Observed
	logger   hclog.Logger
}

// minInterval is how often a watch sends at most: many changes in a short time are one message.
const minInterval = 50 * time.Millisecond

// watch calls send at once and after every change of what is desired or observed, until it returns an error or done.
func (s services) watch(ctx context.Context, send func(*store.View) (done bool, err error)) error {
	for {
		changed, view := s.observed.Changed(), s.store.View()
		if done, err := send(view); done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-view.Next():
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-time.After(minInterval):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hostState says what the controller believes of a host.
func (s services) hostState(view *store.View, host string) typesv1.HostState {
	status := s.observed.Host(host)
	switch {
	case status.Connected:
		return typesv1.HostState_HOST_STATE_CONNECTED
	case status.Session.ID != "", view.Seen[host]:
		return typesv1.HostState_HOST_STATE_UNREACHABLE
	}
	return typesv1.HostState_HOST_STATE_PENDING
}
