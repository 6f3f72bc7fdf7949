package webconfig

import (
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// ParseBelow reads the file of an application that lies below others; above is what the nearest of them leaves to it, as
// Bequest gives it, and belongs to the result. Of equal names the file's own wins (N20).
func ParseBelow(above *Config, file string, content []byte, open ...string) (*Config, error) {
	r := newReader(above, file)
	r.open = open
	return parse(r, content)
}

// Bequest reads a file for the applications below its own: all but what stands in a location that says
// inheritInChildApplications="false" (SCH-3). Its edits still have their paths from its own application: EditsBelow. What only the application itself could miss is no error.
func Bequest(above *Config, file string, content []byte, open ...string) (*Config, error) {
	r := newReader(above, file)
	r.bequest, r.open = true, open
	return parse(r, content)
}

// Below is what an application without a file of its own has from those above it.
func Below(above *Config) *Config {
	r := newReader(above, "")
	r.settle(place{})
	return r.config
}

// newReader begins with what is inherited.
func newReader(above *Config, file string) *reader {
	c := &Config{}
	if above != nil {
		*c = *above
	}
	c.File, c.Notes, c.Initialization, c.Edits = file, nil, nil, slices.Clip(c.Edits)
	r := &reader{file: file, config: c, inherited: c.Section, variableNames: map[string]bool{}, handlerNames: map[string]int{}, mapped: len(c.Handlers) > 0}
	c.Section = ""
	return r
}

// begin makes ready for the file's own section: of one with the same name above it has every attribute it does not set, of
// another nothing.
func (r *reader) begin(e *element) {
	r.section, r.config.Section = e, e.name
	if r.inherited != e.name {
		r.config.dropSection()
	}
}

// dropSection forgets what aspNetCore and httpPlatform say.
func (c *Config) dropSection() {
	c.ProcessPath, c.Arguments, c.HostingModel, c.InProcess = "", "", "", false
	c.StartupTimeLimit, c.ShutdownTimeLimit, c.RequestTimeout = nil, nil, nil
	c.RapidFailsPerMinute, c.DisableStartUpErrorPage, c.Processes, c.StartupRetryCount = nil, nil, nil, nil
	c.StdoutLogEnabled, c.StdoutLogFile, c.Settings, c.Env = false, "", nil, nil
}

// settle ends the reading. An inherited program counts only for a section of the file's own, or one above that a location has
// for this application: else it names files of another folder, and what lies in this one says more.
func (r *reader) settle(at place) {
	c := r.config
	switch {
	case r.section != nil:
		r.model()
		r.version()
		r.token()
	case r.bequest, c.Named:
		c.Section = r.inherited
	default:
		c.ProcessPath, c.Arguments = "", ""
	}
	r.mapping(at)
}

// stays says of a location that those below have nothing of it.
func (r *reader) stays(e *element) bool {
	inherit, _ := e.attribute("inheritInChildApplications")
	return strings.EqualFold(inherit.value, "false")
}

// stands notes a place for those who find out later that what stands there cannot be used.
func (r *reader) stands(what string, at place) {
	if r.config.Places == nil {
		r.config.Places = map[string]Place{}
	}
	r.config.Places[what] = Place{r.file, at.line, at.column}
}

// setVariable takes the place of an inherited variable of the same name.
func (c *Config) setVariable(v site.Variable) {
	c.Env = slices.DeleteFunc(c.Env, func(old site.Variable) bool { return strings.EqualFold(old.Name, v.Name) })
	c.Env = append(c.Env, v)
}
