package site

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	maxBindings     = 64
	maxHostnames    = 256
	maxApplications = 64
	maxVariables    = 1024
	maxArguments    = 1024
)

// Validate says all that is wrong at once, or nil.
func (s *Site) Validate() Problems {
	c := &check{}
	c.site(s)
	return c.problems
}

func (c *check) site(s *Site) {
	c.label("name", s.Name)
	for _, key := range sortedKeys(s.Labels) {
		c.failed("labels."+key, validLabelPair(key, s.Labels[key]))
	}
	if s.Placement.Hosts == "" {
		c.add("placement.hosts", "is missing: a selector like role=web, or all")
	} else if _, err := ParseSelector(s.Placement.Hosts); err != nil {
		c.add("placement.hosts", "%v", err)
	}
	c.bindings(s.Bindings)
	c.applications(s.Applications)
	c.oneOf("accessLog", string(s.AccessLog), string(AccessLogJSON), string(AccessLogCombined), string(AccessLogW3C), string(AccessLogOff))
}

type check struct {
	problems Problems
	// rules takes what fields are held to; nil unless somebody asks for it.
	rules map[string]Rule
}

func (c *check) add(path, format string, args ...any) {
	c.problems = append(c.problems, Problem{path, fmt.Sprintf(format, args...)})
}

func (c *check) failed(path string, err error) {
	if err != nil {
		c.add(path, "%v", err)
	}
}

func (c *check) label(path, value string) {
	if value == "" {
		c.add(path, "is missing")
		return
	}
	c.failed(path, ValidLabel(value))
}

func (c *check) bindings(bindings []Binding) {
	if len(bindings) == 0 {
		c.add("bindings", "is missing: at least one {listener: http}")
	}
	if len(bindings) > maxBindings {
		c.add("bindings", "%d entries, at most %d are allowed", len(bindings), maxBindings)
		return
	}
	c.secured(bindings)
	seen := map[string]string{}
	for i, b := range bindings {
		at := fmt.Sprintf("bindings[%d]", i)
		c.label(at+".listener", b.Listener)
		c.tls(at, b.TLS)
		if len(b.Hostnames) > maxHostnames {
			c.add(at+".hostnames", "%d entries, at most %d are allowed", len(b.Hostnames), maxHostnames)
			continue
		}
		for j, name := range b.names() {
			where := at
			if name != "" || len(b.Hostnames) > 0 {
				where = fmt.Sprintf("%s.hostnames[%d]", at, j)
				c.failed(where, validHostname(name))
			}
			key := b.Listener + " " + strings.ToLower(name)
			if first, twice := seen[key]; twice {
				c.add(where, "%q stands in %s already", name, first)
			}
			seen[key] = where
		}
	}
}

func (c *check) applications(applications []Application) {
	if len(applications) == 0 {
		c.add("applications", "is missing: at least one {root: /folder}")
	}
	if len(applications) > maxApplications {
		c.add("applications", "%d entries, at most %d are allowed", len(applications), maxApplications)
		return
	}
	seen := map[string]int{}
	for i := range applications {
		a, at := &applications[i], fmt.Sprintf("applications[%d]", i)
		c.failed(at+".path", validPath(a.Path))
		if first, twice := seen[strings.ToLower(a.Path)]; twice {
			c.add(at+".path", "%q is the path of applications[%d] already; paths differ without regard to case", a.Path, first)
		} else {
			seen[strings.ToLower(a.Path)] = i
		}
		c.application(at, a)
	}
}

