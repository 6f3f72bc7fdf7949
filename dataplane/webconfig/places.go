package webconfig

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// spot is where a section stands: the path that location names, and what tells one location from the next.
type spot struct {
	path string
	in   *place
}

// seen is a section that was met at a spot.
type seen struct {
	in   *place
	name string
}

// enforce reads a section that restricts requests or dresses answers; false: it is none of these. in is the same for the
// sections of one location, and path the one that it names, empty for the application itself.
func (r *reader) enforce(in *place, path string, s *element) bool {
	at := spot{plain(path), in}
	if read := r.reader("", s.name); read != nil {
		r.once(at, s, s.name, read)
		return true
	}
	switch s.name {
	case "security":
		r.security(at, s)
	case "httpProtocol":
		r.httpProtocol(at, s)
	case "rewrite":
		r.rewrite(s)
		r.ignored(s, s.name)
	case "httpRedirect":
		r.httpRedirect(s)
	default:
		return r.misspelt(s, "", "security", "httpProtocol", "httpErrors", "webSocket", "applicationInitialization")
	}
	return true
}

// section is one that is read strictly, in the group where it stands; without one it stands in system.webServer.
type section struct {
	group, name string
	read        func(at spot, e *element, path string)
}

// enforced are all that restrict requests or dress answers.
func (r *reader) enforced() []section {
	return []section{
		{"security", "requestFiltering", r.requestFiltering},
		{"security", "ipSecurity", r.ipSecurity},
		{"security", "access", r.access},
		{"httpProtocol", "customHeaders", r.customHeaders},
		{"", "httpErrors", r.httpErrors},
		{"", "webSocket", r.webSocket},
		{"", "applicationInitialization", r.initialization},
	}
}

// reader gives what reads a section of a group; nil: it is none of these.
func (r *reader) reader(group, name string) func(at spot, e *element, path string) {
	for _, s := range r.enforced() {
		if s.group == group && s.name == name {
			return s.read
		}
	}
	return nil
}

// misspelt finds a section that would be enforced if it were spelled with the right case.
func (r *reader) misspelt(s *element, group string, names ...string) bool {
	for _, name := range names {
		if s.name != name && strings.EqualFold(s.name, name) {
			r.wrong(s.at, "<"+s.name+">", "", "is spelled wrongly: %s is meant", group+name)
			return true
		}
	}
	return false
}

// once reads one that may stand once at a spot.
func (r *reader) once(at spot, e *element, name string, read func(at spot, e *element, name string)) {
	if first, twice := r.met[seen{at.in, name}]; twice {
		r.wrong(e.at, "<"+e.name+">", "", "stands twice: line %d has it already", first.line)
		return
	}
	if r.met == nil {
		r.met = map[seen]place{}
	}
	r.met[seen{at.in, name}] = e.at
	outer := r.from
	r.from = filter.Source{Section: e.name, File: r.file, Line: e.at.line, Column: e.at.column}
	read(at, e, name)
	r.from = outer
}

func (r *reader) edit(at spot, do func(*filter.Rules)) {
	r.config.Edits = append(r.config.Edits, Edit{at.path, do, r.from})
}

// honoured says that a section has the effect it has in IIS.
func (r *reader) honoured(at spot, e *element, name string) {
	if at.path != "" {
		name += " of location path=\"" + at.path + "\""
	}
	r.say(Honoured, e.at, "%s is honoured", name)
}

// locks are attributes that forbid files below to change something.
func locks() []string {
	return []string{"lockAttributes", "lockAllAttributesExcept", "lockElements", "lockAllElementsExcept", "lockItem"}
}

// take reads the attributes of an element of ours; what locks a section has no meaning in the last file that is read.
func (r *reader) take(e *element, known map[string]read) {
	if r.describing != nil {
		for _, name := range names(known) {
			r.describing.read(name, known[name])
		}
		r.only(e, locks()...)
		return
	}
	r.noText(e)
	r.each(e, known)
}

// each reads the attributes of an element, but for locks.
func (r *reader) each(e *element, known map[string]read) {
	for _, a := range e.attributes {
		switch read := known[a.name]; {
		case read != nil:
			read(a)
		case !slices.Contains(locks(), a.name):
			r.wrong(a.at, a.name, a.value, "is no attribute of %s: %s", e.name, meant(a.name, names(known)))
		}
	}
}

