package webconfig

import (
	"slices"
	"strings"
)

// Source is the web.config of an application of a site.
type Source struct {
	// Path is the application's in the site.
	Path string
	// File is the path of the file; empty: there is none.
	File    string
	Content []byte
}

// ParseChain reads what an application has of its own file, the last of a chain, and of those of the applications above it, the
// highest first. below are the paths in the site of those below it. What stands nearer to the application counts more: a location that
// names its path, or one above it, stands there, before the file of that place. nil: there is no file.
func ParseChain(chain []Source, below []string, open ...string) (*Config, error) {
	own := chain[len(chain)-1]
	var above *Config
	from := own.Path // where the paths of what is inherited begin
	for _, u := range units(chain) {
		var err error
		if u.at != "" {
			above, err = bequestAt(above, u, open)
		} else {
			move(above, from, u.Path)
			above, err = Bequest(above, u.File, u.Content, open...)
			from = u.Path
		}
		if err != nil {
			return nil, err
		}
	}
	move(above, from, own.Path)
	switch {
	case own.File == "" && above == nil:
		return nil, nil
	case own.File == "":
		return Below(above), nil
	}
	r := newReader(above, own.File)
	r.open = open
	for _, path := range below {
		r.below = append(r.below, relativeTo(own.Path, path))
	}
	return parse(r, own.Content)
}

// unit is what a file has for one level of the chain.
type unit struct {
	Source
	level string // the path in the site
	at    string // the path that its locations name; empty: the rest of the file
	own   bool   // the level is the application's own
}

// units are those of the files above an application, in their order: the higher level first, at one level the higher file.
func units(chain []Source) []unit {
	path := chain[len(chain)-1].Path
	var all []unit
	for _, source := range chain[:len(chain)-1] {
		if source.File == "" {
			continue
		}
		all = append(all, unit{Source: source, level: source.Path})
		rest, named := relativeTo(source.Path, path), locations(source)
		for i := range len(rest) + 1 {
			if (i == len(rest) || rest[i] == '/') && named[strings.ToLower(rest[:i])] {
				level := strings.TrimSuffix(source.Path, "/") + "/" + rest[:i]
				all = append(all, unit{Source: source, level: level, at: rest[:i], own: i == len(rest)})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b unit) int {
		return len(strings.TrimSuffix(a.level, "/")) - len(strings.TrimSuffix(b.level, "/"))
	})
	return all
}

// locations are the paths that the locations of a file name. What is wrong with the file is told when it is read.
func locations(source Source) map[string]bool {
	root, _ := readTree(source.File, source.Content)
	if root == nil {
		return nil
	}
	named := map[string]bool{}
	for _, e := range root.children {
		if path, ok := e.attribute("path"); ok && e.name == "location" {
			named[strings.ToLower(plain(path.value))] = true
		}
	}
	return named
}

// bequestAt reads what the locations of a path have for the application there, and for those below it: the sections that say what is
// started, and which requests it gets. Their other sections are edits, which the file has brought already.
func bequestAt(above *Config, u unit, open []string) (*Config, error) {
	r := newReader(above, u.File)
	r.bequest, r.open, r.at = true, open, u.at
	config, err := parse(r, u.Content)
	if err == nil && u.own && r.section != nil {
		config.Named = true
	}
	return config, err
}

// locationAt reads a location of the path that is wanted.
func (r *reader) locationAt(e *element, handlers *place) {
	path, _ := e.attribute("path")
	if e.name != "location" || r.stays(e) || !samePath(path.value, r.at) {
		return
	}
	for _, child := range e.children {
		if child.name == "system.webServer" {
			r.webServer(child, handlers)
		}
	}
}

// isBelow says that an application below has the path that a location names.
func (r *reader) isBelow(path string) bool {
	return slices.ContainsFunc(r.below, func(below string) bool { return samePath(path, below) })
}

// samePath compares what a location names with a path without slashes at its ends.
func samePath(named, path string) bool {
	return strings.EqualFold(plain(named), path)
}

// plain spells what a location names without slashes at its ends.
func plain(named string) string { return strings.Trim(strings.ReplaceAll(named, `\`, "/"), "/") }

// relativeTo gives a path in the site as one below another, without a slash at its begin.
func relativeTo(up, path string) string {
	return strings.TrimPrefix(path[len(strings.TrimSuffix(up, "/")):], "/")
}

// move makes the edits that are inherited those of an application at another path.
func move(above *Config, from, to string) {
	if above != nil {
		above.Edits = EditsBelow(above.Edits, relativeTo(from, to))
	}
}
