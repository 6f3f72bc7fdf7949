package webconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// process reads aspNetCore or httpPlatform.
func (r *reader) process(e *element) {
	known := r.attributesOf(e.name)
	for name, read := range known {
		known[name] = func(a attribute) {
			r.stands(a.name, a.at)
			read(a)
		}
	}
	r.each(e, known)
	if strings.TrimSpace(r.config.ProcessPath) == "" && !r.bequest {
		if !slices.ContainsFunc(e.attributes, func(a attribute) bool { return strings.EqualFold(a.name, "processPath") && a.value != "" }) {
			r.unusable(e.at, "processPath", "", "is missing: the program to start")
		}
	}
	for _, child := range e.children {
		switch {
		case child.name == "environmentVariables":
			r.variables(child)
		case child.name == "handlerSettings" && e.name == "aspNetCore":
			r.settings(child)
		case child.name == "recycleOnFileChange":
			r.ignored(child, child.name)
		default:
			r.stranger(child, e.name, elementsOf(e.name)...)
		}
	}
	r.noText(e)
}

func elementsOf(section string) []string {
	if section == "httpPlatform" {
		return []string{"environmentVariables", "recycleOnFileChange"}
	}
	return []string{"environmentVariables", "handlerSettings", "recycleOnFileChange"}
}

// read takes one attribute.
type read func(a attribute)

func (r *reader) attributesOf(section string) map[string]read {
	limits, c := site.TheLimits(), r.config
	all := map[string]read{
		"processPath":             func(a attribute) { c.ProcessPath = a.value },
		"arguments":               func(a attribute) { c.Arguments = a.value },
		"startupTimeLimit":        r.seconds(&c.StartupTimeLimit, limits.StartupTimeLimit),
		"requestTimeout":          r.span(&c.RequestTimeout, limits.RequestTimeout),
		"rapidFailsPerMinute":     r.count(limits.RapidFailsPerMinute, func(n uint32) { c.RapidFailsPerMinute = &n }),
		"processesPerApplication": r.count(limits.ProcessesPerApplication, func(n uint32) { c.Processes = &n }),
		"stdoutLogEnabled":        r.boolean(func(_ attribute, on bool) { c.StdoutLogEnabled = on }),
		"stdoutLogFile":           func(a attribute) { c.StdoutLogFile = a.value },
		"forwardWindowsAuthToken": r.boolean(func(_ attribute, on bool) { r.noToken = !on }),
	}
	if section == "httpPlatform" {
		all["requestTimeout"] = r.span(&c.RequestTimeout, limits.PlatformRequestTimeout)
		all["startupRetryCount"] = func(a attribute) {
			r.count(site.Limit{Name: "startupRetryCount", Max: 100, Default: 10}, func(n uint32) { c.StartupRetryCount = &n })(a)
		}
		return all
	}
	all["shutdownTimeLimit"] = r.seconds(&c.ShutdownTimeLimit, limits.ShutdownTimeLimit)
	all["disableStartUpErrorPage"] = r.boolean(func(_ attribute, on bool) { c.DisableStartUpErrorPage = &on })
	all["hostingModel"] = func(a attribute) {
		switch c.HostingModel = strings.ToLower(a.value); c.HostingModel {
		case "", "inprocess", "outofprocess":
		default:
			r.unusable(a.at, a.name, a.value, "is not known: inprocess or outofprocess")
		}
	}
	return all
}

func (r *reader) boolean(to func(a attribute, on bool)) read {
	return func(a attribute) {
		if r.described(a, Attribute{Kind: Flag}) {
			return
		}
		switch strings.ToLower(a.value) {
		case "true":
			to(a, true)
		case "false":
			to(a, false)
		default:
			r.wrong(a.at, a.name, a.value, "is neither true nor false")
		}
	}
}

