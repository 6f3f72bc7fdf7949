package iisconfig

import (
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// rapidFails takes the number only where both count over the same time.
func (p *pool) rapidFails(a *site.Application) {
	const preset = 5
	limit := site.TheLimits().RapidFailsPerMinute
	on, there := p.find("failure/rapidFailProtection")
	interval, _, timed := p.span("failure/rapidFailProtectionInterval", 5*time.Minute)
	n, at, counted := p.number("failure/rapidFailProtectionMaxCrashes", preset)
	switch {
	case there && strings.EqualFold(on.Value, "false"):
		p.tell(NoEquivalent, on.At, "rapidFailProtection=\"false\": it is always on here: rapidFailsPerMinute: %d is the most that is let pass", limit.Max)
	case !timed && !counted:
	case interval == time.Minute && limit.Contains(int64(n)):
		a.RapidFailsPerMinute = &n
		p.tell(Carried, at, "rapidFailProtectionMaxCrashes %d in a minute: rapidFailsPerMinute: %d", n, n)
	default:
		p.tell(NoEquivalent, at, "rapidFailProtectionMaxCrashes %d in %s: failures are counted in a rolling minute here: rapidFailsPerMinute, %d to %d, %d unless set", n, minutes(interval), limit.Min, limit.Max, limit.Default)
	}
}

// times are those after which IIS ends a process that does nothing, or does not come or go in time.
func (p *pool) times(a *site.Application) {
	p.idle(a)
	p.processes(a)
	if d, at, set := p.span("processModel/startupTimeLimit", 0); set {
		p.tell(NoEquivalent, at, "startupTimeLimit %s is the worker process's, not the application's: ready: {timeout: ...}, or startupTimeLimit in web.config", minutes(d))
	}
	d, at, set := p.span("processModel/shutdownTimeLimit", 0)
	limit := site.TheLimits().Drain
	switch {
	case !set || d == limit.Duration():
	case limit.Contains(int64(d / time.Second)):
		a.Drain = &d
		p.tell(Carried, at, "shutdownTimeLimit %s: drain: requests in flight may go on for as long when a process is replaced", minutes(d))
	default:
		p.bad(at, "shutdownTimeLimit %s is not in %d to %d seconds", minutes(d), limit.Min, limit.Max)
	}
}

// idle is when IIS ends a process that nobody asks for anything.
func (p *pool) idle(a *site.Application) {
	d, at, set := p.span("processModel/idleTimeout", presetIdleTimeout)
	limit := site.TheLimits().Idle
	switch {
	case d == 0:
		p.tell(NotNeeded, at, "idleTimeout 0: an application without requests goes on running, as here")
	case a.Start == site.StartAlways:
		p.say(NotNeeded, at, "application pool %s: application %s: idleTimeout %s%s: it is kept running by start: always", quote(p.name), a.Path, minutes(d), whose(set))
	case !limit.Contains(int64(d / time.Second)):
		p.bad(at, "idleTimeout %s is not in %d to %d seconds", minutes(d), limit.Min, limit.Max)
	default:
		a.Idle = &d
		p.tell(Carried, at, "idleTimeout %s%s: idle: the next request starts it", minutes(d), whose(set))
	}
}

// processes is how many IIS has of a pool; a pool here is as many as its applications.
func (p *pool) processes(a *site.Application) {
	n, at, _ := p.number("processModel/maxProcesses", presetProcessCount)
	limit := site.TheLimits().ProcessesPerApplication
	switch {
	case n == 1:
	case n == 0:
		p.tell(NoEquivalent, at, "maxProcesses 0 is one for each NUMA node: an application has instances, %d unless set", limit.Default)
	case !limit.Contains(int64(n)):
		p.bad(at, "maxProcesses %d is not in 0 to %d", n, limit.Max)
	default:
		a.Instances = &n
		p.tell(Carried, at, "maxProcesses %d: instances: for each of its applications; affinity: cookie brings a visitor back to the same one", n)
	}
}

// restart is when IIS replaces processes.
func (p *pool) restart(a *site.Application) {
	const periodic = "recycling/periodicRestart/"
	limits := site.TheLimits()
	switch d, at, set := p.span(periodic+"time", presetRestart); {
	case d == 0:
		p.tell(NotNeeded, at, "periodicRestart time 0: nothing is replaced for its age, as here")
	case !limits.RecycleAge.Contains(int64(d / time.Second)):
		p.bad(at, "periodicRestart time %s is not in %d to %d seconds", minutes(d), limits.RecycleAge.Min, limits.RecycleAge.Max)
	default:
		a.Recycle.Age = &d
		p.tell(Carried, at, "periodicRestart time %s%s: recycle: {age: ...}, on each host up to a tenth later", minutes(d), whose(set))
	}
	if n, at, _ := p.number(periodic+"requests", 0); n > 0 {
		a.Recycle.Requests = &n
		p.tell(Carried, at, "periodicRestart requests %d: recycle: {requests: %d}", n, n)
	}
	if n, at, _ := p.number(periodic+"memory", 0); n > 0 {
		p.tell(NoEquivalent, at, "periodicRestart memory %d KB is virtual memory, of which .NET takes hundreds of gigabytes on Linux and uses few: recycle: {memory: ...} counts private memory", n)
	}
	p.privateMemory(a)
	for _, e := range p.scope.child("recycling").child("periodicRestart").child("schedule").collection() {
		p.schedule(a, e)
	}
	if v, ok := p.find("recycling/disallowOverlappingRotation"); ok && strings.EqualFold(v.Value, "true") {
		a.Overlap = new(bool)
		p.tell(Carried, v.At, "disallowOverlappingRotation=\"true\": overlap: false")
	}
	if v, ok := p.find("recycling/disallowRotationOnConfigChange"); ok && strings.EqualFold(v.Value, "true") {
		p.tell(NoEquivalent, v.At, "disallowRotationOnConfigChange=\"true\": handlerSettings of aspNetCore in web.config have one of this name: a pool has none here")
	}
}

func (p *pool) privateMemory(a *site.Application) {
	n, at, _ := p.number("recycling/periodicRestart/privateMemory", 0)
	bytes := int64(n) << 10
	switch limit := site.TheLimits().RecycleMemory; {
	case n == 0:
	case !limit.Contains(bytes):
		p.bad(at, "periodicRestart privateMemory %d KB is more than %d bytes", n, limit.Max)
	default:
		a.Recycle.Memory = &bytes
		p.tell(Carried, at, "periodicRestart privateMemory %d KB: recycle: {memory: ...}, for each of its applications", n)
	}
}

// schedule is a time of day at which IIS replaces processes.
func (p *pool) schedule(a *site.Application, e *xmltree.Element) {
	value, ok := e.Attribute("value")
	if !ok {
		p.bad(e.At, "<%s> in schedule: <add value=\"hh:mm:ss\"/> is meant", e.Name)
		return
	}
	d, err := webconfig.ParseSpan(value.Value)
	if err != nil || d >= 24*time.Hour || d%time.Minute != 0 {
		p.bad(value.At, "periodicRestart schedule \"%s\" is no time of day in whole minutes: hh:mm:ss as in 03:30:00", value.Value)
		return
	}
	clock := site.Clock{Hour: int(d / time.Hour), Minute: int(d % time.Hour / time.Minute)}.String()
	if slices.Contains(a.Recycle.Schedule, clock) {
		return
	}
	a.Recycle.Schedule = append(a.Recycle.Schedule, clock)
	p.tell(Carried, value.At, "periodicRestart schedule %s: recycle: {schedule: [\"%s\"]}, on each host up to 5 minutes later", value.Value, clock)
}

// identity is whom the processes run as; accounts of Windows are nobody here.
func (p *pool) identity() {
	const policy = "as the site file's user, or the defaultUser of each host's policy"
	kind, ok := p.find("processModel/identityType")
	user, named := p.find("processModel/userName")
	if named && user.Value != "" {
		p.tell(ToDo, user.At, "userName=%s: choose a user of the hosts: the application runs %s", shown("userName", user.Value), policy)
	} else if ok {
		p.tell(NoEquivalent, kind.At, "identityType=%s: the application runs %s", quote(kind.Value), policy)
	}
	if password, ok := p.find("processModel/password"); ok && password.Value != "" {
		p.tell(NotNeeded, password.At, "password of the pool's identity%s: it is not written", locked(password.Value))
	}
	if version, ok := p.find("managedRuntimeVersion"); ok && version.Value != "" {
		p.tell(NoEquivalent, version.At, "managedRuntimeVersion=%s is about the .NET Framework, whose applications do not run on Linux; those of ASP.NET Core need nothing of it", quote(version.Value))
	}
}

// rest says what nothing else has said; nothing is left out silently.
func (p *pool) rest() {
	p.taken = append(p.taken, "name", "environmentVariables", "recycling/periodicRestart/schedule")
	for _, a := range p.scope.settings(func(path string) bool { return slices.Contains(p.taken, path) }) {
		if windowsOnly()[a.path] {
			p.tell(NotNeeded, a.At, "%s=%s is about the worker process of IIS", a.path, shown(a.path, a.Value))
			continue
		}
		advice, known := poolAdvice()[a.path]
		if !known {
			advice = "nothing here does this"
		}
		p.tell(NoEquivalent, a.At, "%s=%s: %s", a.path, shown(a.path, a.Value), advice)
	}
}

// poolAdvice says what to do about settings that have no field.
func poolAdvice() map[string]string {
	return map[string]string{
		"cpu/limit":                   "CPUQuota= of the agent's unit bounds all applications of a host",
		"cpu/action":                  "CPUQuota= of the agent's unit bounds all applications of a host",
		"failure/orphanWorkerProcess": "a process that failed is ended; its last words: ancora describe site",
		"recycling/logEventOnRecycle": "events are kept always: ancora logs SITE --stream event",
	}
}

// windowsOnly are settings that nothing needs to be done about.
func windowsOnly() map[string]bool {
	all := map[string]bool{}
	for _, path := range []string{
		"enable32BitAppOnWin64", "managedRuntimeLoader", "enableConfigurationOverride", "managedPipelineMode", "CLRConfigFile", "passAnonymousToken",
		"processModel/idleTimeoutAction", "processModel/loadUserProfile", "processModel/setProfileEnvironment", "processModel/logonType",
		"processModel/manualGroupMembership", "processModel/pingingEnabled", "processModel/pingInterval", "processModel/pingResponseTime",
		"processModel/logEventOnProcessModel", "failure/loadBalancerCapabilities",
	} {
		all[path] = true
	}
	return all
}
