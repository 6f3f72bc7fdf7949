package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/sitefile"
)

func TestExitCode(t *testing.T) {
	for want, errs := range map[int][]error{
		exitOK:     {nil, said(exitOK)},
		exitFailed: {errors.New("x"), status.Error(codes.Internal, "x"), status.Error(codes.FailedPrecondition, "x"), said(exitFailed)},
		exitUsage: {
			usagef("x"), status.Error(codes.InvalidArgument, "x"), sitefile.Errors{{File: "a", Line: 1}},
			&fileError{"a", fs.ErrNotExist}, site.Problems{{Path: "name"}}, fmt.Errorf("wrapped: %w", usagef("x")),
		},
		exitPartial:     {said(exitPartial)},
		exitTimedOut:    {said(exitTimedOut)},
		exitNotFound:    {notFoundf("x"), status.Error(codes.NotFound, "x"), fmt.Errorf("site a: %w", status.Error(codes.NotFound, "x"))},
		exitConflict:    {status.Error(codes.Aborted, "x"), status.Error(codes.AlreadyExists, "x"), named(&site.Site{Name: "a"}, status.Error(codes.Aborted, "x"))},
		exitDenied:      {status.Error(codes.PermissionDenied, "x"), status.Error(codes.Unauthenticated, "x")},
		exitUnreachable: {status.Error(codes.Unavailable, "x"), status.Error(codes.DeadlineExceeded, "x")},
		exitInterrupted: {context.Canceled, status.Error(codes.Canceled, "x"), fmt.Errorf("wrapped: %w", context.Canceled)},
	} {
		for _, err := range errs {
			if got := ExitCode(err); got != want {
				t.Errorf("%v: %d, want %d", err, got, want)
			}
		}
	}
}

func TestErrorText(t *testing.T) {
	for want, err := range map[string]error{
		"site a: is not there": named(&site.Site{Name: "a"}, status.Error(codes.NotFound, "is not there")),
		"interrupted":          fmt.Errorf("x: %w", context.Canceled),
		"plain":                errors.New("plain"),
		"site b: plain":        named(&site.Site{Name: "b"}, errors.New("plain")),
	} {
		if got := errorText(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// Errors that only say there was no answer name the controller; a deadline of the caller's own does not.
func TestNamed(t *testing.T) {
	c := &controllerContext{Address: "ctl:7400", file: "/etc/ctx.yaml"}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, row := range []struct {
		ctx  context.Context
		err  error
		want string
		code int
	}{
		{t.Context(), status.Error(codes.Unavailable, "refused"), "controller ctl:7400 is unreachable: refused", exitUnreachable},
		{t.Context(), status.Error(codes.DeadlineExceeded, "late"), "controller ctl:7400 is unreachable: no answer within 15s", exitUnreachable},
		{ended, status.Error(codes.DeadlineExceeded, "late"), "late", exitUnreachable},
		{t.Context(), status.Error(codes.Unauthenticated, "who"), "controller ctl:7400: who (the token is in /etc/ctx.yaml)", exitDenied},
		{t.Context(), status.Error(codes.NotFound, "no"), "no", exitNotFound},
	} {
		err := c.named(row.ctx, row.err)
		if got := errorText(err); got != row.want || ExitCode(err) != row.code {
			t.Errorf("%v: %q, code %d; want %q, %d", row.err, got, ExitCode(err), row.want, row.code)
		}
	}
	if err := c.named(t.Context(), nil); err != nil {
		t.Error(err)
	}
}
