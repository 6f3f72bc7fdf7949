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
}

// TheLimits gives the table.
func TheLimits() Limits {
	return Limits{
		StartupTimeLimit:        Limit{"startupTimeLimit", 0, 3600, 120, "s"},
		ShutdownTimeLimit:       Limit{"shutdownTimeLimit", 0, 600, 10, "s"},
		RequestTimeout:          Limit{"requestTimeout", 0, 1_296_000, 120, "s"},
		RapidFailsPerMinute:     Limit{"rapidFailsPerMinute", 0, 100, 10, ""},
		ProcessesPerApplication: Limit{"processesPerApplication", 1, 100, 1, ""},
	}
}

// Contains says whether n is in the range.
func (l Limit) Contains(n int64) bool { return n >= l.Min && n <= l.Max }

// Duration is the default as a time.
func (l Limit) Duration() time.Duration { return time.Duration(l.Default) * time.Second }