func (c *check) application(at string, a *Application) {
	c.failed(at+".root", validRoot(a.Root))
	c.failed(at+".user", validUser(a.User))
	c.oneOf(at+".profile", string(a.Profile), string(ProfileASPNETCore), string(ProfileGeneric))
	c.oneOf(at+".socket", string(a.Socket), string(SocketTCP), string(SocketUnix))
	if a.Socket == SocketUnix && a.Profile != ProfileGeneric {
		c.add(at+".socket", "unix needs profile: generic: IIS integration listens on a port and nowhere else")
	}
	c.oneOf(at+".protocol", string(a.Protocol), string(ProtocolHTTP1), string(ProtocolH2C))
	c.oneOf(at+".start", string(a.Start), string(StartOnRequest), string(StartAlways))
	if a.IISEnvironment && a.Profile == ProfileGeneric {
		c.add(at+".iisEnvironment", "true needs profile: aspnetcore: nothing else reads these variables")
	}
	c.command(at+".command", a.Command)
	c.environment(at+".env", a.Env)
	limits := TheLimits()
	c.duration(at+".ready.timeout", a.StartupTimeLimit, limits.Ready)
	c.duration(at+".stop.timeout", a.ShutdownTimeLimit, limits.ShutdownTimeLimit)
	c.duration(at+".drain", a.Drain, limits.Drain)
	c.duration(at+".requestTimeout", a.RequestTimeout, limits.RequestTimeout)
	c.number(at+".rapidFailsPerMinute", a.RapidFailsPerMinute, limits.RapidFailsPerMinute)
	c.instances(at, a)
	c.recycle(at, a)
	c.limited(at+".limits.body", limits.Body)
	if n := a.BodyLimit; n != nil && *n != Unlimited && !limits.Body.Contains(*n) {
		c.add(at+".limits.body", "%d bytes are not in 0 to %dGB, and none lifts the limit", *n, limits.Body.Max/1_000_000_000)
	}
	c.number(at+".limits.concurrency", a.Concurrency, limits.Concurrency)
	c.number(at+".limits.queue", a.Queue, limits.Queue)
	c.duration(at+".limits.queueTimeout", a.QueueTimeout, limits.QueueTimeout)
	c.open(at+".webConfig.open", a.Open)
}

func (c *check) open(at string, open []string) {
	for i, name := range open {
		switch where := fmt.Sprintf("%s[%d]", at, i); {
		case !slices.Contains(Restrictions(), name):
			c.add(where, "%q is not known: %s", name, strings.Join(Restrictions(), ", "))
		case slices.Contains(open[:i], name):
			c.add(where, "%q stands twice", name)
		}
	}
}

func (c *check) number(at string, n *uint32, limit Limit) {
	c.limited(at, limit)
	if n != nil && !limit.Contains(int64(*n)) {
		c.add(at, "%d is not in %d to %d", *n, limit.Min, limit.Max)
	}
}

func (c *check) instances(at string, a *Application) {
	c.number(at+".instances", a.Instances, TheLimits().ProcessesPerApplication)
	if a.Balance != "" && a.Balance != BalanceRotation && a.Balance != BalanceLeastOutstanding {
		c.add(at+".balance", "%q is not known: rotation or leastOutstanding", a.Balance)
	}
	if a.Affinity != "" && a.Affinity != AffinityNone && a.Affinity != AffinityCookie {
		c.add(at+".affinity", "%q is not known: none or cookie", a.Affinity)
	}
}

func (c *check) command(at string, command []string) {
	if len(command) > maxArguments {
		c.add(at, "%d entries, at most %d are allowed", len(command), maxArguments)
	}
	for i, part := range command {
		if i == 0 && part == "" {
			c.add(at+"[0]", "is empty: the program to start")
		}
		if strings.ContainsRune(part, 0) {
			c.add(fmt.Sprintf("%s[%d]", at, i), "holds a NUL character")
		}
	}
}

func (c *check) environment(at string, env []Variable) {
	if len(env) > maxVariables {
		c.add(at, "%d entries, at most %d are allowed", len(env), maxVariables)
		return
	}
	seen := map[string]bool{}
	for _, v := range env {
		where := at + "." + v.Name
		c.failed(where, ValidVariable(v.Name))
		if strings.ContainsRune(v.Value, 0) {
			c.add(where, "its value holds a NUL character")
		}
		if upper := strings.ToUpper(v.Name); seen[upper] {
			c.add(where, "stands twice; names differ without regard to case")
		} else {
			seen[upper] = true
		}
	}
}

