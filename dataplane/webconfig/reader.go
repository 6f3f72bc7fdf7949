package webconfig

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/filter"
)

// reader turns the tree into a Config.
type reader struct {
	file     string
	config   *Config
	problems Errors
	// section is the aspNetCore or httpPlatform that was met.
	section *element
	// handlerNames has the lines of the handlers that the file adds, by names in lower case. A name that is inherited may come
	// again, where IIS answers 500.19. mapped says that there is, or was, a handler of ours.
	handlerNames map[string]int
	mapped       bool
	// variableNames are those of the variables that stand, in lower case.
	variableNames map[string]bool
	// inherited is the section that the applications above have; bequest reads for those below.
	inherited string
	bequest   bool
	// foreign is what shows that the file was written for something else.
	foreign *Error
	// at is the path of the locations that are read, and nothing else of the file; empty: all but what those have for others.
	at string
	// below are the paths of the applications below.
	below []string
	// describing is where attributes and elements are described instead of read; nil while a file is read.
	describing *description
	// met are the sections that may stand once at a place; open is what the site accepts to be open to everybody.
	met map[seen]place
	// from is the section whose edits are being read.
	from filter.Source
	open []string
	// windows is where Windows authentication is turned on, noToken that the section wants no token of it.
	windows place
	noToken bool
}

func (r *reader) wrong(at place, field, value, format string, args ...any) {
	r.problems = append(r.problems, Error{File: r.file, Line: at.line, Column: at.column, Field: field, Value: value, Message: fmt.Sprintf(format, args...)})
}

// unusable is what the module, not IIS's reader, finds wrong.
func (r *reader) unusable(at place, field, value, format string, args ...any) {
	r.wrong(at, field, value, format, args...)
	r.problems[len(r.problems)-1].Code = unusable
}

// foreignTo remembers that the file was written for something else.
func (r *reader) foreignTo(at place, field, value, format string, args ...any) {
	if r.foreign == nil {
		r.foreign = &Error{File: r.file, Line: at.line, Column: at.column, Field: field, Value: value, Message: fmt.Sprintf(format, args...), Code: unusable}
	}
}

// note says that something has no effect.
func (r *reader) note(at place, format string, args ...any) { r.say(Ignored, at, format, args...) }

func (r *reader) say(kind Kind, at place, format string, args ...any) {
	r.config.Notes = append(r.config.Notes, Note{kind, at.line, at.column, fmt.Sprintf(format, args...)})
}

func (r *reader) sort() {
	slices.SortStableFunc(r.problems, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

func (r *reader) configuration(root *element) {
	if root.name != "configuration" {
		r.wrong(root.at, "<"+root.name+">", "", "is no root element of a web.config: configuration is")
		return
	}
	own := place{} // where the handlers of this place stand; the group around them may stand twice, they may not
	for _, e := range root.children {
		switch {
		case r.at != "":
			r.locationAt(e, &own)
		case e.name == "system.webServer":
			r.webServer(e, &own)
		case e.name == "location":
			r.location(e)
		case strings.EqualFold(e.name, "system.webServer"), strings.EqualFold(e.name, "location"):
			r.wrong(e.at, "<"+e.name+">", "", "is spelled wrongly: names are compared with case")
		case e.name == "system.web":
			r.framework(e)
			r.ignored(e, e.name)
		default:
			r.ignored(e, e.name)
		}
	}
	if r.section == nil && r.foreign != nil && !r.bequest {
		r.problems = append(r.problems, *r.foreign)
	}
	r.settle(root.at)
}

func (r *reader) ignored(e *element, path string) { r.note(e.at, "%s is not honoured yet", path) }

// framework recognises an application for the .NET Framework, which does not run on Linux.
func (r *reader) framework(e *element) {
	for _, child := range e.children {
		if a, ok := child.attribute("targetFramework"); ok {
			r.foreignTo(child.at, child.name, "", "this is an application for the .NET Framework %s, which runs on Windows only: keep it there, or publish it for .NET 8 or later", a.value)
		}
	}
}

// location holds sections for a path; that of the application itself is ".".
func (r *reader) location(e *element) {
	if r.bequest && r.stays(e) {
		return
	}
	path := ""
	for _, a := range e.attributes {
		switch a.name {
		case "path":
			path = a.value
		case "inheritInChildApplications", "allowOverride", "overrideMode":
		default:
			r.wrong(a.at, a.name, a.value, "is no attribute of location: %s", meant(a.name, []string{"path", "inheritInChildApplications", "allowOverride", "overrideMode"}))
		}
	}
	var at place
	for _, child := range e.children {
		if child.name != "system.webServer" {
			r.ignored(child, child.name)
			continue
		}
		if path == "" || path == "." {
			r.webServer(child, &at)
			continue
		}
		for _, section := range child.children {
			own := section.name == "aspNetCore" || section.name == "httpPlatform"
			switch {
			case (own || section.name == "handlers") && r.isBelow(path):
				r.say(Honoured, section.at, "%s of location path=%q is honoured, for the application there", section.name, path)
			case own && !r.bequest:
				r.unusable(e.at, section.name, "", "stands in location path=%q: it is read from the application's own section only, not from a path in it", path)
				return
			case own, r.enforce(&at, path, section):
			default:
				r.note(section.at, "%s of location path=%q is not honoured yet", section.name, path)
			}
		}
	}
}

// webServer reads the group of sections; handlers is where those of the same place in the file were met.
func (r *reader) webServer(e *element, handlers *place) {
	for _, s := range e.children {
		if r.at == "" && r.enforce(handlers, "", s) {
			continue
		}
		switch s.name {
		case "aspNetCore", "httpPlatform":
			if r.section != nil {
				r.wrong(s.at, "<"+s.name+">", "", "stands twice: line %d has %s already", r.section.at.line, r.section.name)
				continue
			}
			r.begin(s)
			r.process(s)
		case "handlers":
			if handlers.line > 0 {
				r.wrong(s.at, "<handlers>", "", "stands twice: line %d has it already", handlers.line)
				continue
			}
			*handlers = s.at
			r.readHandlers(s)
		case "iisnode":
			r.foreignTo(s.at, s.name, "", "this application was written for iisnode: give the site a command, or write an httpPlatform section")
			r.ignored(s, s.name)
		default:
			for _, own := range []string{"aspNetCore", "httpPlatform", "handlers"} {
				if strings.EqualFold(s.name, own) {
					r.wrong(s.at, "<"+s.name+">", "", "is spelled wrongly: %s is meant", own)
				}
			}
			if own := nearly(s.name); own != "" {
				r.say(Warning, s.at, "%s is not known: %s is meant?", s.name, own)
			}
			r.ignored(s, s.name)
		}
	}
	r.noText(e)
}

// noText finds what a lost < leaves behind.
func (r *reader) noText(e *element) {
	if e.text != nil {
		r.wrong(e.text.at, e.name, "", "holds text between its elements: %.40q", e.text.value)
	}
}

// leaf finds what stands in an element that holds nothing.
func (r *reader) leaf(e *element) {
	r.noText(e)
	for _, child := range e.children {
		r.wrong(child.at, "<"+child.name+">", "", "is no element of %s: it holds none", e.name)
	}
}

// model says what absent hostingModel means: the first module knew only processes of their own.
func (r *reader) model() {
	if r.section.name == "httpPlatform" {
		return
	}
	model := r.config.HostingModel
	first := slices.ContainsFunc(r.config.Handlers, func(h Handler) bool { return strings.EqualFold(h.Module, "AspNetCoreModule") })
	r.config.InProcess = model == "inprocess" || model == "" && !first
}
