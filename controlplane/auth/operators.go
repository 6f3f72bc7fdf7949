package auth

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/controlplane/store"
)

const bearer = "Bearer "

// Operators guards the operators' listener: every call but health needs a bearer token whose digest is in the store.
type Operators struct{ Views Views }

// Options are those of the server it guards.
func (o Operators) Options() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(o.unary), grpc.ChainStreamInterceptor(o.stream)}
}

func (o Operators) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	ctx, err := o.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	return handler(ctx, request)
}

func (o Operators) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx, err := o.admit(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return handler(server, &withContext{stream, ctx})
}

func (o Operators) admit(ctx context.Context, method string) (context.Context, error) {
	switch method {
	case healthv1.Health_Check_FullMethodName, healthv1.Health_Watch_FullMethodName, healthv1.Health_List_FullMethodName:
		return ctx, nil
	}
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 || !strings.HasPrefix(values[0], bearer) {
		return nil, status.Error(codes.Unauthenticated, "an operator's credential is needed: set ANCORA_CONTEXT to one")
	}
	// The digest of 256 random bits: how long the look-up takes tells nothing about them.
	digest := store.Digest([]byte(strings.TrimPrefix(values[0], bearer)))
	role, known := o.Views.View().Operators[digest]
	if !known {
		return nil, status.Error(codes.Unauthenticated, "the credential is not known to this controller")
	}
	if role != RoleAdmin {
		return nil, status.Errorf(codes.PermissionDenied, "role %q is not supported yet", role)
	}
	return context.WithValue(ctx, operatorKey{}, Operator{ID: digest[:8], Role: role}), nil
}
