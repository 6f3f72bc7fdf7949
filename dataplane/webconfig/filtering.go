package webconfig

import (
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// requestFiltering reads what is refused by its form. Only what is written holds: an attribute that is absent has not the
// default of IIS but none.
func (r *reader) requestFiltering(at spot, e *element, path string) {
	if len(e.attributes) > 0 || len(e.children) == 0 {
		r.honoured(at, e, path)
	}
	rule := func(to func(*filter.Rules, bool)) read {
		return r.boolean(func(_ attribute, on bool) { r.edit(at, func(rules *filter.Rules) { to(rules, on) }) })
	}
	r.take(e, map[string]read{
		"allowDoubleEscaping":    rule(func(rules *filter.Rules, on bool) { rules.NoDoubleEscaping = !on }),
		"allowHighBitCharacters": rule(func(rules *filter.Rules, on bool) { rules.NoHighBit = !on }),
		"unescapeQueryString":    rule(func(rules *filter.Rules, on bool) { rules.RawQuery = !on }),
		"removeServerHeader":     rule(func(rules *filter.Rules, on bool) { rules.NoServer = on }),
	})
	part := func(read func(at spot, e *element, path string)) func(*element) {
		return func(child *element) {
			name := path + "/" + child.name
			r.once(at, child, name, func(at spot, child *element, _ string) {
				r.honoured(at, child, name)
				read(at, child, name)
			})
		}
	}
	r.holds(e, map[string]func(*element){
		"requestLimits":            part(r.requestLimits),
		"verbs":                    part(r.listed("verb", func(rules *filter.Rules) *filter.List { return &rules.Verbs }, nil)),
		"fileExtensions":           part(r.listed("fileExtension", func(rules *filter.Rules) *filter.List { return &rules.Extensions }, dotted)),
		"hiddenSegments":           part(r.texts("segment", func(rules *filter.Rules) *[]string { return &rules.Segments })),
		"denyUrlSequences":         part(r.texts("sequence", func(rules *filter.Rules) *[]string { return &rules.DenyURL })),
		"alwaysAllowedUrls":        part(r.texts("url", func(rules *filter.Rules) *[]string { return &rules.AllowURL })),
		"denyQueryStringSequences": part(r.texts("sequence", func(rules *filter.Rules) *[]string { return &rules.DenyQuery })),
		"alwaysAllowedQueryStrings": part(r.texts("queryString", func(rules *filter.Rules) *[]string {
			return &rules.AllowQuery
		})),
		"filteringRules": r.filteringRules,
	})
}

func dotted(extension string) string { return "." + strings.TrimPrefix(extension, ".") }

func (r *reader) requestLimits(at spot, e *element, path string) {
	var body, url, query *uint32
	target := func(to **uint32) read {
		return func(a attribute) {
			if r.unsigned(to)(a); *to != nil && **to > h1.MaxTarget {
				r.say(Warning, a.at, "%s: %s=\"%s\" is more than there can be: a target over 16 KiB is answered with 414 before", path, a.name, a.value)
			}
		}
	}
	r.take(e, map[string]read{"maxAllowedContentLength": r.unsigned(&body), "maxUrl": target(&url), "maxQueryString": target(&query)})
	r.edit(at, func(rules *filter.Rules) {
		rules.Body, rules.URL, rules.Query = either(body, rules.Body), either(url, rules.URL), either(query, rules.Query)
	})
	r.holds(e, map[string]func(*element){"headerLimits": func(e *element) {
		r.take(e, nil)
		r.collection(at, e, collection{
			key: []string{"header"}, reset: func(rules *filter.Rules) { rules.Headers = nil },
			drop: func(key []string) func(*filter.Rules) {
				return func(rules *filter.Rules) {
					rules.Headers = without(rules.Headers, func(h filter.HeaderLimit) string { return h.Name }, key[0])
				}
			},
			add: func(e *element) func(*filter.Rules) {
				var name string
				var most *uint32
				r.take(e, map[string]read{"header": r.word(&name), "sizeLimit": r.unsigned(&most)})
				if !r.required(e, "sizeLimit") || most == nil {
					return nil
				}
				return func(rules *filter.Rules) {
					rules.Headers = append(rules.Headers, filter.HeaderLimit{Name: name, Most: *most})
				}
			},
		})
	}})
}

// listed reads a collection of what is allowed and denied by name.
func (r *reader) listed(attribute string, list func(*filter.Rules) *filter.List, spelled func(string) string) func(at spot, e *element, path string) {
	if spelled == nil {
		spelled = func(s string) string { return s }
	}
	name := func(l filter.Listed) string { return l.Name }
	return func(at spot, e *element, path string) {
		r.take(e, map[string]read{
			"applyToWebDAV": r.ignore(path),
			"allowUnlisted": r.boolean(func(_ attributeOf, on bool) {
				r.edit(at, func(rules *filter.Rules) { list(rules).DenyUnlisted = !on })
			}),
		})
		r.collection(at, e, collection{
			key: []string{attribute}, reset: func(rules *filter.Rules) { list(rules).Names = nil },
			drop: func(key []string) func(*filter.Rules) {
				return func(rules *filter.Rules) { list(rules).Names = without(list(rules).Names, name, spelled(key[0])) }
			},
			add: func(e *element) func(*filter.Rules) {
				one := filter.Listed{}
				r.take(e, map[string]read{attribute: r.word(&one.Name), "allowed": r.flag(&one.Allowed)})
				r.required(e, "allowed")
				one.Name = spelled(one.Name)
				return func(rules *filter.Rules) { list(rules).Names = append(list(rules).Names, one) }
			},
		})
	}
}

// texts reads a collection of texts.
func (r *reader) texts(attribute string, list func(*filter.Rules) *[]string) func(at spot, e *element, path string) {
	self := func(s string) string { return s }
	return func(at spot, e *element, path string) {
		known := map[string]read{}
		if attribute == "segment" {
			known["applyToWebDAV"] = r.ignore(path)
		}
		r.take(e, known)
		r.collection(at, e, collection{
			key: []string{attribute}, reset: func(rules *filter.Rules) { *list(rules) = nil },
			drop: func(key []string) func(*filter.Rules) {
				return func(rules *filter.Rules) { *list(rules) = without(*list(rules), self, key[0]) }
			},
			add: func(e *element) func(*filter.Rules) {
				var text string
				r.take(e, map[string]read{attribute: r.word(&text)})
				return func(rules *filter.Rules) { *list(rules) = append(*list(rules), text) }
			},
		})
	}
}

// filteringRules would refuse more than is enforced.
func (r *reader) filteringRules(e *element) {
	if r.describing != nil {
		r.describing.Any = true
	}
	for _, rule := range e.children {
		if rule.name == "filteringRule" {
			r.closed(rule.at, "filteringRules", "refuses requests by a rule of its own")
		}
	}
}

// attributeOf is attribute, where a parameter has that name.
type attributeOf = attribute

// collection says how the elements of one are read: what an element is known by, and what it changes.
type collection struct {
	key   []string
	reset func(*filter.Rules)
	drop  func(key []string) func(*filter.Rules)
	add   func(e *element) func(*filter.Rules)
	// named is the name of the element that adds; empty: add.
	named string
}

// collection reads add, remove and clear in their order. What is added replaces what is inherited under the same key.
func (r *reader) collection(at spot, e *element, c collection) {
	met := map[string]place{}
	keyOf := func(e *element) ([]string, bool) {
		key := make([]string, len(c.key))
		for i, name := range c.key {
			a, ok := e.attribute(name)
			if !ok && i == 0 {
				return nil, r.required(e, name)
			}
			key[i] = a.value
		}
		return key, true
	}
	if c.named == "" {
		c.named = "add"
	}
	r.holds(e, map[string]func(*element){
		c.named: func(e *element) {
			r.leaf(e)
			key, ok := keyOf(e)
			add := c.add(e)
			if !ok {
				return
			}
			id := strings.ToLower(strings.Join(key, "\x00"))
			if first, twice := met[id]; twice {
				r.wrong(e.at, c.key[0], key[0], "stands twice: line %d has it already", first.line)
				return
			}
			met[id] = e.at
			if add != nil {
				r.edit(at, c.drop(key))
				r.edit(at, add)
			}
		},
		"remove": func(e *element) {
			r.leaf(e)
			r.only(e, c.key...)
			if key, ok := keyOf(e); ok {
				delete(met, strings.ToLower(strings.Join(key, "\x00")))
				r.edit(at, c.drop(key))
			}
		},
		"clear": func(e *element) {
			r.leaf(e)
			r.only(e)
			clear(met)
			r.edit(at, c.reset)
		},
	})
}

// without leaves out those of a name, in a new list: an inherited one is shared.
func without[T any](list []T, name func(T) string, drop string) []T {
	return slices.DeleteFunc(slices.Clone(list), func(one T) bool { return strings.EqualFold(name(one), drop) })
}

func either[T any](own, inherited *T) *T {
	if own != nil {
		return own
	}
	return inherited
}
