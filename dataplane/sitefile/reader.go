package sitefile

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

type place struct{ line, column int }

// reader walks one document.
type reader struct {
	file     string
	folder   string // what relative roots are relative to; empty: there may be none
	problems Errors
	// places are those of the fields that were met, by path.
	places map[string]place
	// describing takes the fields that are known, while they are described instead of read; else nil.
	describing *[]Field
}

func (r *reader) add(at place, path, format string, args ...any) {
	r.problems = append(r.problems, Error{r.file, at.line, at.column, path, fmt.Sprintf(format, args...)})
}

func (r *reader) wrong(n ast.Node, path, format string, args ...any) {
	r.add(placeOf(n), path, format, args...)
}

// placeOf gives where a value begins.
func placeOf(n ast.Node) place {
	switch m := n.(type) {
	case *ast.MappingNode:
		if len(m.Values) > 0 && !m.IsFlowStyle {
			return placeOf(m.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return placeOf(m.Key)
	case *ast.LiteralNode:
		return placeOf(m.Value)
	}
	if token := n.GetToken(); token != nil && token.Position != nil {
		return place{token.Position.Line, token.Position.Column}
	}
	return place{}
}

// field reads the value of one key.
type field func(value ast.Node, path string)

// pair is a key and its value.
type pair struct {
	name  string
	key   ast.Node
	value ast.Node
}

// pairs gives the pairs of a mapping; what stands twice is a problem.
func (r *reader) pairs(n ast.Node, path string) []pair {
	if r.described(path, Pairs) {
		return nil
	}
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		r.wrong(n, path, "%s is no mapping of fields", describe(n))
		return nil
	}
	var all []pair
	seen := map[string]bool{}
	for _, v := range values {
		name, ok := keyName(v.Key)
		where := join(path, name)
		switch {
		case !ok:
			r.wrong(v.Key, path, "this key is not supported: names only, no merging, no references")
			continue
		case seen[name]:
			r.wrong(v.Key, where, "stands twice")
			continue
		}
		seen[name] = true
		r.places[where] = placeOf(v.Key)
		all = append(all, pair{name, v.Key, v.Value})
	}
	return all
}

func keyName(key ast.MapKeyNode) (string, bool) {
	switch k := key.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.BoolNode, *ast.FloatNode:
		return k.GetToken().Value, true
	}
	return "", false
}

// fields reads a mapping whose names are known. later are those that a later version brings.
func (r *reader) fields(n ast.Node, path string, known map[string]field, later ...string) {
	if r.described(path, Mapping) {
		for _, name := range slices.Sorted(maps.Keys(known)) {
			known[name](nil, join(path, name))
		}
		return
	}
	for _, p := range r.pairs(n, path) {
		where := join(path, p.name)
		switch read := known[p.name]; {
		case read != nil:
			read(p.value, where)
		case slices.Contains(later, p.name):
			r.notYet(p, where, p.name)
		default:
			r.wrong(p.key, where, "is not known; known here: %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
}

// notYet refuses by name what is not there yet, each part of it.
func (r *reader) notYet(p pair, path, name string) {
	if m, ok := p.value.(*ast.MappingNode); ok && len(m.Values) > 0 {
		for _, inner := range r.pairs(m, path) {
			r.wrong(inner.key, path, "%s.%s is not supported yet", name, inner.name)
		}
		return
	}
	r.wrong(p.key, path, "%s is not supported yet", name)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// list reads each element of a sequence.
func (r *reader) list(n ast.Node, path string, each field) {
	if r.described(path, List) {
		each(nil, path+"[]")
		return
	}
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wrong(n, path, "%s is no list", describe(n))
		return
	}
	for i, v := range s.Values {
		where := fmt.Sprintf("%s[%d]", path, i)
		r.places[where] = placeOf(v)
		each(v, where)
	}
}

func (r *reader) text(to *string) field {
	return func(n ast.Node, path string) {
		if r.described(path, Text) {
			return
		}
		if s, ok := scalar(n); ok {
			*to = s
			return
		}
		r.wrong(n, path, "%s is no text", describe(n))
	}
}

func (r *reader) texts(to *[]string) field {
	return func(n ast.Node, path string) {
		*to = []string{}
		r.list(n, path, func(n ast.Node, path string) {
			var s string
			r.text(&s)(n, path)
			*to = append(*to, s)
		})
	}
}

// duration takes what time.ParseDuration does: 20s, 2m, 1h30m.
func (r *reader) duration(to **time.Duration) field {
	return func(n ast.Node, path string) {
		if r.described(path, Duration) {
			return
		}
		s, ok := scalar(n)
		d, err := time.ParseDuration(s)
		switch {
		case !ok:
			r.wrong(n, path, "%s is no length of time: write it as 20s, 2m or 1h", describe(n))
		case err != nil:
			r.wrong(n, path, "%q is no length of time: write it as 20s, 2m or 1h", s)
		default:
			*to = &d
		}
	}
}

func (r *reader) number(to **uint32) field {
	return func(n ast.Node, path string) {
		if r.described(path, Number) {
			return
		}
		s, _ := scalar(n)
		v, err := strconv.ParseUint(s, 10, 32)
		if _, ok := n.(*ast.IntegerNode); !ok || err != nil {
			r.wrong(n, path, "%s is no whole number from 0 up", describe(n))
			return
		}
		small := uint32(v)
		*to = &small
	}
}

func (r *reader) boolean(to **bool) field {
	return func(n ast.Node, path string) {
		if r.described(path, Flag) {
			return
		}
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.wrong(n, path, "%s is neither true nor false", describe(n))
			return
		}
		*to = &b.Value
	}
}

// scalar gives a text, or a number or boolean as it is spelled.
func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// describe says what a value is, for a message.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.NullNode:
		return "an empty value"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.AnchorNode, *ast.AliasNode:
		return "a reference, which is not supported,"
	case *ast.TagNode:
		return "a tag, which is not supported,"
	}
	if s, ok := scalar(n); ok {
		return strconv.Quote(s)
	}
	return "this"
}
