// Package iisconfig turns the applicationHost.config of IIS into sites of ours, and says of everything that stands in it for
// a site what has become of it. It is pure: it reads no other file, asks nobody, and never passes on a secret.
package iisconfig

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// Options is what the file cannot say.
type Options struct {
	// Hosts is the placement of every site, a selector or `all`.
	Hosts string
	// Maps says where folders of Windows are on the hosts.
	Maps []Map
	// Certificates is an absolute folder of the hosts: IIS keeps certificates outside of the file, so bindings name files there.
	Certificates string
	// Only has the names of the sites that are wanted, as IIS spells them; none is all.
	Only []string
}

// Import is what has become of a file.
type Import struct {
	Sites []Site
	// Server is what concerns no single site.
	Server []Line
}

// Site is one site of IIS.
type Site struct {
	// Name is that of IIS, empty for one that comes from a web.config; Line is where it stands.
	Name string
	Line int
	// Site is nil for one that cannot be a site here; Lines says why.
	Site  *site.Site
	Lines []Line
}

// Line says what has become of one thing in the file. Text names the thing and its value; a secret is named, never shown.
type Line struct {
	Line int
	Kind Kind
	Text string
}

// Kind says what an operator has to do about a line.
type Kind string

const (
	// Carried stands in the site file.
	Carried Kind = "carried over"
	// ToDo stands in the site file and needs something that is not in it.
	ToDo Kind = "to do"
	// NoEquivalent stands nowhere; the line says what to do instead.
	NoEquivalent Kind = "no equivalent"
	// NotNeeded stands nowhere, and nothing needs to be done.
	NotNeeded Kind = "not needed"
)

// Error is one problem of a file. Line and Column count from 1; 0 means the file as a whole.
type Error struct {
	File         string
	Line, Column int
	Message      string
}

func (e Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Message)
}

// Errors is everything that is wrong with a file, in its order.
type Errors []Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Read turns a file into sites. Its error is an Errors, or an Unmapped when Maps lacks folders; nothing is returned beside it.
func Read(file string, content []byte, o Options) (*Import, error) {
	root, problem := xmltree.Read(content)
	if problem != nil {
		message := problem.Message
		if problem.Name != "" {
			message = problem.Name + ": " + message
		}
		return nil, Errors{{file, problem.At.Line, problem.At.Column, message}}
	}
	blind(root)
	r := &reader{file: file, options: o, out: &Import{}, pools: map[string]*xmltree.Element{}, labels: map[string]bool{}, unwanted: map[string]bool{}}
	r.configuration(root)
	switch {
	case len(r.problems) > 0:
		slices.SortStableFunc(r.problems, func(a, b Error) int { return a.Line - b.Line })
		return nil, slices.Compact(r.problems) // two sites of one pool find the same
	case len(r.unmapped) > 0:
		return nil, Unmapped(r.unmapped)
	}
	for i := range r.out.Sites {
		r.out.Sites[i].Lines = ordered(r.out.Sites[i].Lines)
	}
	return r.out, nil
}

// ordered sorts lines as the file does, each of them once.
func ordered(lines []Line) []Line {
	slices.SortStableFunc(lines, func(a, b Line) int { return a.Line - b.Line })
	seen := map[Line]bool{}
	return slices.DeleteFunc(lines, func(l Line) bool {
		twice := seen[l]
		seen[l] = true
		return twice
	})
}

type reader struct {
	file     string
	options  Options
	out      *Import
	problems Errors
	unmapped []Folder
	// pools is by name in lower case.
	pools        map[string]*xmltree.Element
	poolDefaults *xmltree.Element
	sites        []*xmltree.Element
	// siteDefaults, applicationDefaults and directoryDefaults stand beside the sites.
	siteDefaults, applicationDefaults, directoryDefaults *xmltree.Element
	locations                                            []*xmltree.Element
	// unwanted are the names of sites that were not asked for, in lower case.
	unwanted map[string]bool
	// labels are the names that sites have here.
	labels map[string]bool
}

func (r *reader) wrong(at xmltree.Place, format string, args ...any) {
	r.problems = append(r.problems, Error{r.file, at.Line, at.Column, fmt.Sprintf(format, args...)})
}

func (r *reader) server(kind Kind, at xmltree.Place, format string, args ...any) {
	r.out.Server = append(r.out.Server, Line{at.Line, kind, fmt.Sprintf(format, args...)})
}

