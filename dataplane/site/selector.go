package site

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Selector picks by labels. The zero value matches nothing.
type Selector struct {
	all          bool
	requirements []requirement
}

type requirement struct {
	key    string
	values []string
	kind   requirementKind
}

type requirementKind int

const (
	in requirementKind = iota
	notIn
	exists
	existsNot
)

// ParseSelector reads requirements joined by commas: key=value, key==value, key!=value, key in (a,b), key notin (a,b),
// key, !key; or `all`. All of them must hold. Empty text gives a selector that matches nothing.
func ParseSelector(text string) (Selector, error) {
	text = strings.TrimSpace(text)
	switch text {
	case "":
		return Selector{}, nil
	case "all":
		return Selector{all: true}, nil
	}
	var s Selector
	for _, part := range splitOutside(text) {
		r, err := parseRequirement(strings.TrimSpace(part))
		if err != nil {
			return Selector{}, fmt.Errorf("selector %q: %w", text, err)
		}
		s.requirements = append(s.requirements, r)
	}
	return s, nil
}

// Matches says whether all requirements hold. `key!=value` and `key notin (..)` hold for what lacks the key.
func (s Selector) Matches(labels map[string]string) bool {
	if s.all {
		return true
	}
	for _, r := range s.requirements {
		value, has := labels[r.key]
		var holds bool
		switch r.kind {
		case in:
			holds = has && slices.Contains(r.values, value)
		case notIn:
			holds = !has || !slices.Contains(r.values, value)
		case exists:
			holds = has
		case existsNot:
			holds = !has
		}
		if !holds {
			return false
		}
	}
	return len(s.requirements) > 0
}

// String gives the canonical text, which ParseSelector reads again.
func (s Selector) String() string {
	if s.all {
		return "all"
	}
	parts := make([]string, len(s.requirements))
	for i, r := range s.requirements {
		switch {
		case r.kind == exists:
			parts[i] = r.key
		case r.kind == existsNot:
			parts[i] = "!" + r.key
		case len(r.values) == 1 && r.kind == in:
			parts[i] = r.key + "=" + r.values[0]
		case len(r.values) == 1:
			parts[i] = r.key + "!=" + r.values[0]
		case r.kind == in:
			parts[i] = r.key + " in (" + strings.Join(r.values, ",") + ")"
		default:
			parts[i] = r.key + " notin (" + strings.Join(r.values, ",") + ")"
		}
	}
	return strings.Join(parts, ",")
}

func parseRequirement(text string) (requirement, error) {
	if text == "" {
		return requirement{}, errors.New("a requirement is empty")
	}
	if key, ok := strings.CutPrefix(text, "!"); ok {
		key = strings.TrimSpace(key)
		return requirement{key: key, kind: existsNot}, validLabelKey(key)
	}
	if open := strings.IndexByte(text, '('); open >= 0 {
		return parseSet(text, open)
	}
	for _, op := range []struct {
		sign string
		kind requirementKind
	}{{"!=", notIn}, {"==", in}, {"=", in}} {
		if key, value, ok := strings.Cut(text, op.sign); ok {
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			return requirement{key: key, values: []string{value}, kind: op.kind}, validLabelPair(key, value)
		}
	}
	if text == "all" {
		return requirement{}, errors.New("all stands alone")
	}
	return requirement{key: text, kind: exists}, validLabelKey(text)
}

func parseSet(text string, open int) (requirement, error) {
	words := strings.Fields(text[:open])
	list, closed := strings.CutSuffix(text[open+1:], ")")
	if len(words) != 2 || !closed || words[1] != "in" && words[1] != "notin" {
		return requirement{}, fmt.Errorf("%q: key in (a,b) or key notin (a,b) is meant", text)
	}
	r := requirement{key: words[0]}
	if words[1] == "notin" {
		r.kind = notIn
	}
	for value := range strings.SplitSeq(list, ",") {
		value = strings.TrimSpace(value)
		if err := validLabelPair(r.key, value); err != nil {
			return requirement{}, err
		}
		r.values = append(r.values, value)
	}
	return r, nil
}

// splitOutside cuts at the commas that stand outside parentheses.
func splitOutside(text string) []string {
	var parts []string
	depth, from := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, text[from:i])
				from = i + 1
			}
		}
	}
	return append(parts, text[from:])
}

// validLabelKey: 1 to 63 letters, digits, and - _ . / inside.
func validLabelKey(key string) error {
	if key == "" || len(key) > 63 || !labelText(key, "-_./") {
		return fmt.Errorf("%q is not the key of a label: 1 to 63 letters, digits, and - _ . / inside", key)
	}
	return nil
}

func validLabelPair(key, value string) error {
	if err := validLabelKey(key); err != nil {
		return err
	}
	if len(value) > 63 || value != "" && !labelText(value, "-_.") {
		return fmt.Errorf("%q is not the value of a label: at most 63 letters, digits, and - _ . inside", value)
	}
	return nil
}

func labelText(s, inside string) bool {
	for i := range len(s) {
		ch := s[i]
		alnum := ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= '0' && ch <= '9'
		if !alnum && (i == 0 || i == len(s)-1 || strings.IndexByte(inside, ch) < 0) {
			return false
		}
	}
	return true
}

// ValidLabels checks the labels of a host or site and says all that is wrong.
func ValidLabels(labels map[string]string) error {
	var errs []error
	for _, key := range sortedKeys(labels) {
		errs = append(errs, validLabelPair(key, labels[key]))
	}
	return errors.Join(errs...)
}
