package site

import "time"

// Limit is the range and the default of one setting, in the unit its name says.
type Limit struct {
	Name              string
	Min, Max, Default int64
	Unit              string
}

// Limits is the one table of ranges and defaults (the module's schema, behaviour.md 9); site files, web.config and the
// model read it.
type Limits struct {
	StartupTimeLimit, ShutdownTimeLimit, RequestTimeout, RapidFailsPerMinute, ProcessesPerApplication Limit
	// PlatformRequestTimeout is RequestTimeout of httpPlatform.
	PlatformRequestTimeout Limit
	// Ready is StartupTimeLimit where the site says it: some applications convert their data for longer than the hour that
	// web.config can give.
	Ready Limit
	// Drain is how long requests in flight may go on when an instance is replaced; IIS gives them 90 s.
	Drain Limit
	// Body is the most that a body may have (FWD-15); Unlimited stands beside its range.
	Body Limit
	// Concurrency is how many requests may be with instances at once, Queue how many further ones may wait, QueueTimeout
	// for how long.
	Concurrency, Queue, QueueTimeout Limit
	// Idle is after how long without a request an instance is stopped; the others when it is replaced. 0 is never. IIS has 20
	// minutes and 29 hours where nothing is said.
	Idle, RecycleMemory, RecycleRequests, RecycleAge Limit
}

// Unlimited as BodyLimit lets every body through.
const Unlimited = -1

// TheLimits gives the table.
func TheLimits() Limits {
	return Limits{
		StartupTimeLimit:        Limit{"startupTimeLimit", 0, 3600, 120, "s"},
		ShutdownTimeLimit:       Limit{"shutdownTimeLimit", 0, 600, 10, "s"},
		RequestTimeout:          Limit{"requestTimeout", 0, 1_296_000, 120, "s"},
		PlatformRequestTimeout:  Limit{"requestTimeout", 0, 2_592_000, 120, "s"},
		RapidFailsPerMinute:     Limit{"rapidFailsPerMinute", 0, 100, 10, ""},
		ProcessesPerApplication: Limit{"processesPerApplication", 1, 100, 1, ""},
		Ready:                   Limit{"ready.timeout", 0, 86400, 120, "s"},
		Drain:                   Limit{"drain", 0, 3600, 90, "s"},
		Body:                    Limit{"body", 0, 1_000_000_000_000, 30_000_000, "B"},
		Concurrency:             Limit{"concurrency", 1, 100_000, 1000, ""},
		Queue:                   Limit{"queue", 0, 100_000, 1000, ""},
		QueueTimeout:            Limit{"queueTimeout", 0, 3600, 30, "s"},
		Idle:                    Limit{"idle", 0, 2_592_000, 0, "s"},
		RecycleMemory:           Limit{"memory", 0, 1_000_000_000_000, 0, "B"},
		RecycleRequests:         Limit{"requests", 0, 4_294_967_295, 0, ""},
		RecycleAge:              Limit{"age", 0, 31_536_000, 0, "s"},
	}
}

// Contains says whether n is in the range.
func (l Limit) Contains(n int64) bool { return n >= l.Min && n <= l.Max }

// Duration is the default as a time.
func (l Limit) Duration() time.Duration { return time.Duration(l.Default) * time.Second }
