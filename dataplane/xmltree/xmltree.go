// Package xmltree reads the configuration files of IIS into a tree in which everything knows its line and column. It is a
// leaf: what the elements mean is for whoever reads the tree.
package xmltree

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Place counts lines and columns from 1, columns in characters.
type Place struct{ Line, Column int }

// Element is one element with the places of everything in it.
type Element struct {
	// Name is as written, with its prefix.
	Name       string
	At         Place
	Attributes []Attribute
	Children   []*Element
	// Text is where characters other than space stand between its children.
	Text *Attribute
}

// Attribute is a name and its value, entities replaced. That of a text has no name.
type Attribute struct {
	Name, Value string
	At          Place
}

// Attribute finds an attribute by its name, with case.
func (e *Element) Attribute(name string) (Attribute, bool) {
	for _, a := range e.Attributes {
		if a.Name == name {
			return a, true
		}
	}
	return Attribute{}, false
}

// Problem is why a file is no tree. A Line of 0 means the file as a whole; Name and Value are those of an attribute, or empty.
type Problem struct {
	At          Place
	Name, Value string
	Message     string
}

// twice gives the first attribute whose name an earlier one has.
func (e *Element) twice() *Attribute {
	seen := make(map[string]bool, len(e.Attributes))
	for i := range e.Attributes {
		if a := &e.Attributes[i]; seen[a.Name] {
			return a
		} else {
			seen[a.Name] = true
		}
	}
	return nil
}

// tooDeep bounds the nesting: no real file has a tenth of it.
const tooDeep = 200

// Read parses XML strictly, as UTF-8 or as UTF-16 with a byte order mark. Comments, processing instructions and space are
// left out; a document type is refused, and so are elements nested more than 200 deep.
func Read(content []byte) (*Element, *Problem) {
	content, problem := decode(content)
	if problem != nil {
		return nil, problem
	}
	r := &reader{content: content, decoder: xml.NewDecoder(bytes.NewReader(content))}
	r.decoder.CharsetReader = func(label string, in io.Reader) (io.Reader, error) {
		if strings.HasPrefix(strings.ToLower(label), "utf-16") {
			return in, nil // decoded already
		}
		return nil, fmt.Errorf("encoding %q is not read: save the file as UTF-8", label)
	}
	return r.document()
}

type reader struct {
	content []byte
	decoder *xml.Decoder
	// offset and last are how far places have been counted.
	offset int
	last   Place
}

func (r *reader) document() (*Element, *Problem) {
	r.last = Place{1, 1}
	var root *Element
	var open []*Element
	for {
		start := int(r.decoder.InputOffset())
		token, err := r.decoder.Token()
		if errors.Is(err, io.EOF) && root != nil {
			return root, nil
		}
		if err != nil {
			return nil, r.syntax(err)
		}
		switch token := token.(type) {
		case xml.Directive:
			return nil, r.problem(r.place(start), "a document type declaration is refused")
		case xml.StartElement:
			e := r.element(start, int(r.decoder.InputOffset()))
			if twice := e.twice(); twice != nil { // the decoder lets it pass, XML does not
				return nil, &Problem{twice.At, twice.Name, twice.Value, "stands twice in <" + e.Name + ">"}
			}
			switch {
			case len(open) >= tooDeep:
				return nil, r.problem(e.At, "elements are nested more than %d deep", tooDeep)
			case len(open) > 0:
				parent := open[len(open)-1]
				parent.Children = append(parent.Children, e)
			case root != nil:
				return nil, r.problem(e.At, "<%s> is a second root element", e.Name)
			default:
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) == 0 && len(bytes.TrimSpace(token)) > 0 { // the decoder lets it pass, XML does not
				return nil, r.outside(start, token)
			}
			r.text(open, start, token)
		}
	}
}

func (r *reader) text(open []*Element, start int, data []byte) {
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 || open[len(open)-1].Text != nil {
		return
	}
	open[len(open)-1].Text = &Attribute{Value: string(trimmed), At: r.begin(start)}
}

// outside is text that stands in no element, as what is left of a longer file that was overwritten.
func (r *reader) outside(start int, data []byte) *Problem {
	return r.problem(r.begin(start), "is not XML: %.40q stands outside of the root element", bytes.TrimSpace(data))
}

// begin is where text begins that has space before it.
func (r *reader) begin(start int) Place {
	raw := r.content[start:]
	return r.place(start + len(raw) - len(bytes.TrimLeft(raw, " \t\r\n")))
}

// element reads the start tag again for the places of its attributes: the decoder has proven it well-formed.
func (r *reader) element(start, end int) *Element {
	tag := r.content[start:end]
	begin := bytes.IndexByte(tag, '<')
	e := &Element{At: r.place(start + begin)}
	i := begin + 1
	i += name(tag[i:])
	e.Name = string(tag[begin+1 : i])
	for {
		i += len(tag[i:]) - len(bytes.TrimLeft(tag[i:], " \t\r\n"))
		n := name(tag[i:])
		if n == 0 {
			return e
		}
		a := Attribute{Name: string(tag[i : i+n]), At: r.place(start + i)}
		i += n
		i += bytes.IndexAny(tag[i:], `"'`)
		quote := tag[i]
		length := bytes.IndexByte(tag[i+1:], quote)
		a.Value = unescape(tag[i+1 : i+1+length])
		i += length + 2
		e.Attributes = append(e.Attributes, a)
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
func (r *reader) place(offset int) Place {
	if offset < r.offset {
		r.offset, r.last = 0, Place{1, 1}
	}
	for r.offset < offset && r.offset < len(r.content) {
		ch, size := utf8.DecodeRune(r.content[r.offset:])
		if r.last.Column++; ch == '\n' {
			r.last = Place{r.last.Line + 1, 1}
		}
		r.offset += size
	}
	return r.last
}

func (r *reader) problem(at Place, format string, args ...any) *Problem {
	return &Problem{At: at, Message: fmt.Sprintf(format, args...)}
}

// syntax tells where the file stops being XML, and of quotes from a word processor by name.
func (r *reader) syntax(err error) *Problem {
	at := r.place(int(r.decoder.InputOffset()))
	message := err.Error()
	if s, ok := errors.AsType[*xml.SyntaxError](err); ok {
		message = s.Msg
	}
	if errors.Is(err, io.EOF) {
		message = "there is no element"
	}
	lines := strings.Split(string(r.content), "\n")
	if at.Line <= len(lines) {
		line := lines[at.Line-1]
		if i := strings.IndexAny(line, "“”„‘’"); i >= 0 {
			quote, _ := utf8.DecodeRuneInString(line[i:])
			at.Column = utf8.RuneCountInString(line[:i]) + 1
			message = fmt.Sprintf("%s: %c is a quote of a word processor, XML takes \" only", message, quote)
		}
	}
	return r.problem(at, "is not XML: %s", message)
}
