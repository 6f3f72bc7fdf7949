package supervise

import (
	"errors"
	"fmt"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

// ErrStopping says that the pool takes no requests any more; another may stand in its place already.
var ErrStopping = errors.New("supervise: the application is being stopped")

// RefusedError says that starts are refused because of rapid fails (1003).
type RefusedError struct {
	Failures, Limit int
	RetryAfter      time.Duration
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%d failures within a minute, %d are allowed: starts are refused for %v", e.Failures, e.Limit, e.RetryAfter.Round(time.Second))
}

// StuckError says that a failed start in-process stands: nothing is started until its time is over. It wraps what the start
// failed by.
type StuckError struct {
	Failure error
	// RetryAfter is how long that still is; Pause is how long it was at first, until Until.
	RetryAfter, Pause time.Duration
	Until             time.Time
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("%v; retries in %v, at %s UTC", e.Failure, e.Pause, e.Until.UTC().Format(time.TimeOnly))
}

// Unwrap gives why the start failed.
func (e *StuckError) Unwrap() error { return e.Failure }

// StartError says why an instance did not come up.
type StartError struct {
	Message string
	// Exit is set when the process ended before it listened.
	Exit *process.Exit
	// Served says that it had listened, and ended so soon after that it counts as not started.
	Served bool
	// Err is set when it could not be started at all; errno is kept.
	Err error
	// Late says that startupTimeLimit was over.
	Late bool
	// Output is what it had said, at most 30,000 characters.
	Output []string
}

func (e *StartError) Error() string { return e.Message }
func (e *StartError) Unwrap() error { return e.Err }
