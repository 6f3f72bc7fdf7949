package webconfig

import (
	"maps"
	"slices"
	"strconv"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// Section is what Parse reads of a section, or of an element in it.
type Section struct {
	Name       string
	Attributes []Attribute
	Elements   []Section
	// Many when the element may stand several times.
	Many bool
	// Any when nothing is said of what stands in it.
	Any bool
}

// Attribute is what Parse reads of an attribute.
type Attribute struct {
	Name     string
	Kind     AttributeKind
	Required bool
	// Limit is that of numbers and times.
	Limit site.Limit
	// Choices are all there is for a word, compared without case.
	Choices []string
	// Default is what an absent one comes to, of all but times; empty: nothing.
	Default string
}

// AttributeKind is the form of an attribute's value.
type AttributeKind string

const (
	// Text is any text.
	Text AttributeKind = "text"
	// Filled is any text but none, and but spaces.
	Filled AttributeKind = "filled"
	// Word is one of Choices.
	Word AttributeKind = "word"
	// Words are some of Choices, or none, with commas between them.
	Words AttributeKind = "words"
	// Flag is true or false, in any case.
	Flag AttributeKind = "flag"
	// Number is a whole number.
	Number AttributeKind = "number"
	// Seconds is a whole number of seconds.
	Seconds AttributeKind = "seconds"
	// Span is [days.]hours:minutes:seconds, with its Limit in seconds, and its default there.
	Span AttributeKind = "span"
	// Address is an address of the internet protocol, or a mask of one.
	Address AttributeKind = "address"
	// Nothing is an attribute that may be there and must be empty.
	Nothing AttributeKind = "nothing"
)

// Sections describes the sections that are read strictly, by the readers that Parse has for them.
func Sections() []Section {
	pair := []Attribute{{Name: "name", Kind: Text, Required: true}, {Name: "value", Kind: Text, Required: true}}
	variables := Section{Name: "environmentVariables", Elements: []Section{{Name: "environmentVariable", Attributes: pair, Many: true}, {Name: "clear", Many: true}}}
	settings := Section{Name: "handlerSettings", Elements: []Section{{Name: "handlerSetting", Attributes: pair, Many: true}, {Name: "clear", Many: true}}}
	changes := Section{Name: "recycleOnFileChange", Any: true}
	all := []Section{describe("aspNetCore", variables, settings, changes), describe("httpPlatform", variables, changes)}
	r := describer("handlers")
	r.readHandlers(&element{name: "handlers"})
	all = append(all, r.describing.done())
	for _, s := range r.enforced() {
		r = describer(s.name)
		r.reader(s.group, s.name)(spot{}, &element{name: s.name}, s.name)
		all = append(all, r.describing.done())
	}
	return all
}

func describe(section string, elements ...Section) Section {
	r := describer(section)
	r.describing.Elements = elements
	known := r.attributesOf(section)
	for _, name := range slices.Sorted(maps.Keys(known)) {
		r.describing.read(name, known[name])
	}
	if section == "aspNetCore" {
		r.describing.form("hostingModel", func(a *Attribute) {
			a.Kind, a.Choices, a.Default = Word, []string{"inprocess", "outofprocess"}, "inprocess"
		})
	}
	r.describing.required("processPath")
	return r.describing.done()
}

// describer is a reader that describes a section instead of reading one. What it says is of no interest.
func describer(section string) *reader {
	return &reader{
		config: &Config{}, describing: &description{Section: Section{Name: section}}, variableNames: map[string]bool{}, handlerNames: map[string]int{},
	}
}

// description is a section while its readers tell of it.
type description struct {
	Section
	needs []string // attributes that must be there
}

// read has an attribute described by its reader; what says nothing of itself takes any text.
func (d *description) read(name string, reader read) {
	before := len(d.Attributes)
	if reader(attribute{name: name}); len(d.Attributes) == before {
		d.add(Attribute{Name: name, Kind: Text})
	}
}

func (d *description) add(a Attribute) { d.Attributes = append(d.Attributes, a) }

func (d *description) required(name string) { d.needs = append(d.needs, name) }

// form says what the reader of an attribute does not.
func (d *description) form(name string, to func(*Attribute)) {
	for i := range d.Attributes {
		if d.Attributes[i].Name == name {
			to(&d.Attributes[i])
		}
	}
}

func (d *description) done() Section {
	for _, name := range d.needs {
		d.form(name, func(a *Attribute) { a.Required = true })
	}
	return d.Section
}

// element describes an element of the section.
func (r *reader) element(name string, many bool, reader func(*element)) {
	outer := r.describing
	r.describing = &description{Section: Section{Name: name, Many: many}}
	reader(&element{name: name})
	outer.Elements = append(outer.Elements, r.describing.done())
	r.describing = outer
}

// described notes the form of an attribute while sections are described, and says so.
func (r *reader) described(a attribute, form Attribute) bool {
	if r.describing == nil {
		return false
	}
	form.Name = a.name
	r.describing.add(form)
	return true
}

// numeric is a number, or a time, that has a default.
func numeric(kind AttributeKind, limit site.Limit) Attribute {
	return Attribute{Kind: kind, Limit: limit, Default: strconv.FormatInt(limit.Default, 10)}
}
