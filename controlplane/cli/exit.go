package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/controlplane/iisconfig"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/sitefile"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// The exit codes of every verb.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2 // usage or validation; nothing was changed
	exitPartial     = 3 // some hosts did it, some did not
	exitTimedOut    = 4 // gave up waiting; what was asked for stands
	exitNotFound    = 5
	exitConflict    = 6 // the revision is not the current one
	exitDenied      = 7
	exitUnreachable = 8 // the controller
	exitInterrupted = 130
)

// exitError is an error that knows its exit code. With said, all there is to say has been printed as a result.
type exitError struct {
	code int
	said bool
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// said ends a verb with a code after it has printed why; code 0 is no error.
func said(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code, said: true}
}

func usagef(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...)}
}

func notFoundf(format string, args ...any) error {
	return &exitError{code: exitNotFound, err: fmt.Errorf(format, args...)}
}

func usageError(cmd *cobra.Command, err error) error {
	return usagef("%w\nsee: %s --help", err, cmd.CommandPath())
}

// ExitCode is the one map from errors to exit codes.
func ExitCode(err error) int {
	if err == nil {
		return exitOK
	}
	var e *exitError
	if errors.As(err, &e) {
		return e.code
	}
	if isFileError(err) {
		return exitUsage
	}
	var problems site.Problems
	if errors.As(err, &problems) {
		return exitUsage
	}
	if s, ok := status.FromError(err); ok {
		return statusCode(s.Code())
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	return exitFailed
}

func statusCode(c codes.Code) int {
	switch c {
	case codes.OK:
		return exitOK
	case codes.InvalidArgument, codes.OutOfRange:
		return exitUsage
	case codes.NotFound:
		return exitNotFound
	case codes.Aborted, codes.AlreadyExists:
		return exitConflict
	case codes.PermissionDenied, codes.Unauthenticated:
		return exitDenied
	case codes.Unavailable, codes.DeadlineExceeded:
		return exitUnreachable
	case codes.Canceled:
		return exitInterrupted
	}
	return exitFailed
}

// isFileError says whether err is a list of places in files, which is printed as it is: file:line:col first, so that
// editors find them.
func isFileError(err error) bool {
	var sites sitefile.Errors
	var config webconfig.Errors
	var iis iisconfig.Errors
	var e *fileError
	return errors.As(err, &sites) || errors.As(err, &config) || errors.As(err, &iis) || errors.As(err, &e)
}

// errorText is what people read of err: of a status its message, not its wrapping.
func errorText(err error) string {
	var e *exitError
	if errors.As(err, &e) {
		return err.Error()
	}
	if s, ok := status.FromError(err); ok && s.Code() != codes.Unknown {
		if s.Code() == codes.Canceled {
			return "interrupted"
		}
		return s.Message()
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return err.Error()
}
