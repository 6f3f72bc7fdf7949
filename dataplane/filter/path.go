package filter

import (
	"bytes"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// decoded is a path as rules are compared with it: decoded once, in lower case.
type decoded struct {
	text []byte
	// base is how many of its bytes are the application's own path.
	base int
	// slashes says that a slash was encoded, kept that it is spelled so still.
	slashes, kept bool
}

// decode reads a path; an encoded slash becomes one if slashes is set, and stays as it is spelled otherwise.
func decode(dst, path []byte, base int, slashes bool) decoded {
	text, one := unescape(dst, path[:base], slashes)
	below := len(text)
	text, two := unescape(text, path[base:], slashes)
	return decoded{text: text, base: below, slashes: one || two, kept: !slashes}
}

// unescape appends a decoded path; encoded says that there was an encoded slash in it.
func unescape(dst, path []byte, slashes bool) (text []byte, encoded bool) {
	from, ascii := len(dst), true
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' && i+2 < len(path) && h1.HexValue(path[i+1]) >= 0 && h1.HexValue(path[i+2]) >= 0 {
			c = byte(h1.HexValue(path[i+1])<<4 | h1.HexValue(path[i+2]))
			encoded = encoded || c == '/'
			if c != '/' || slashes {
				i += 2
			} else {
				c = '%'
			}
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		ascii = ascii && c < 0x80
		dst = append(dst, c)
	}
	if !ascii {
		dst = append(dst[:from], bytes.ToLower(dst[from:])...)
	}
	return dst, encoded
}

// path gives the substatus of a path that is denied; 0: it is not.
func (p *Place) path(path decoded) int {
	text := path.text
	switch {
	case len(p.denyURL) > 0 && holdsAny(text, p.denyURL) && !isAny(text, p.allowURL):
		return 5
	case (len(p.extensions.Names) > 0 || p.extensions.DenyUnlisted) && !p.extensions.allowsExtension(text):
		return 7
	case len(p.segments) > 0 && hasSegment(text, p.segments):
		return 8
	case p.noDoubleEscaping && !path.kept && decodesTwice(text):
		return 11
	case p.noHighBit && !isASCII(text):
		return 12
	}
	return 0
}

// queryDenied looks at a query as it is spelled, and at what it decodes to.
func (p *Place) queryDenied(query []byte) bool {
	raw := bytes.ToLower(query)
	if isAny(raw, p.allowQuery) {
		return false
	}
	if holdsAny(raw, p.denyQuery) {
		return true
	}
	return !p.rawQuery && bytes.IndexByte(raw, '%') >= 0 && holdsAny(decode(nil, query, 0, true).text, p.denyQuery)
}

// allowsExtension looks at the last part of a path: what follows its last dot, and a dot alone where there is none.
func (l *List) allowsExtension(text []byte) bool {
	last := text[bytes.LastIndexByte(text, '/')+1:]
	extension := []byte(".")
	if i := bytes.LastIndexByte(last, '.'); i >= 0 {
		extension = last[i:]
	}
	for _, n := range l.Names {
		if n.Name == string(extension) {
			return n.Allowed
		}
	}
	return !l.DenyUnlisted
}

func hasSegment(text []byte, segments []string) bool {
	for len(text) > 0 {
		segment, rest, _ := bytes.Cut(text, []byte("/"))
		if isAny(segment, segments) {
			return true
		}
		text = rest
	}
	return false
}

// decodesTwice reports whether a decoded text can be decoded once more.
func decodesTwice(text []byte) bool {
	for i, c := range text {
		if c == '+' || c == '%' && i+2 < len(text) && h1.HexValue(text[i+1]) >= 0 && h1.HexValue(text[i+2]) >= 0 {
			return true
		}
	}
	return false
}

func holdsAny(text []byte, parts []string) bool {
	for _, part := range parts {
		if bytes.Contains(text, []byte(part)) {
			return true
		}
	}
	return false
}

func isAny(text []byte, whole []string) bool {
	for _, one := range whole {
		if string(text) == one {
			return true
		}
	}
	return false
}

func isASCII(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
