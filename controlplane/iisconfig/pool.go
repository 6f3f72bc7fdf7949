package iisconfig

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// What IIS does with a pool that says nothing (IIS 10).
const (
	presetIdleTimeout  = 20 * time.Minute
	presetRestart      = 1740 * time.Minute
	presetQueueLength  = 1000
	presetProcessCount = 1
)

// pool gives an application what its pool says; what the pool says is told once a site.
func (m *maker) pool(a *site.Application, named xmltree.Attribute) {
	e := m.pools[strings.ToLower(named.Value)]
	first := !m.told[strings.ToLower(named.Value)]
	m.told[strings.ToLower(named.Value)] = true
	m.users[named.Value] = append(m.users[named.Value], a.Path)
	if e == nil && first {
		m.say(NoEquivalent, named.At, "application pool %s does not stand in the file: IIS's defaults are taken", quote(named.Value))
	}
	p := &pool{maker: m, name: named.Value, at: named.At, scope: scope{e, m.poolDefaults}, quiet: !first}
	if e != nil {
		p.at = e.At
	}
	p.start(a)
	p.queue(a)
	p.environment(a)
	p.rapidFails(a)
	p.times(a)
	p.restart(a)
	p.identity()
	p.rest()
}

// shared says of pools with several applications what is different here.
func (m *maker) shared() {
	var all []string
	for name, paths := range m.users {
		if len(paths) > 1 {
			all = append(all, fmt.Sprintf("%s is that of %s", quote(name), strings.Join(paths, " and ")))
		}
	}
	slices.Sort(all)
	for _, text := range all {
		m.say(NotNeeded, m.e.At, "application pool %s: here each application has a process of its own", text)
	}
}

// pool is one pool as an application of a site sees it.
type pool struct {
	*maker
	name string
	at   xmltree.Place
	// scope is the pool, then the defaults of all pools.
	scope scope
	// quiet when the site has heard it already.
	quiet bool
	taken []string
}

func (p *pool) tell(kind Kind, at xmltree.Place, format string, args ...any) {
	if !p.quiet {
		p.say(kind, at, "application pool %s: "+format, append([]any{quote(p.name)}, args...)...)
	}
}

// bad is wrong, once a site.
func (p *pool) bad(at xmltree.Place, format string, args ...any) {
	if !p.quiet {
		p.wrong(at, format, args...)
	}
}

// find gives a setting by its path and notes that it has been dealt with.
func (p *pool) find(path string) (xmltree.Attribute, bool) {
	p.taken = append(p.taken, path)
	s := p.scope
	parts := strings.Split(path, "/")
	for _, name := range parts[:len(parts)-1] {
		s = s.child(name)
	}
	a, ok := s.attribute(parts[len(parts)-1])
	return a, ok
}

// number reads a setting of whole numbers; preset is IIS's, at the place of the pool.
func (p *pool) number(path string, preset uint32) (uint32, xmltree.Place, bool) {
	a, ok := p.find(path)
	if !ok {
		return preset, p.at, false
	}
	n, err := strconv.ParseUint(a.Value, 10, 32)
	if err != nil {
		p.bad(a.At, "%s=%q is no whole number", a.Name, a.Value)
	}
	return uint32(n), a.At, true
}

// span reads a setting of time, [days.]hours:minutes:seconds.
func (p *pool) span(path string, preset time.Duration) (time.Duration, xmltree.Place, bool) {
	a, ok := p.find(path)
	if !ok {
		return preset, p.at, false
	}
	d, err := webconfig.ParseSpan(a.Value)
	if err != nil {
		p.bad(a.At, "%s=%q %v", a.Name, a.Value, err)
	}
	return d, a.At, true
}

// minutes writes a time as IIS's own tools do.
func minutes(d time.Duration) string {
	if d%time.Minute != 0 {
		return fmt.Sprintf("%d seconds", d/time.Second)
	}
	return fmt.Sprintf("%d minutes", d/time.Minute)
}

// whose says of a value that stands nowhere that it is IIS's.
func whose(set bool) string {
	if set {
		return ""
	}
	return " (IIS's default)"
}

func (p *pool) start(a *site.Application) {
	mode, ok := p.find("startMode")
	if ok && strings.EqualFold(mode.Value, "AlwaysRunning") {
		a.Start = site.StartAlways
		p.tell(Carried, mode.At, "startMode=%s: start: always", quote(mode.Value))
	}
	if auto, ok := p.find("autoStart"); ok && strings.EqualFold(auto.Value, "false") {
		p.tell(NoEquivalent, auto.At, "autoStart=\"false\": here an applied site is served: leave its file out, or ancora offline it")
	}
}

func (p *pool) queue(a *site.Application) {
	n, at, set := p.number("queueLength", presetQueueLength)
	if !set || n == uint32(site.TheLimits().Queue.Default) {
		return
	}
	if limit := site.TheLimits().Queue; !limit.Contains(int64(n)) {
		p.bad(at, "queueLength=\"%d\" is not in %d to %d", n, limit.Min, limit.Max)
		return
	}
	a.Queue = &n
	p.tell(Carried, at, "queueLength=\"%d\": limits: {queue: %d}, for each of its applications", n, n)
}

func (p *pool) environment(a *site.Application) {
	for _, e := range p.scope.child("environmentVariables").collection() {
		name, named := e.Attribute("name")
		value, valued := e.Attribute("value")
		switch err := site.ValidVariable(name.Value); {
		case e.Name != "add" || !named || !valued:
			p.bad(e.At, "<%s> in environmentVariables: <add name= value=/> is meant", e.Name)
		case isEncrypted(value.Value):
			p.tell(ToDo, e.At, "environment variable %s is encrypted: it is not written; give it to the application by hand, in env", name.Value)
		case err != nil:
			p.tell(NoEquivalent, e.At, "environment variable %v: it is not written", err)
		case strings.EqualFold(name.Value, "PATH"):
			p.tell(NoEquivalent, e.At, "environment variable PATH names folders of Windows, and nothing would be found by it: it is not written")
		default:
			a.Env = append(a.Env, site.Variable{Name: name.Value, Value: value.Value})
			p.tell(Carried, e.At, "environment variable %s: env; unlike in IIS it wins over one of web.config", name.Value)
			p.windows(e, name.Value, value.Value)
		}
	}
}

func (p *pool) windows(e *xmltree.Element, name, value string) {
	if len(value) > 2 && value[1] == ':' && value[2] == '\\' || strings.HasPrefix(value, `\\`) {
		p.tell(ToDo, e.At, "environment variable %s has a path of Windows as its value: write the one of the hosts", name)
	}
}
