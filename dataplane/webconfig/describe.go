package webconfig

import (
	"maps"
	"slices"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// Section is what Parse reads of a section, or of an element in it.
type Section struct {
	Name       string
	Attributes []Attribute
	Elements   []Section
	// Many when the element may stand several times.
	Many bool
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
}

// AttributeKind is the form of an attribute's value.
type AttributeKind string

const (
	// Text is any text.
	Text AttributeKind = "text"
	// Word is one of Choices.
	Word AttributeKind = "word"
	// Flag is true or false, in any case.
	Flag AttributeKind = "flag"
	// Number is a whole number.
	Number AttributeKind = "number"
	// Seconds is a whole number of seconds.
	Seconds AttributeKind = "seconds"
	// Span is [days.]hours:minutes:seconds, with its Limit in seconds.
	Span AttributeKind = "span"
)

// Sections describes aspNetCore and httpPlatform by the readers that Parse has for their attributes.
func Sections() []Section {
	pair := []Attribute{{Name: "name", Kind: Text, Required: true}, {Name: "value", Kind: Text, Required: true}}
	variables := Section{Name: "environmentVariables", Elements: []Section{{Name: "environmentVariable", Attributes: pair, Many: true}, {Name: "clear", Many: true}}}
	settings := Section{Name: "handlerSettings", Elements: []Section{{Name: "handlerSetting", Attributes: []Attribute{pair[0], {Name: "value", Kind: Text}}, Many: true}}}
	return []Section{describe("aspNetCore", variables, settings), describe("httpPlatform", variables)}
}

func describe(section string, elements ...Section) Section {
	s := Section{Name: section, Elements: elements}
	r := &reader{config: &Config{}, describing: &s, variableNames: map[string]bool{}}
	known := r.attributesOf(section)
	for _, name := range slices.Sorted(maps.Keys(known)) {
		before := len(s.Attributes)
		known[name](attribute{name: name})
		if len(s.Attributes) > before {
			continue
		}
		a := Attribute{Name: name, Kind: Text, Required: name == "processPath"}
		if name == "hostingModel" {
			a.Kind, a.Choices = Word, []string{"inprocess", "outofprocess"}
		}
		s.Attributes = append(s.Attributes, a)
	}
	return s
}

// described notes the form of an attribute while sections are described, and says so.
func (r *reader) described(a attribute, kind AttributeKind, limit site.Limit) bool {
	if r.describing == nil {
		return false
	}
	r.describing.Attributes = append(r.describing.Attributes, Attribute{Name: a.name, Kind: kind, Limit: limit})
	return true
}
