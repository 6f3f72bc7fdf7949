package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// yamlOf prints a message with the keys of its JSON. Every string is in double quotes unless it is a plain word, so
// nothing in it can be taken for syntax, a number or a terminal's control sequence.
func yamlOf(message proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(message)
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return nil, err
	}
	var b strings.Builder
	writeYAMLValue(&b, v, "", "")
	return []byte(strings.TrimPrefix(b.String(), "\n")), nil
}

// writeYAMLValue writes v behind a key or a dash; first is what stands before the first key of a map that follows one.
func writeYAMLValue(b *strings.Builder, v any, indent, first string) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		if first == "" {
			b.WriteByte('\n')
		}
		for i, key := range slices.Sorted(maps.Keys(v)) {
			lead := indent
			if i == 0 && first != "" {
				lead = first
			}
			b.WriteString(lead + yamlString(key) + ":")
			writeYAMLValue(b, v[key], indent+"  ", "")
		}
	case []any:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteByte('\n')
		for _, item := range v {
			b.WriteString(indent + "-")
			writeYAMLValue(b, item, indent+"  ", " ")
		}
	case string:
		b.WriteString(" " + yamlString(v) + "\n")
	case nil:
		b.WriteString(" null\n")
	default:
		fmt.Fprintf(b, " %v\n", v)
	}
}

func yamlString(s string) string {
	if isPlainWord(s) {
		return s
	}
	text, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return escapeJSON(string(text))
}

// isPlainWord is narrow on purpose: letters first, and none of the words YAML reads as something else.
func isPlainWord(s string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isLetter(c) && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != '/' {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return false
	}
	return true
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
