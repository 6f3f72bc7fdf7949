package iisconfig

import (
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/site"
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
	if d, at, set := p.span("processModel/idleTimeout", presetIdleTimeout); d == 0 {
		p.tell(NotNeeded, at, "idleTimeout 0: an application without requests goes on running, as here")
	} else {
		p.tell(NoEquivalent, at, "idleTimeout %s%s: an application without requests goes on running here, until ancora offline or another revision of the site", minutes(d), whose(set))
	}
	if n, at, _ := p.number("processModel/maxProcesses", presetProcessCount); n != 1 {
		p.tell(NoEquivalent, at, "maxProcesses %d: an application has one instance on a host: place the site on more hosts", n)
	}
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

// restart is when IIS replaces processes.
func (p *pool) restart(a *site.Application) {
	const by = "replace the processes by a timer that calls ancora recycle SITE, which drops nothing"
	const periodic = "recycling/periodicRestart/"
	if d, at, set := p.span(periodic+"time", presetRestart); d == 0 {
		p.tell(NotNeeded, at, "periodicRestart time 0: nothing is replaced for its age, as here")
	} else {
		p.tell(NoEquivalent, at, "periodicRestart time %s%s: nothing is replaced for its age here; an application that needs it: %s", minutes(d), whose(set), by)
	}
	if n, at, _ := p.number(periodic+"requests", 0); n > 0 {
		p.tell(NoEquivalent, at, "periodicRestart requests %d: nothing is replaced for its requests here: %s", n, by)
	}
	for _, name := range []string{"memory", "privateMemory"} {
		if n, at, _ := p.number(periodic+name, 0); n > 0 {
			p.tell(NoEquivalent, at, "periodicRestart %s %d KB: nothing is replaced for its memory here: DOTNET_GCHeapHardLimit in env bounds the heap of .NET, MemoryMax= of the agent's unit all applications of a host", name, n)
		}
	}
	for _, e := range p.scope.child("recycling").child("periodicRestart").child("schedule").collection() {
		value, ok := e.Attribute("value")
		if !ok {
			p.bad(e.At, "<%s> in schedule: <add value=\"hh:mm:ss\"/> is meant", e.Name)
			continue
		}
		p.tell(NoEquivalent, value.At, "periodicRestart schedule %s: nothing is replaced by a clock here: %s", value.Value, by)
	}
	if v, ok := p.find("recycling/disallowOverlappingRotation"); ok && strings.EqualFold(v.Value, "true") {
		a.Overlap = new(bool)
		p.tell(Carried, v.At, "disallowOverlappingRotation=\"true\": overlap: false")
	}
	if v, ok := p.find("recycling/disallowRotationOnConfigChange"); ok && strings.EqualFold(v.Value, "true") {
		p.tell(NoEquivalent, v.At, "disallowRotationOnConfigChange=\"true\": handlerSettings of aspNetCore in web.config have one of this name: a pool has none here")
	}
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
