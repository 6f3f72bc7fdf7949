package schema

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/sitefile"
)

// node is a schema, or a part of one.
type node struct {
	Schema               string           `json:"$schema,omitempty"`
	Title                string           `json:"title,omitempty"`
	Description          string           `json:"description,omitempty"`
	Type                 any              `json:"type,omitempty"`
	Const                string           `json:"const,omitempty"`
	Enum                 []string         `json:"enum,omitempty"`
	AnyOf                []*node          `json:"anyOf,omitempty"`
	Pattern              string           `json:"pattern,omitempty"`
	Minimum              *int64           `json:"minimum,omitempty"`
	Maximum              *int64           `json:"maximum,omitempty"`
	Default              any              `json:"default,omitempty"`
	MinItems             int              `json:"minItems,omitempty"`
	Items                *node            `json:"items,omitempty"`
	Required             []string         `json:"required,omitempty"`
	Properties           map[string]*node `json:"properties,omitempty"`
	AdditionalProperties any              `json:"additionalProperties,omitempty"`
}

// Site gives the JSON Schema (draft 2020-12) of one document of a site file.
func Site() ([]byte, error) {
	rules := site.Rules()
	nodes := map[string]*node{}
	for _, f := range sitefile.Fields() {
		n := fieldNode(f, rules[f.Path])
		nodes[f.Path] = n
		attach(nodes, f.Path, n, rules[f.Path].Required)
	}
	root := nodes[""]
	root.Schema, root.Title = "https://json-schema.org/draft/2020-12/schema", "A site of ancora"
	for name, word := range map[string]string{"apiVersion": sitefile.APIVersion, "kind": sitefile.Kind} {
		*root.Properties[name] = node{Const: word}
	}
	root.Required = append([]string{"apiVersion", "kind"}, root.Required...)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(root)
	return b.Bytes(), err
}

// attach puts a field into what holds it.
func attach(nodes map[string]*node, path string, n *node, required bool) {
	if list, ok := strings.CutSuffix(path, "[]"); ok {
		nodes[list].Items = n
		if required {
			nodes[list].MinItems = 1
		}
		return
	}
	if path == "" {
		return
	}
	parent, name := "", path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = path[:i], path[i+1:]
	}
	nodes[parent].Properties[name] = n
	if required {
		nodes[parent].Required = append(nodes[parent].Required, name)
	}
}

// scalar are the types that are read as a text, as they are spelled.
func scalar() []string { return []string{"string", "number", "boolean"} }

func fieldNode(f sitefile.Field, rule site.Rule) *node {
	switch f.Kind {
	case sitefile.Mapping:
		return &node{Type: "object", Properties: map[string]*node{}, AdditionalProperties: false}
	case sitefile.Pairs:
		return &node{Type: "object", AdditionalProperties: &node{Type: scalar()}}
	case sitefile.List:
		n := &node{Type: "array"}
		if rule.Required {
			n.MinItems = 1
		}
		return n
	case sitefile.Flag:
		return &node{Type: "boolean"}
	case sitefile.Text:
		if len(rule.Choices) > 0 {
			return &node{Enum: rule.Choices}
		}
		return &node{Type: scalar()}
	}
	return measured(f.Kind, rule.Limit)
}

// measured is a number, a time or a size; one without a limit is held to none.
func measured(kind sitefile.FieldKind, l *site.Limit) *node {
	if l == nil {
		return &node{Type: scalar()}
	}
	n := &node{Description: said(*l), Default: l.Default}
	whole := &node{Type: "integer", Minimum: &l.Min, Maximum: &l.Max}
	switch kind {
	case sitefile.Number:
		n.Type, n.Minimum, n.Maximum = whole.Type, whole.Minimum, whole.Maximum
	case sitefile.Duration:
		n.Default = seconds(l.Default)
		n.AnyOf = []*node{{Type: "string", Pattern: "^(" + durationPattern(*l) + ")$"}}
		if l.Contains(0) {
			none := int64(0)
			n.AnyOf = append(n.AnyOf, &node{Type: "integer", Minimum: &none, Maximum: &none})
		}
	case sitefile.Size:
		n.AnyOf = []*node{whole, {Type: "string", Pattern: "^(" + sizePattern(*l) + ")$"}}
	}
	return n
}
