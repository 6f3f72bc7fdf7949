package cli

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func phaseName(p typesv1.Phase) string { return strings.TrimPrefix(p.String(), "PHASE_") }

func hostState(s typesv1.HostState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "HOST_STATE_"))
}

func instanceState(s typesv1.InstanceState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "INSTANCE_STATE_"))
}

func pidText(i *typesv1.InstanceStatus) string {
	switch i.GetState() {
	case typesv1.InstanceState_INSTANCE_STATE_EXITED, typesv1.InstanceState_INSTANCE_STATE_REFUSED:
		return ""
	}
	return fmt.Sprint(i.GetPid())
}

// exitText says how a run ended: by which signal, or with which code.
func exitText(e *typesv1.ExitStatus) string {
	if e == nil {
		return ""
	}
	how := fmt.Sprintf("exit code %d", e.GetCode())
	if e.GetSignal() != 0 {
		name := unix.SignalName(syscall.Signal(e.GetSignal()))
		if name == "" {
			name = fmt.Sprint(e.GetSignal())
		}
		how = "signal " + name
	}
	return fmt.Sprintf("%s, %s", how, ago(e.GetTime().AsTime()))
}

// ago says how long something is past, in one unit.
func ago(t time.Time) string {
	if t.IsZero() || t.Unix() <= 0 {
		return ""
	}
	switch d := time.Since(t); {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd ago", int(d.Hours()/24))
	}
}

func bytesText(n uint64) string {
	const unit = 1 << 30
	if n < unit {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/unit)
}

func firstLine(s string) string {
	line, _, more := strings.Cut(s, "\n")
	if more {
		line += " ..."
	}
	return line
}

// plural counts things.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
