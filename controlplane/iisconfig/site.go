package iisconfig

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// maker makes one site.
type maker struct {
	*reader
	e    *xmltree.Element
	made Site
	// told are the pools whose settings were said.
	told map[string]bool
	// users has the paths of the applications of each pool.
	users map[string][]string
}

func (m *maker) say(kind Kind, at xmltree.Place, format string, args ...any) {
	m.made.Lines = append(m.made.Lines, Line{at.Line, kind, fmt.Sprintf(format, args...)})
}

func (r *reader) site(e *xmltree.Element) {
	name, ok := e.Attribute("name")
	if !ok || strings.TrimSpace(name.Value) == "" {
		r.wrong(e.At, "a site has no name")
		return
	}
	m := &maker{reader: r, e: e, made: Site{Name: name.Value, Line: e.At.Line}, told: map[string]bool{}, users: map[string][]string{}}
	s := &site.Site{Name: r.unique(label(name.Value)), Placement: site.Placement{Hosts: r.options.Hosts}}
	scope := scope{e, r.siteDefaults}
	before := len(r.unmapped) + len(r.problems)
	if m.bindings(s); len(s.Bindings) == 0 && len(r.unmapped)+len(r.problems) == before {
		m.say(NoEquivalent, e.At, "the site has no binding of http or https: it is not written")
		r.out.Sites = append(r.out.Sites, m.made)
		return
	}
	m.say(Carried, name.At, "site %s is called %s here, where names are a-z, 0-9 and -", quote(name.Value), s.Name)
	m.settings(scope)
	m.accessLog(s, scope)
	for _, a := range e.Children {
		if a.Name == "application" {
			m.application(s, a)
		}
	}
	m.shared()
	switch {
	case len(r.unmapped)+len(r.problems) > before:
	case len(s.Applications) == 0:
		m.say(NoEquivalent, e.At, "the site has no application: it is not written")
	default:
		m.made.Site = s
		for _, p := range s.Validate() {
			r.wrong(e.At, "site %q cannot be written: %s", name.Value, p)
		}
	}
	r.out.Sites = append(r.out.Sites, m.made)
}

// unique gives a name that no other site has.
func (r *reader) unique(name string) string {
	found := name
	for n := 2; r.labels[found]; n++ {
		found = fmt.Sprintf("%s-%d", strings.TrimRight(name[:min(len(name), 58)], "-"), n)
	}
	r.labels[found] = true
	return found
}

// settings says what becomes of the site's own settings.
func (m *maker) settings(s scope) {
	ours := []string{"name", "id", "bindings", "application", "applicationDefaults", "virtualDirectoryDefaults", "logFile/enabled", "logFile/logFormat", "hsts/redirectHttpToHttps"}
	for _, a := range s.settings(func(path string) bool { return slices.Contains(ours, path) }) {
		advice, known := siteAdvice()[a.path]
		idle, harmless := siteIdle()[a.path]
		switch {
		case a.path == "serverAutoStart" && strings.EqualFold(a.Value, "true"):
		case isEncrypted(a.Value):
			m.say(NoEquivalent, a.At, "%s is encrypted: it is neither read nor written", a.path)
		case harmless:
			m.say(NotNeeded, a.At, "%s=%s: %s", a.path, shown(a.path, a.Value), idle)
		case known:
			m.say(NoEquivalent, a.At, "%s=%s: %s", a.path, shown(a.path, a.Value), advice)
		default:
			m.say(NoEquivalent, a.At, "%s=%s: nothing here does this", a.path, shown(a.path, a.Value))
		}
	}
}

// siteAdvice says what to do about settings of a site that have no field.
func siteAdvice() map[string]string {
	return map[string]string{
		"serverAutoStart":          "IIS does not start this site by itself; here an applied site is served: leave its file out, or ancora offline it",
		"limits/maxConnections":    "connections are counted by listener: maxConnections of it in each host's policy; limits.concurrency of an application counts requests",
		"limits/connectionTimeout": "a matter of the listener: idleTimeout of it in each host's policy",
		"limits/maxBandwidth":      "no bandwidth is limited here: do it at the network",
		"hsts/enabled":             "the header Strict-Transport-Security is the application's: app.UseHsts()",
		"hsts/max-age":             "the application's: HstsOptions.MaxAge",
		"hsts/includeSubDomains":   "the application's: HstsOptions.IncludeSubDomains",
		"hsts/preload":             "the application's: HstsOptions.Preload",
		"logFile/directory":        "a host keeps access logs in its journal, 64 MiB a site: ancora logs SITE --stream access",
		"logFile/logExtFileFlags":  "the fields of accessLog: w3c are fixed: IIS's and cs-host, sc-bytes, cs-bytes",
	}
}

// siteIdle says why nothing needs to be done about others.
func siteIdle() map[string]string {
	return map[string]string{
		"limits/maxUrlSegments":                  "the segments of an address are not counted here",
		"traceFailedRequestsLogging/enabled":     "events are kept always: ancora logs SITE --stream event",
		"logFile/period":                         "the journal is bounded by size, not by time",
		"logFile/truncateSize":                   "the journal is bounded at 64 MiB a site",
		"logFile/localTimeRollover":              "lines have the time in UTC",
		"logFile/logTargetW3C":                   "lines go to the journal",
		"traceFailedRequestsLogging/directory":   "events are kept in the journal",
		"traceFailedRequestsLogging/maxLogFiles": "the journal is bounded by size",
	}
}

// accessLog takes the form of the log; IIS writes one unless it is told otherwise.
func (m *maker) accessLog(s *site.Site, scope scope) {
	log := scope.child("logFile")
	at := m.e.At
	if enabled, ok := log.attribute("enabled"); ok && strings.EqualFold(enabled.Value, "false") {
		m.say(Carried, enabled.At, "logFile enabled=\"false\": no accessLog, as is the default here")
		return
	}
	format, ok := log.attribute("logFormat")
	if ok {
		at = format.At
	}
	switch strings.ToLower(format.Value) {
	case "", "w3c":
		s.AccessLog = site.AccessLogW3C
	case "ncsa":
		s.AccessLog = site.AccessLogCombined
	case "iis":
		s.AccessLog = site.AccessLogW3C
		m.say(NoEquivalent, at, "logFile logFormat=\"IIS\": accessLog: w3c is written in its place, which has the same facts in other columns")
		return
	default:
		m.say(NoEquivalent, at, "logFile logFormat=%s: choose accessLog: json, combined or w3c", quote(format.Value))
		return
	}
	m.say(Carried, at, "logFile logFormat %s: accessLog: %s", orDefault(format.Value, "W3C"), s.AccessLog)
}

func orDefault(value, preset string) string {
	if value == "" {
		return preset + " (IIS's default)"
	}
	return quote(value)
}