func (c *check) duration(at string, d *time.Duration, limit Limit) {
	c.limited(at, limit)
	if d == nil {
		return
	}
	if *d%time.Second != 0 || !limit.Contains(int64(*d/time.Second)) {
		c.add(at, "%v is not in %ds to %ds in whole seconds", *d, limit.Min, limit.Max)
	}
}

// ValidLabel checks an RFC 1123 label: 1 to 63 of a-z, 0-9 and -, a letter or digit at both ends.
func ValidLabel(s string) error {
	if len(s) == 0 || len(s) > 63 {
		return fmt.Errorf("%q is not 1 to 63 characters long", s)
	}
	for i := range len(s) {
		ch := s[i]
		alnum := ch >= 'a' && ch <= 'z' || ch >= '0' && ch <= '9'
		if !alnum && (ch != '-' || i == 0 || i == len(s)-1) {
			return fmt.Errorf("%q is not a name: a-z, 0-9 and - are allowed, a letter or digit at both ends", s)
		}
	}
	return nil
}

// ValidVariable checks the name of an environment variable: anything but `=` and NUL (ENV-1). PATH and LD_* too: the program that
// is started has its user's rights whatever is loaded into it, and drivers of databases need them.
func ValidVariable(name string) error {
	switch {
	case name == "":
		return errors.New("the name of a variable is empty")
	case strings.ContainsAny(name, "=\x00"):
		return fmt.Errorf("%q: a variable's name has no = and no NUL", name)
	}
	return nil
}

func validHostname(name string) error {
	if name == "" {
		return errors.New("is empty")
	}
	if len(name) > 253 {
		return fmt.Errorf("%q is longer than 253 characters", name)
	}
	for label := range strings.SplitSeq(strings.TrimPrefix(name, "*."), ".") {
		if strings.Contains(label, "*") {
			return fmt.Errorf("%q: a * stands for one label, the first: *.example.com", name)
		}
		if ValidLabel(strings.ToLower(label)) != nil {
			return fmt.Errorf("%q is not a DNS name (other alphabets in their xn-- form, no port)", name)
		}
	}
	return nil
}

func validPath(p string) error {
	switch {
	case p == "/":
		return nil
	case !strings.HasPrefix(p, "/"):
		return fmt.Errorf("%q does not begin with /", p)
	case strings.HasSuffix(p, "/"):
		return fmt.Errorf("%q ends with /", p)
	case len(p) > 1024:
		return errors.New("is longer than 1024 characters")
	case path.Clean(p) != p:
		return fmt.Errorf("%q has an empty, . or .. segment", p)
	case strings.ContainsFunc(p, func(r rune) bool {
		return r == '\\' || r == '?' || r == '#' || r == '%' || r == '*' || unicode.IsControl(r) || unicode.IsSpace(r) && r != ' '
	}):
		return fmt.Errorf("%q holds a character that is not allowed in a path", p)
	}
	return nil
}

func validRoot(root string) error {
	switch {
	case root == "":
		return errors.New("is missing: the application's folder on the host")
	case !path.IsAbs(root):
		return fmt.Errorf("%q is not absolute", root)
	case strings.ContainsRune(root, 0):
		return errors.New("holds a NUL character")
	case path.Clean(root) != root:
		return fmt.Errorf("%q is not clean: %q is meant", root, path.Clean(root))
	case root == "/":
		return errors.New("the whole file system cannot be an application")
	case len(root) > 4096:
		return errors.New("is longer than 4096 characters")
	}
	return nil
}

func validUser(user string) error {
	if len(user) > 256 || strings.ContainsFunc(user, func(r rune) bool { return r == ':' || r == '/' || unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return fmt.Errorf("%q is not the name of a user", user)
	}
	return nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
