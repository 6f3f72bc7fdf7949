package cli

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	"github.com/ancora-fleet/ancora/proto/transport"
)

// callTimeout is how long a single answer of the controller may take before it counts as unreachable.
const callTimeout = 15 * time.Second

// client is a connection to a controller, with the services it offers to operators.
type client struct {
	conn      *grpc.ClientConn
	context   *controllerContext
	sites     controlv1.SiteServiceClient
	hosts     controlv1.HostServiceClient
	instances controlv1.InstanceServiceClient
	offline   controlv1.OfflineServiceClient
	tokens    controlv1.TokenServiceClient
	logs      controlv1.LogServiceClient
	explains  controlv1.ExplainServiceClient
}

// connect returns the connection to the controller of the context, made at its first use. Nothing is sent yet: an
// unreachable controller shows at the first call.
func (p *program) connect() (*client, error) {
	if p.client != nil {
		return p.client, nil
	}
	c, err := p.loadContext()
	if err != nil {
		return nil, err
	}
	p.client, err = dial(c)
	return p.client, err
}

func (p *program) close() {
	if p.client != nil {
		_ = p.client.conn.Close()
	}
}

func dial(c *controllerContext) (*client, error) {
	digest, err := hex.DecodeString(c.CASHA256)
	if err != nil {
		return nil, fmt.Errorf("ca_sha256: %w", err)
	}
	conn, err := grpc.NewClient("passthrough:///"+c.Address, append(transport.DialOptions(transport.Pinned(digest)),
		grpc.WithPerRPCCredentials(bearer(c.Token)),
		grpc.WithChainUnaryInterceptor(c.unary),
		grpc.WithChainStreamInterceptor(c.stream),
	)...)
	if err != nil {
		return nil, fmt.Errorf("controller %s: %w", c.Address, err)
	}
	return &client{
		conn:      conn,
		context:   c,
		sites:     controlv1.NewSiteServiceClient(conn),
		hosts:     controlv1.NewHostServiceClient(conn),
		instances: controlv1.NewInstanceServiceClient(conn),
		offline:   controlv1.NewOfflineServiceClient(conn),
		tokens:    controlv1.NewTokenServiceClient(conn),
		logs:      controlv1.NewLogServiceClient(conn),
		explains:  controlv1.NewExplainServiceClient(conn),
	}, nil
}

// bearer is the operator's token on every call; never without TLS.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

// unary bounds every call and names the controller that does not answer.
func (c *controllerContext) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	call, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return c.named(ctx, invoke(call, method, req, reply, cc, opts...))
}

func (c *controllerContext) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, c.named(ctx, err)
	}
	return &namedStream{ClientStream: s, context: c}, nil
}

type namedStream struct {
	grpc.ClientStream
	context *controllerContext
}

func (s *namedStream) RecvMsg(m any) error {
	return s.context.named(s.Context(), s.ClientStream.RecvMsg(m))
}

// named puts the address into errors that say no more than that there was no answer. A deadline that the caller set
// himself stays his.
func (c *controllerContext) named(ctx context.Context, err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	switch s.Code() {
	case codes.Unavailable:
		return status.Errorf(codes.Unavailable, "controller %s is unreachable: %s", c.Address, s.Message())
	case codes.DeadlineExceeded:
		if ctx.Err() == nil {
			return status.Errorf(codes.Unavailable, "controller %s is unreachable: no answer within %v", c.Address, callTimeout)
		}
	case codes.Unauthenticated:
		return status.Errorf(s.Code(), "controller %s: %s (the token is in %s)", c.Address, s.Message(), c.file)
	}
	return err
}

// isUnavailable says whether calling again later may help.
func isUnavailable(err error) bool { return status.Code(err) == codes.Unavailable }