// holds reads the elements in one of ours. Where they can be cleared away it is a collection, which has many of each.
func (r *reader) holds(e *element, known map[string]func(*element)) {
	if r.describing != nil {
		for _, name := range names(known) {
			r.element(name, known["clear"] != nil, known[name])
		}
		return
	}
	for _, child := range e.children {
		if read := known[child.name]; read != nil {
			read(child)
			continue
		}
		r.wrong(child.at, "<"+child.name+">", "", "is no element of %s: %s", e.name, meant(child.name, names(known)))
	}
}

func names[T any](known map[string]T) []string {
	var all []string
	for name := range known {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// word takes an attribute that must hold something.
func (r *reader) word(to *string) read {
	return func(a attribute) {
		if r.described(a, Attribute{Kind: Filled}) {
			return
		}
		if *to = a.value; strings.TrimSpace(a.value) == "" {
			r.wrong(a.at, a.name, a.value, "is empty")
		}
	}
}

// loose takes an attribute that may be empty.
func (r *reader) loose(to *string) read { return func(a attribute) { *to = a.value } }

// flag takes a boolean.
func (r *reader) flag(to *bool) read { return r.boolean(func(_ attribute, on bool) { *to = on }) }

// unsigned takes a number of 32 bits without a sign, as IIS keeps its limits.
func (r *reader) unsigned(to **uint32) read {
	return func(a attribute) {
		if r.described(a, Attribute{Kind: Number, Limit: site.Limit{Max: math.MaxUint32}}) {
			return
		}
		n, err := strconv.ParseUint(a.value, 10, 32)
		if err != nil {
			r.wrong(a.at, a.name, a.value, "is not in 0 to 4294967295")
			return
		}
		small := uint32(n)
		*to = &small
	}
}

// integer takes a number of a range; what is there already is its default, if it lies in it.
func (r *reader) integer(to *int, least, most int) read {
	return func(a attribute) {
		form := Attribute{Kind: Number, Limit: site.Limit{Min: int64(least), Max: int64(most)}}
		if *to >= least && *to <= most {
			form.Default = strconv.Itoa(*to)
		}
		if r.described(a, form) {
			return
		}
		n, err := strconv.Atoi(a.value)
		if err != nil || n < least || n > most {
			r.wrong(a.at, a.name, a.value, "is not in %d to %d", least, most)
			return
		}
		*to = n
	}
}

// oneOf takes a word of a list, in any case; what is there already is its default.
func (r *reader) oneOf(to *string, words ...string) read {
	return func(a attribute) {
		if r.described(a, Attribute{Kind: Word, Choices: words, Default: *to}) {
			return
		}
		for _, w := range words {
			if strings.EqualFold(w, a.value) {
				*to = w
				return
			}
		}
		r.wrong(a.at, a.name, a.value, "is not known: %s", strings.Join(words, ", "))
	}
}

// ignore takes an attribute that has no effect here.
func (r *reader) ignore(path string) read {
	return func(a attribute) { r.note(a.at, "%s: %s=\"%s\" has no effect", path, a.name, a.value) }
}

// required finds the attribute that an element cannot do without.
func (r *reader) required(e *element, name string) bool {
	if r.describing != nil {
		r.describing.required(name)
		return false
	}
	if _, ok := e.attribute(name); !ok {
		r.wrong(e.at, name, "", "is missing in <%s>", e.name)
		return false
	}
	return true
}

// closed is met where the file keeps visitors out in a way that is not enforced: the application does not start, unless the
// site says that it may be open.
func (r *reader) closed(at place, name, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if slices.Contains(r.open, name) {
		r.say(Warning, at, "%s %s, which is not enforced: the site accepts that with open: [%s]", name, text, name)
		return
	}
	r.wrong(at, name, "", "%s, which is not enforced, and the site would be open to everybody: an application that guards itself is accepted with webConfig: {open: [%s]} in the site file", text, name)
	r.problems[len(r.problems)-1].Closes = true
}
