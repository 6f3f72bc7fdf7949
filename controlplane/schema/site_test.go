package schema

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/sitefile"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Site()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("site.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("site.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// accepts says what the schema has against a file, and what the reader has.
func accepts(s *jsonschema.Schema, text []byte) (bySchema, byReader error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for bySchema == nil {
		var value any
		if err := decoder.Decode(&value); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			bySchema = err
			break
		}
		bySchema = s.Validate(value)
	}
	_, byReader = sitefile.Parse("f", text)
	return bySchema, byReader
}

// Every site file of the project is good by its schema: the examples, the README's, those that import writes, and every one in
// the tests of its readers.
func TestSiteAccepts(t *testing.T) {
	s := compiled(t)
	texts := map[string][]byte{}
	for _, pattern := range []string{"../../deploy/sites/*.yaml", "../iisconfig/testdata/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v %v", pattern, files, err)
		}
		for _, file := range files {
			texts[file] = read(t, file)
		}
	}
	for i, block := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllSubmatch(read(t, "../../README.md"), -1) {
		if bytes.Contains(block[1], []byte("kind: Site")) {
			texts[fmt.Sprintf("README %d", i)] = block[1]
		}
	}
	for _, pattern := range []string{"../../dataplane/sitefile/*_test.go", "../cli/*_test.go"} {
		for name, text := range literals(t, pattern) {
			if _, err := sitefile.Parse(name, text); err == nil {
				texts[name] = text
			}
		}
	}
	if len(texts) < 9 {
		t.Fatalf("only %d site files were found", len(texts))
	}
	for name, text := range texts {
		if bySchema, byReader := accepts(s, text); bySchema != nil || byReader != nil {
			t.Errorf("%s: schema: %v, reader: %v", name, bySchema, byReader)
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// literals gives the texts in Go files that look like site files.
func literals(t *testing.T, pattern string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
				if text, err := strconv.Unquote(l.Value); err == nil && strings.Contains(text, "kind: Site") {
					all[fmt.Sprintf("%s:%d", file, l.Pos())] = []byte(text)
				}
			}
			return true
		})
	}
	return all
}

// tree is the smallest site; set puts a value at a path of Fields.
func tree() map[string]any {
	return map[string]any{
		"apiVersion": "ancora/v1", "kind": "Site", "name": "a", "placement": map[string]any{"hosts": "all"},
		"bindings": []any{map[string]any{"listener": "http"}}, "applications": []any{map[string]any{"root": "/srv/a"}},
	}
}

func set(in map[string]any, path string, value any) {
	parts := strings.Split(path, ".")
	for _, name := range parts[:len(parts)-1] {
		name, list := strings.CutSuffix(name, "[]")
		switch {
		case list && in[name] == nil:
			inner := map[string]any{}
			in[name], in = []any{inner}, inner
		case list:
			in = in[name].([]any)[0].(map[string]any)
		case in[name] == nil:
			inner := map[string]any{}
			in[name], in = inner, inner
		default:
			in = in[name].(map[string]any)
		}
	}
	in[parts[len(parts)-1]] = value
}

// Both ends of every range and every word are accepted by schema and reader, one beyond is refused by both.
func TestSiteRanges(t *testing.T) {
	s := compiled(t)
	rules := site.Rules()
	checked := 0
	try := func(path string, value any, want bool) {
		t.Helper()
		doc := tree()
		set(doc, path, value)
		if strings.Contains(path, ".socket") {
			set(doc, "applications[].profile", "generic")
		}
		text, err := yaml.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		checked++
		if bySchema, byReader := accepts(s, text); (bySchema == nil) != want || (byReader == nil) != want {
			t.Errorf("%s: %v: schema: %v, reader: %v", path, value, bySchema, byReader)
		}
	}
	for _, f := range sitefile.Fields() {
		rule := rules[f.Path]
		switch l := rule.Limit; f.Kind {
		case sitefile.Number:
			for value, want := range map[int64]bool{l.Min: true, l.Max: true, l.Default: true, l.Max + 1: false, l.Min - 1: false} {
				try(f.Path, value, want)
			}
			try(f.Path, "1 ", false)
		case sitefile.Duration:
			for value, want := range map[int64]bool{l.Min: true, l.Max: true, l.Default: true, l.Max + 1: false} {
				try(f.Path, fmt.Sprintf("%ds", value), want)
			}
			try(f.Path, fmt.Sprintf("%dm", l.Max/60), true)
			try(f.Path, fmt.Sprintf("%dm", l.Max/60+1), false)
			try(f.Path, "1m30s", true)
			try(f.Path, 0, l.Contains(0))
			try(f.Path, 20, false)
			try(f.Path, "soon", false)
		case sitefile.Size:
			for value, want := range map[any]bool{l.Min: true, l.Max: true, l.Max + 1: false, "none": true, "30MB": true, "64KiB": true, "1000GB": true, "1001GB": false, "30 MB": false, "-1": false} {
				try(f.Path, value, want)
			}
		case sitefile.Flag:
			try(f.Path, true, true)
			try(f.Path, "maybe", false)
		}
		if len(rule.Choices) > 0 && !strings.Contains(f.Path, "bindings") {
			for _, word := range rule.Choices {
				try(f.Path, word, true)
			}
			try(f.Path, "nonsense", false)
		}
	}
	for _, unknown := range []string{"colour", "bindings[].colour", "applications[].colour", "applications[].limits.colour", "placement.colour"} {
		try(unknown, "red", false)
	}
	if checked < 60 {
		t.Errorf("only %d values were checked", checked)
	}
}

// What a site must have, the schema asks for.
func TestSiteRequires(t *testing.T) {
	s := compiled(t)
	for _, path := range []string{"apiVersion", "kind", "name", "placement", "bindings", "applications", "bindings[].listener", "applications[].root", "placement.hosts"} {
		doc := tree()
		in, name := doc, path
		for before, after, ok := strings.Cut(name, "."); ok; before, after, ok = strings.Cut(name, ".") {
			if list, many := strings.CutSuffix(before, "[]"); many {
				in = in[list].([]any)[0].(map[string]any)
			} else {
				in = in[before].(map[string]any)
			}
			name = after
		}
		delete(in, name)
		text, err := yaml.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if bySchema, byReader := accepts(s, text); bySchema == nil || byReader == nil {
			t.Errorf("without %s: schema: %v, reader: %v", path, bySchema, byReader)
		}
	}
	for _, empty := range []string{"bindings", "applications"} {
		doc := tree()
		doc[empty] = []any{}
		if s.Validate(doc) == nil {
			t.Errorf("%s: [] is accepted", empty)
		}
	}
}

func TestBetween(t *testing.T) {
	for _, r := range [][2]int64{{0, 0}, {0, 9}, {0, 100}, {1, 100}, {7, 4321}, {10, 10}, {99, 101}, {0, 1009}, {250, 1750}} {
		pattern := regexp.MustCompile("^" + between(r[0], r[1]) + "$")
		for n := int64(0); n < 5000; n++ {
			if pattern.MatchString(strconv.FormatInt(n, 10)) != (n >= r[0] && n <= r[1]) {
				t.Errorf("%d to %d: %d: %s", r[0], r[1], n, pattern)
				break
			}
		}
		if pattern.MatchString("") || !pattern.MatchString(fmt.Sprintf("00%d", r[1])) {
			t.Errorf("%d to %d: %s", r[0], r[1], pattern)
		}
	}
}
