package site

import (
	"regexp"
	"slices"
	"strings"
)

// Rule is what Validate holds a field to, as far as it does not depend on other fields.
type Rule struct {
	// Required fields must be there.
	Required bool
	// Limit is nil for what is neither number, size nor time.
	Limit *Limit
	// Choices are all words there are; none means any.
	Choices []string
}

// Rules gives what Validate checks, by the path of the field, with [] for every entry of a list: the checks themselves note it
// while they look at a site that has nothing.
func Rules() map[string]Rule {
	c := &check{rules: map[string]Rule{}}
	c.site(&Site{
		Bindings:     []Binding{{TLS: &TLS{Certificates: make([]Certificate, 2), ClientCert: &ClientCert{}}}},
		Applications: []Application{{}},
	})
	empty := &check{}
	empty.site(&Site{})
	index := regexp.MustCompile(`\[\d+\]`)
	rules := map[string]Rule{}
	for at, rule := range c.rules {
		rules[index.ReplaceAllString(at, "[]")] = rule
	}
	require := func(at string) {
		rule := rules[at]
		rule.Required = true
		rules[at] = rule
	}
	for _, p := range c.problems {
		if missing(p) {
			require(index.ReplaceAllString(p.Path, "[]"))
		}
	}
	for _, p := range empty.problems { // what a site lacks is required with all that it stands in
		for at := p.Path; missing(p) && at != ""; at = at[:max(strings.LastIndexByte(at, '.'), 0)] {
			require(at)
		}
	}
	return rules
}

func missing(p Problem) bool { return strings.HasPrefix(p.Message, "is missing") }

// limited notes the limit of a field.
func (c *check) limited(at string, limit Limit) {
	if c.rules != nil {
		c.rules[at] = Rule{Limit: &limit}
	}
}

// oneOf checks a word; an empty one is a field that is not there.
func (c *check) oneOf(at, value string, choices ...string) {
	if c.rules != nil {
		c.rules[at] = Rule{Choices: choices}
	}
	if value == "" || slices.Contains(choices, value) {
		return
	}
	last := len(choices) - 1
	text := choices[last]
	if last > 0 {
		text = strings.Join(choices[:last], ", ") + " or " + text
	}
	c.add(at, "%q is not known: %s", value, text)
}
