package cli

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func TestDescribePlaced(t *testing.T) {
	rejected := placed("web1", typesv1.Phase_PHASE_REJECTED, "new")
	rejected.Status.Reason, rejected.Status.ServingRevision = "no folder", 1
	starting := placed("web2", typesv1.Phase_PHASE_STARTING, "new")
	starting.Status.ServingRevision, starting.Status.Offline, starting.Status.Notes = 1, []string{"n-1", "local"}, []string{"/: x is not honoured yet"}
	instances := []*typesv1.InstanceStatus{
		{Host: "web1", Application: "/", Instance: 1, Run: 3, Pid: 77, Port: 8080, State: typesv1.InstanceState_INSTANCE_STATE_READY, RecentFailures: 2,
			LastRecycle: &typesv1.RecycleStatus{Time: timestamppb.Now(), Reason: "memory", Message: "its processes have \x1b much"},
			LastExit:    &typesv1.ExitStatus{Run: 2, Signal: 9, Time: timestamppb.Now(), LastOutput: []string{"bad \x1b[2J"}}},
		{Host: "web1", Application: "/", Instance: 2, Run: 1, State: typesv1.InstanceState_INSTANCE_STATE_EXITED, LastRecycle: &typesv1.RecycleStatus{Time: timestamppb.Now(), Reason: "idle", Message: "it has had no request for 20m"}},
		{Host: "other", Application: "/"},
	}
	var out bytes.Buffer
	p := &program{Env: Env{Out: &out}}
	for _, h := range []*controlv1.PlacedHost{rejected, starting, {Host: "web3"}} {
		p.describePlaced(h, []byte("new"), instances)
	}
	want := `web1  REJECTED  no folder (revision 1 goes on)
  / instance 1 run 3: ready, pid 77, port 8080, 2 failures this minute
    recycled now, memory: its processes have \x1b much
    run 2 ended by signal SIGKILL, now
    | bad \x1b[2J
  / instance 2 run 1: exited
    stopped now, idle: it has had no request for 20m
web2  STARTING  (revision 1 answers)
  offline, held by n-1, local
  note: /: x is not honoured yet
web3  pending: it has no session and gets this when it comes back
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
