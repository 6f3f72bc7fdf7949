package wire

import (
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

func recycle(m *typesv1.RecycleSpec) site.Recycle {
	if m == nil {
		return site.Recycle{}
	}
	return site.Recycle{Memory: m.Memory, Requests: m.Requests, Age: duration(m.GetAge()), Schedule: m.GetSchedule()}
}

func recycleMessage(r site.Recycle) *typesv1.RecycleSpec {
	if r.Memory == nil && r.Requests == nil && r.Age == nil && len(r.Schedule) == 0 {
		return nil
	}
	return &typesv1.RecycleSpec{Memory: r.Memory, Requests: r.Requests, Age: durationMessage(r.Age), Schedule: r.Schedule}
}

// warmup tells a list that is empty from one that is not there.
func warmup(m *typesv1.WarmupSpec) []string {
	if m == nil {
		return nil
	}
	return append([]string{}, m.GetRequests()...)
}

func warmupMessage(requests []string) *typesv1.WarmupSpec {
	if requests == nil {
		return nil
	}
	return &typesv1.WarmupSpec{Requests: requests}
}
