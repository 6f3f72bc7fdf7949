package webconfig

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

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

// twice gives the first attribute whose name an earlier one has.
func (e *element) twice() *attribute {
	seen := make(map[string]bool, len(e.attributes))
	for i := range e.attributes {
		if a := &e.attributes[i]; seen[a.name] {
			return a
		} else {
			seen[a.name] = true
		}
	}
	return nil
}

// tooDeep bounds the nesting: no real file has a tenth of it.
const tooDeep = 200

// readTree parses XML strictly; comments, processing instructions and space are left out.
func readTree(file string, content []byte) (*element, *Error) {
	content, problem := decode(file, content)
	if problem != nil {
		return nil, problem
	}
	t := &treeReader{file: file, content: content, decoder: xml.NewDecoder(bytes.NewReader(content))}
	t.decoder.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		if strings.HasPrefix(strings.ToLower(label), "utf-16") {
			return in, nil // decoded already
		}
		return nil, fmt.Errorf("encoding %q is not read: save the file as UTF-8", label)
	}
	return t.document()
}

type treeReader struct {
	file    string
	content []byte
	decoder *xml.Decoder
	// offset and last are how far places have been counted.
	offset int
	last   place
}

func (t *treeReader) document() (*element, *Error) {
	t.last = place{1, 1}
	var root *element
	var open []*element
	for {
		start := int(t.decoder.InputOffset())
		token, err := t.decoder.Token()
		if errors.Is(err, io.EOF) && root != nil {
			return root, nil
		}
		if err != nil {
			return nil, t.syntax(err)
		}
		switch token := token.(type) {
		case xml.Directive:
			return nil, t.problem(t.place(start), "a document type declaration is refused")
		case xml.StartElement:
			e := t.element(start, int(t.decoder.InputOffset()))
			if twice := e.twice(); twice != nil { // the decoder lets it pass, XML does not
				return nil, &Error{t.file, twice.at.line, twice.at.column, twice.name, twice.value, "stands twice in <" + e.name + ">"}
			}
			switch {
			case len(open) >= tooDeep:
				return nil, t.problem(e.at, "elements are nested more than %d deep", tooDeep)
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.children = append(parent.children, e)
			case root != nil:
				return nil, t.problem(e.at, "<%s> is a second root element", e.name)
			default:
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			t.text(open, start, token)
		}
	}
}

func (t *treeReader) text(open []*element, start int, data []byte) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || len(open) == 0 || open[len(open)-1].text != nil {
		return
	}
	raw := t.content[start:]
	lead := len(raw) - len(bytes.TrimLeft(raw, " \t\r\n"))
	open[len(open)-1].text = &attribute{value: string(trimmed), at: t.place(start + lead)}
}

// element reads the start tag again for the places of its attributes: the decoder has proven it well-formed.
func (t *treeReader) element(start, end int) *element {
	tag := t.content[start:end]
	begin := bytes.IndexByte(tag, '<')
	e := &element{at: t.place(start + begin)}
	i := begin + 1
	i += name(tag[i:])
	e.name = string(tag[begin+1 : i])
	for {
		i += len(tag[i:]) - len(bytes.TrimLeft(tag[i:], " \t\r\n"))
		n := name(tag[i:])
		if n == 0 {
			return e
		}
		a := attribute{name: string(tag[i : i+n]), at: t.place(start + i)}
		i += n
		i += bytes.IndexAny(tag[i:], `"'`)
		quote := tag[i]
		length := bytes.IndexByte(tag[i+1:], quote)
		a.value = unescape(tag[i+1 : i+1+length])
		i += length + 2
		e.attributes = append(e.attributes, a)
	}
}

// name gives the length of a name.
func name(b []byte) int {
	if n := bytes.IndexAny(b, " \t\r\n=/>"); n >= 0 {
		return n
	}
	return len(b)
}

// unescape reads an attribute's value as XML says: entities replaced, line ends and tabs as spaces.
func unescape(raw []byte) string {
	d := xml.NewDecoder(bytes.NewReader(fmt.Appendf(nil, `<a b='%s'/>`, bytes.ReplaceAll(raw, []byte("'"), []byte("&apos;")))))
	token, err := d.Token()
	if e, ok := token.(xml.StartElement); ok && err == nil && len(e.Attr) == 1 {
		return e.Attr[0].Value
	}
	return string(raw)
}

// place turns an offset into line and column; offsets come in order but for a few.
func (t *treeReader) place(offset int) place {
	if offset < t.offset {
		t.offset, t.last = 0, place{1, 1}
	}
	for t.offset < offset && t.offset < len(t.content) {
		r, size := utf8.DecodeRune(t.content[t.offset:])
		if t.last.column++; r == '\n' {
			t.last = place{t.last.line + 1, 1}
		}
		t.offset += size
	}
	return t.last
}

func (t *treeReader) problem(at place, format string, args ...any) *Error {
	return &Error{File: t.file, Line: at.line, Column: at.column, Message: fmt.Sprintf(format, args...)}
}

// syntax tells where the file stops being XML, and of quotes from a word processor by name.
func (t *treeReader) syntax(err error) *Error {
	at := t.place(int(t.decoder.InputOffset()))
	message := err.Error()
	if s, ok := errors.AsType[*xml.SyntaxError](err); ok {
		message = s.Msg
	}
	if errors.Is(err, io.EOF) {
		message = "there is no element"
	}
	lines := strings.Split(string(t.content), "\n")
	if at.line <= len(lines) {
		line := lines[at.line-1]
		if i := strings.IndexAny(line, "“”„‘’"); i >= 0 {
			r, _ := utf8.DecodeRuneInString(line[i:])
			at.column = utf8.RuneCountInString(line[:i]) + 1
			message = fmt.Sprintf("%s: %c is a quote of a word processor, XML takes \" only", message, r)
		}
	}
	return t.problem(at, "is not XML: %s", message)
}

// decode gives UTF-8 without a mark.
func decode(file string, content []byte) ([]byte, *Error) {
	var order func(b []byte) uint16
	switch {
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}):
		order = func(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }
	case bytes.HasPrefix(content, []byte{0xfe, 0xff}):
		order = func(b []byte) uint16 { return uint16(b[1]) | uint16(b[0])<<8 }
	default:
		content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
		if !utf8.Valid(content) {
			return nil, &Error{File: file, Message: "is neither UTF-8 nor UTF-16 with a byte order mark: save it as UTF-8"}
		}
		return content, nil
	}
	units := make([]uint16, 0, len(content)/2)
	for i := 2; i+1 < len(content); i += 2 {
		units = append(units, order(content[i:]))
	}
	return []byte(string(utf16.Decode(units))), nil
}