func (r *reader) configuration(root *xmltree.Element) {
	if root.Name != "configuration" {
		r.wrong(root.At, "<%s> is no root element of an applicationHost.config: configuration is", root.Name)
		return
	}
	for _, e := range root.Children {
		switch e.Name {
		case "system.applicationHost":
			r.host(e)
		case "location":
			r.locations = append(r.locations, e)
		case "system.webServer":
			r.server(NoEquivalent, e.At, "system.webServer holds what all sites share (%s): ancora reads a web.config of the application only, so what a site needs of this belongs there", names(e))
		case "configurationRedirection":
			r.redirected(e)
		case "configSections", "configProtectedData":
			r.server(NotNeeded, e.At, "%s is about the file itself", e.Name)
		default:
			r.server(NoEquivalent, e.At, "%s (%s): nothing here does this", e.Name, names(e))
		}
	}
	if len(r.sites) == 0 && len(r.problems) == 0 {
		r.wrong(root.At, "holds no site: configuration/system.applicationHost/sites/site is one; what is called web.config is read as the file of one application")
		return
	}
	r.wanted()
	for _, s := range r.sites {
		r.site(s)
	}
	r.elsewhere()
}

// redirected refuses the file in which a server says that its configuration is a shared one, somewhere else.
func (r *reader) redirected(e *xmltree.Element) {
	if on, ok := (scope{e}).on("enabled"); ok {
		path, _ := e.Attribute("path")
		r.wrong(on.At, "configurationRedirection: the configuration of this server is in %s, what lies beside this file is not in use: import that folder", path.Value)
	}
}

// Redirected refuses a redirection.config by which a server has its configuration somewhere else. Its error is an Errors.
func Redirected(file string, content []byte) error {
	root, problem := xmltree.Read(content)
	if problem != nil {
		return nil // IIS's own file, and not what was asked for
	}
	r := &reader{file: file}
	if e := child(root, "configurationRedirection"); e != nil {
		r.redirected(e)
	}
	if len(r.problems) > 0 {
		return r.problems
	}
	return nil
}

// host reads the pools and finds the sites.
func (r *reader) host(e *xmltree.Element) {
	for _, section := range e.Children {
		if a, ok := section.Attribute("configSource"); ok {
			r.wrong(a.At, "%s stands in another file, %s: put its content here", section.Name, a.Value)
			continue
		}
		if encrypted(section) {
			r.wrong(section.At, "%s is encrypted as a whole: decrypt it on the server it comes from", section.Name)
			continue
		}
		switch section.Name {
		case "applicationPools":
			r.applicationPools(section)
		case "sites":
			r.findSites(section)
		default:
			r.server(NoEquivalent, section.At, "%s (%s): nothing here does this", section.Name, names(section))
		}
	}
}

func (r *reader) applicationPools(e *xmltree.Element) {
	for _, pool := range e.Children {
		switch name, ok := pool.Attribute("name"); {
		case pool.Name == "applicationPoolDefaults":
			r.poolDefaults = pool
		case pool.Name != "add":
			r.wrong(pool.At, "<%s> is not known in applicationPools: add and applicationPoolDefaults are", pool.Name)
		case !ok:
			r.wrong(pool.At, "an application pool has no name")
		case r.pools[strings.ToLower(name.Value)] != nil:
			r.wrong(name.At, "application pool %q stands in line %d already", name.Value, r.pools[strings.ToLower(name.Value)].At.Line)
		default:
			r.pools[strings.ToLower(name.Value)] = pool
		}
	}
}

func (r *reader) findSites(e *xmltree.Element) {
	for _, s := range e.Children {
		switch s.Name {
		case "site":
			r.sites = append(r.sites, s)
		case "siteDefaults":
			r.siteDefaults = s
		case "applicationDefaults":
			r.applicationDefaults = s
		case "virtualDirectoryDefaults":
			r.directoryDefaults = s
		default:
			r.wrong(s.At, "<%s> is not known in sites: site, siteDefaults, applicationDefaults and virtualDirectoryDefaults are", s.Name)
		}
	}
}

// wanted leaves the sites that were asked for.
func (r *reader) wanted() {
	if len(r.options.Only) == 0 {
		return
	}
	var all []string
	for _, s := range r.sites {
		name, _ := s.Attribute("name")
		all = append(all, name.Value)
	}
	for _, name := range r.options.Only {
		if !slices.ContainsFunc(all, func(n string) bool { return strings.EqualFold(n, name) }) {
			r.problems = append(r.problems, Error{File: r.file, Message: fmt.Sprintf("has no site %q: %q are there", name, all)})
		}
	}
	r.sites = slices.DeleteFunc(r.sites, func(s *xmltree.Element) bool {
		name, _ := s.Attribute("name")
		out := !slices.ContainsFunc(r.options.Only, func(n string) bool { return strings.EqualFold(n, name.Value) })
		r.unwanted[strings.ToLower(name.Value)] = out
		return out
	})
}

// names lists the children of an element.
func names(e *xmltree.Element) string {
	var all []string
	for _, child := range e.Children {
		if !slices.Contains(all, child.Name) {
			all = append(all, child.Name)
		}
	}
	if len(all) == 0 {
		return "empty"
	}
	return strings.Join(all, ", ")
}
