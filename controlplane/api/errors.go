package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// problem is one thing that is wrong with a request; field as the site file spells it, else as the message does.
func problem(field, format string, args ...any) site.Problems {
	return site.Problems{{Path: field, Message: fmt.Sprintf(format, args...)}}
}

// Errors gives the interceptors that turn errors of handlers into statuses: the one place where that is decided.
func Errors(logger hclog.Logger) []grpc.ServerOption {
	unary := func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		answer, err := handler(ctx, request)
		return answer, statusOf(logger, err)
	}
	stream := func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		return statusOf(logger, handler(server, stream))
	}
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(unary), grpc.ChainStreamInterceptor(stream)}
}

// statusOf maps an error. What is not of the caller's making is logged here, once, and not shown.
func statusOf(logger hclog.Logger, err error) error {
	var problems site.Problems
	var guarded *guardError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problems):
		return withDetails(codes.InvalidArgument, problems.Error(), badRequest(problems))
	case errors.As(err, &guarded):
		return withDetails(codes.FailedPrecondition, guarded.Error(), guarded.details())
	case errors.Is(err, store.ErrNotExist):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, store.ErrExist):
		return status.Error(codes.AlreadyExists, err.Error())
	case errors.Is(err, store.ErrStale):
		return status.Error(codes.Aborted, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	if s, ok := status.FromError(err); ok && s.Code() != codes.Unknown {
		return err
	}
	logger.Error("call failed", "error", err)
	return status.Error(codes.Unavailable, "the controller's store does not answer: the controller's log says why")
}

func badRequest(problems site.Problems) *errdetails.BadRequest {
	details := &errdetails.BadRequest{}
	for _, p := range problems {
		details.FieldViolations = append(details.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field:       p.Path,
			Description: p.Message,
		})
	}
	return details
}

func withDetails(code codes.Code, message string, details ...protoadapt.MessageV1) error {
	s := status.New(code, message)
	if detailed, err := s.WithDetails(details...); err == nil {
		s = detailed
	}
	return s.Err()
}

func notFound(kind, name string) error {
	return fmt.Errorf("%s %q %w", kind, name, store.ErrNotExist)
}

func exists(kind, name string) error {
	return fmt.Errorf("%s %q %w", kind, name, store.ErrExist)
}