func (r *reader) count(limit site.Limit, to func(n uint32)) read {
	return func(a attribute) {
		if r.described(a, numeric(Number, limit)) {
			return
		}
		n, err := strconv.ParseUint(a.value, 10, 32)
		if err != nil || !limit.Contains(int64(n)) {
			r.wrong(a.at, a.name, a.value, "is not in %d to %d", limit.Min, limit.Max)
			return
		}
		to(uint32(n))
	}
}

func (r *reader) seconds(to **time.Duration, limit site.Limit) read {
	return func(a attribute) {
		if r.described(a, numeric(Seconds, limit)) {
			return
		}
		n, err := strconv.ParseUint(a.value, 10, 32)
		if err != nil || !limit.Contains(int64(n)) {
			r.wrong(a.at, a.name, a.value, "is not in %d to %d seconds", limit.Min, limit.Max)
			return
		}
		d := time.Duration(n) * time.Second
		*to = &d
	}
}

// span reads [days.]hours:minutes:seconds.
func (r *reader) span(to **time.Duration, limit site.Limit) read {
	return func(a attribute) {
		if r.described(a, numeric(Span, limit)) {
			return
		}
		d, err := ParseSpan(a.value)
		if err == nil && !limit.Contains(int64(d/time.Second)) {
			err = fmt.Errorf("is not in 00:00:00 to %d.00:00:00", limit.Max/(24*60*60))
		}
		if err != nil {
			r.wrong(a.at, a.name, a.value, "%v", err)
			return
		}
		*to = &d
	}
}

// ParseSpan reads what IIS calls a timeSpan, [days.]hours:minutes:seconds: minutes and seconds up to 59, hours up to 23 behind
// days, else up to 9999, days up to 65535.
func ParseSpan(text string) (time.Duration, error) {
	wrong := fmt.Errorf("is no length of time: hours:minutes:seconds as in 00:20:00, minutes and seconds up to 59 (an hour is 01:00:00), days before a dot as in 1.00:00:00")
	clock, days := text, uint64(0)
	if before, after, ok := strings.Cut(text, "."); ok {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil {
			return 0, wrong
		}
		days, clock = n, after
	}
	parts := strings.Split(clock, ":")
	if len(parts) != 3 {
		return 0, wrong
	}
	var n [3]uint64
	for i, part := range parts {
		v, err := strconv.ParseUint(part, 10, 16)
		most := uint64(59)
		if i == 0 {
			most = 23
			if days == 0 {
				most = 9999
			}
		}
		if err != nil || v > most {
			return 0, wrong
		}
		n[i] = v
	}
	return time.Duration(((days*24+n[0])*60+n[1])*60+n[2]) * time.Second, nil
}

func (r *reader) variables(e *element) {
	r.noText(e)
	r.only(e)
	for _, v := range e.children {
		switch v.name {
		case "clear":
			r.only(v)
			r.leaf(v)
			r.config.Env = nil
			clear(r.variableNames)
		case "environmentVariable":
			r.variable(v)
		default:
			r.stranger(v, e.name, "environmentVariable", "clear")
		}
	}
}

func (r *reader) variable(e *element) {
	name, named := e.attribute("name")
	value, valued := e.attribute("value")
	r.only(e, "name", "value")
	r.leaf(e)
	if !valued {
		r.wrong(e.at, "value", "", "is missing; an empty one is \"\"")
	}
	folded := strings.ToLower(name.value)
	switch {
	case !named:
		r.wrong(e.at, "name", "", "is missing")
		return
	case r.variableNames[folded]:
		r.wrong(e.at, "environmentVariable", name.value, "stands twice; names differ without regard to case")
		return
	}
	r.variableNames[folded] = true
	if err := site.ValidVariable(name.value); err != nil {
		r.wrong(name.at, "name", name.value, "%v", err)
		return
	}
	if strings.ContainsRune(value.value, 0) {
		r.wrong(value.at, "value", "", "holds a NUL character")
		return
	}
	r.stands(folded+"=", e.at)
	r.config.setVariable(site.Variable{Name: name.value, Value: value.value})
}
