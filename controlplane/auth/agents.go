package auth

import (
	"context"
	"crypto/x509"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/controlplane/store"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
)

// Agents guards the agents' listener: every call but Enroll needs the certificate of a host that is in the store and
// whose key is not revoked. It is asked at the start of every call, so a host that was removed gets no new stream; who
// serves a lasting one asks Admitted again at each change.
type Agents struct{ Views Views }

// Options are those of the server it guards.
func (a Agents) Options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(a.unary), grpc.ChainStreamInterceptor(a.stream)}
}

func (a Agents) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := a.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

func (a Agents) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := a.admit(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return handler(server, &withContext{stream, ctx})
}

func (a Agents) admit(ctx context.Context, method string) (context.Context, error) {
	if method == agentv1.EnrollmentService_Enroll_FullMethodName {
		return ctx, nil
	}
	host, err := Admitted(ctx, a.Views.View())
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, hostKey{}, host), nil
}

// Admitted gives the host whose certificate a call came with, or the refusal it gets as of this view: UNAUTHENTICATED
// without a certificate or when it is revoked, NOT_FOUND when the host is not in the store.
func Admitted(ctx context.Context, view *store.View) (string, error) {
	certificate := clientCertificate(ctx)
	if certificate == nil {
		return "", status.Error(codes.Unauthenticated, "a host's certificate is needed: join first")
	}
	host := certificate.Subject.CommonName
	if view.IsRevoked(host, store.Digest(certificate.RawSubjectPublicKeyInfo)) {
		return "", status.Errorf(codes.Unauthenticated, "the certificate of host %q is revoked: join with a new token", host)
	}
	if view.Hosts[host] == nil {
		return "", status.Errorf(codes.NotFound, "host %q is not known here: an operator can create it again with `ancora token create --host %s`", host, host)
	}
	return host, nil
}

// clientCertificate is the leaf that TLS has verified; nil without one.
func clientCertificate(ctx context.Context) *x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil
	}
	return info.State.VerifiedChains[0][0]
}

// withContext is a stream whose handler sees another context.
type withContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *withContext) Context() context.Context { return s.ctx }
