package iisconfig

import (
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// scope is where a setting is looked for: the element itself, then the defaults that IIS takes it from. Some may be nil.
type scope []*xmltree.Element

// attribute finds the one that counts.
func (s scope) attribute(name string) (xmltree.Attribute, bool) {
	for _, e := range s {
		if e == nil {
			continue
		}
		if a, ok := e.Attribute(name); ok {
			return a, true
		}
	}
	return xmltree.Attribute{}, false
}

// on says whether a switch is on, and where; it is off when it stands nowhere.
func (s scope) on(name string) (xmltree.Attribute, bool) {
	a, ok := s.attribute(name)
	return a, ok && strings.EqualFold(a.Value, "true")
}

// child goes one element down.
func (s scope) child(name string) scope {
	var inner scope
	for _, e := range s {
		inner = append(inner, child(e, name))
	}
	return inner
}

// collection gives the elements of the defaults and then the element's own; clear takes away what came before it.
func (s scope) collection() []*xmltree.Element {
	var all []*xmltree.Element
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == nil {
			continue
		}
		for _, e := range s[i].Children {
			if e.Name == "clear" {
				all = nil
				continue
			}
			all = append(all, e)
		}
	}
	return all
}

// setting is one attribute below an element, with the path to it.
type setting struct {
	path string
	xmltree.Attribute
}

// settings gives every attribute that counts, those of children too, in the order of the elements; collections are left out.
func (s scope) settings(leave func(path string) bool) []setting {
	var all []setting
	seen := map[string]bool{}
	for _, e := range s {
		if e != nil {
			settings(e, "", leave, seen, &all)
		}
	}
	return all
}

func settings(e *xmltree.Element, path string, leave func(path string) bool, seen map[string]bool, all *[]setting) {
	for _, a := range e.Attributes {
		full := path + a.Name
		if !seen[full] && !leave(full) {
			seen[full] = true
			*all = append(*all, setting{full, a})
		}
	}
	for _, c := range e.Children {
		if full := path + c.Name; !leave(full) {
			settings(c, full+"/", leave, seen, all)
		}
	}
}

func child(e *xmltree.Element, name string) *xmltree.Element {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// encrypted says whether a section or a value is: by its provider, or value by value.
func encrypted(e *xmltree.Element) bool {
	_, provider := e.Attribute("configProtectionProvider")
	return provider || child(e, "EncryptedData") != nil
}

func isEncrypted(value string) bool { return strings.HasPrefix(strings.TrimSpace(value), "[enc:") }

// blind leaves of encrypted values only that they are: what follows cannot pass one on.
func blind(e *xmltree.Element) {
	for i := range e.Attributes {
		if a := &e.Attributes[i]; isEncrypted(a.Value) {
			a.Value = "[enc:]"
		}
	}
	for _, c := range e.Children {
		blind(c)
	}
}
