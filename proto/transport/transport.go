// Package transport holds what both ends of a connection must agree on: TLS, keepalive, message sizes. Agents, operators
// and the controller build their connections from it and from nothing else.
package transport

import (
	"crypto/tls"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

const (
	// ServerName is the name in every certificate of a controller. Clients verify it whatever address they dialled, so a
	// controller may move without a new certificate.
	ServerName = "controller.ancora.internal"

	// MaxMessage is the largest message either end takes, in bytes. A document has its own, smaller limit.
	MaxMessage = 4 << 20

	// MaxStreams is how many streams one connection may have at a time.
	MaxStreams = 128

	// HandshakeTimeout bounds the TLS and HTTP/2 handshakes of a connection.
	HandshakeTimeout = 10 * time.Second

	// keepaliveTime is how long a connection may be silent before an end asks whether the other is there; grpc-go lets no
	// client ask more often than every 10 s. Quick detection is the business of the session's lease.
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
	keepaliveMinTime = 10 * time.Second

	// maxHeaderList bounds the metadata of a call, in bytes.
	maxHeaderList = 16 << 10
)

// AgentServerOptions are those of the agents' listener. An idle agent is what a controller has most of, so connections
// share write buffers and have no read buffer: 45 KB an agent against 57 KB with the defaults, at the same speed.
func AgentServerOptions(config *tls.Config) []grpc.ServerOption {
	return append(serverOptions(config), grpc.ReadBufferSize(0))
}

// OperatorServerOptions are those of the operators' listener.
func OperatorServerOptions(config *tls.Config) []grpc.ServerOption {
	return serverOptions(config)
}

func serverOptions(config *tls.Config) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(credentials.NewTLS(config)),
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxSendMsgSize(MaxMessage),
		grpc.MaxConcurrentStreams(MaxStreams),
		grpc.MaxHeaderListSize(maxHeaderList),
		grpc.ConnectionTimeout(HandshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: keepaliveMinTime}),
	}
}

// DialOptions are those of every client of a controller.
func DialOptions(config *tls.Config) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessage), grpc.MaxCallSendMsgSize(MaxMessage)),
		grpc.WithMaxHeaderListSize(maxHeaderList),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithDisableServiceConfig(),
	}
}
