// Package sitefile reads and writes the files in which operators describe sites: YAML, strictly. Every problem is told
// with its place, all of them at once; a field that is not known, or not supported yet, is a problem.
package sitefile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

const (
	// APIVersion and Kind head every document.
	APIVersion = "ancora/v1"
	Kind       = "Site"
	// sizeLimit is the size of a file that is still read, in bytes.
	sizeLimit = 1 << 20
)

// Error is one problem of a file. Line and Column count from 1; they are 0 when the file as a whole is meant.
type Error struct {
	File         string
	Line, Column int
	// Field is the path of the field, as applications[0].ready.timeout; it may be empty.
	Field   string
	Message string
}

func (e Error) Error() string {
	where := e.File
	if e.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
	}
	if e.Field != "" {
		where += ": " + e.Field
	}
	return where + ": " + e.Message
}

// Errors is everything that is wrong with a file, in its order.
type Errors []Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Parse reads the sites of a file, one a document. Its error is an Errors; nothing is returned beside it.
func Parse(file string, content []byte) ([]*site.Site, error) { return ParseIn(file, content, "") }

// ParseIn is Parse for a file that travels with its folder: roots may be relative to the folder, and one that is left out is
// the folder itself.
func ParseIn(file string, content []byte, folder string) ([]*site.Site, error) {
	if len(content) > sizeLimit {
		return nil, Errors{{File: file, Message: fmt.Sprintf("has %d bytes, at most %d are read", len(content), sizeLimit)}}
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf")) // editors on Windows begin a file so
	if at, ok := firstInvalid(content); ok {
		// The parser would put another character in its place, in a password too.
		return nil, Errors{{File: file, Line: at.line, Column: at.column, Message: "is not UTF-8 from here: save the file as UTF-8"}}
	}
	tree, err := parser.ParseBytes(content, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, Errors{syntaxError(file, err)}
	}
	var sites []*site.Site
	var problems Errors
	names := map[string]bool{}
	for _, doc := range tree.Docs {
		if doc == nil || doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.NullType {
			continue
		}
		r := &reader{file: file, folder: folder, places: map[string]place{}}
		s := r.site(doc.Body)
		if len(r.problems) == 0 && names[s.Name] {
			r.add(r.places["name"], "name", "%q stands in this file already", s.Name)
		}
		names[s.Name] = true
		problems = append(problems, r.problems...)
		sites = append(sites, s)
	}
	if len(sites) == 0 {
		problems = append(problems, Error{File: file, Message: "holds no site"})
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return sites, nil
}

// firstInvalid gives the place of the first byte that is not UTF-8.
func firstInvalid(content []byte) (place, bool) {
	if utf8.Valid(content) {
		return place{}, false
	}
	at := place{1, 1}
	for len(content) > 0 {
		r, size := utf8.DecodeRune(content)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if at.column++; r == '\n' {
			at = place{at.line + 1, 1}
		}
		content = content[size:]
	}
	return at, true
}

func syntaxError(file string, err error) Error {
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		e := Error{File: file, Message: "is not YAML: " + syntax.Message}
		if syntax.Token != nil && syntax.Token.Position != nil {
			e.Line, e.Column = syntax.Token.Position.Line, syntax.Token.Position.Column
		}
		return e
	}
	return Error{File: file, Message: "is not YAML: " + err.Error()}
}
