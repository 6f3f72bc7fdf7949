package iisconfig

import (
	"fmt"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// elsewhere says of the sections that stand in a location which site they are about.
func (r *reader) elsewhere() {
	for _, e := range r.locations {
		path, _ := e.Attribute("path")
		name, rest, _ := strings.Cut(path.Value, "/")
		if r.unwanted[strings.ToLower(name)] {
			continue
		}
		s := r.named(name)
		for _, group := range e.Children {
			for _, section := range leaves(group, "") {
				where := fmt.Sprintf("%s for %q", section.path, path.Value)
				if section.path == "system.web" {
					s.orServer(r, Line{section.e.At.Line, NoEquivalent, where + ": it is for the .NET Framework (" + names(section.e) + "), and ASP.NET Core reads nothing of it"})
					continue
				}
				if s == nil {
					r.server(NoEquivalent, section.e.At, "%s: ancora reads a web.config of the application only, so what a site needs of this belongs there", where)
					continue
				}
				s.Lines = append(s.Lines, Line{section.e.At.Line, ToDo, fmt.Sprintf("%s: ancora reads it in %s only: put the section there", where, s.config(rest))})
			}
		}
	}
}

// orServer keeps a line with its site, or with the server where there is none.
func (s *Site) orServer(r *reader, l Line) {
	if s == nil {
		r.out.Server = append(r.out.Server, l)
		return
	}
	s.Lines = append(s.Lines, l)
}

// named finds the site of a location; that of another site, or of all, is none.
func (r *reader) named(name string) *Site {
	for i := range r.out.Sites {
		if name != "" && strings.EqualFold(r.out.Sites[i].Name, name) {
			return &r.out.Sites[i]
		}
	}
	return nil
}

// config names the web.config of the application that a path of the site belongs to.
func (s *Site) config(path string) string {
	root, longest := "the application's web.config", -1
	if s.Site == nil {
		return root
	}
	path = "/" + strings.ToLower(strings.Trim(path, "/"))
	for _, a := range s.Site.Applications {
		prefix := strings.TrimSuffix(strings.ToLower(a.Path), "/")
		if len(prefix) > longest && (path == prefix || strings.HasPrefix(path, prefix+"/")) {
			root, longest = a.Root+"/web.config", len(prefix)
		}
	}
	return root
}

// leaf is a section and the names above it.
type leaf struct {
	path string
	e    *xmltree.Element
}

// leaves finds the sections of a group; some groups hold groups.
func leaves(e *xmltree.Element, path string) []leaf {
	path += e.Name
	switch path {
	case "system.webServer", "system.webServer/security", "system.webServer/security/authentication", "system.webServer/tracing", "system.ftpServer", "system.ftpServer/security":
	default:
		return []leaf{{path, e}}
	}
	var all []leaf
	for _, child := range e.Children {
		all = append(all, leaves(child, path+"/")...)
	}
	return all
}
