package webconfig

import "github.com/ancora-fleet/ancora/dataplane/xmltree"

// place counts lines and columns from 1, columns in characters.
type place struct{ line, column int }

// element is one element with the places of everything in it.
type element struct {
	name       string
	at         place
	attributes []attribute
	children   []*element
	// text is where characters other than space stand between its children.
	text *attribute
}

type attribute struct {
	name, value string
	at          place
}

func (e *element) attribute(name string) (attribute, bool) {
	for _, a := range e.attributes {
		if a.name == name {
			return a, true
		}
	}
	return attribute{}, false
}

// readTree reads the file as a tree.
func readTree(file string, content []byte) (*element, *Error) {
	root, problem := xmltree.Read(content)
	if problem != nil {
		return nil, &Error{File: file, Line: problem.At.Line, Column: problem.At.Column, Field: problem.Name, Value: problem.Value, Message: problem.Message}
	}
	return own(root), nil
}

// own turns an element into this package's form of it.
func own(e *xmltree.Element) *element {
	o := &element{name: e.Name, at: where(e.At)}
	for _, a := range e.Attributes {
		o.attributes = append(o.attributes, attribute{a.Name, a.Value, where(a.At)})
	}
	for _, child := range e.Children {
		o.children = append(o.children, own(child))
	}
	if e.Text != nil {
		o.text = &attribute{value: e.Text.Value, at: where(e.Text.At)}
	}
	return o
}

func where(at xmltree.Place) place { return place{at.Line, at.Column} }
