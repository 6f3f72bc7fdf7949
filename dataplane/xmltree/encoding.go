package xmltree

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// decode gives UTF-8 without a mark.
func decode(content []byte) ([]byte, *Problem) {
	var order func(b []byte) uint16
	switch {
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}):
		order = func(b []byte) uint16 { return uint16(b[0]) | uint16(b[1])<<8 }
	case bytes.HasPrefix(content, []byte{0xfe, 0xff}):
		order = func(b []byte) uint16 { return uint16(b[1]) | uint16(b[0])<<8 }
	default:
		content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
		if !utf8.Valid(content) {
			return nil, &Problem{Message: "is neither UTF-8 nor UTF-16 with a byte order mark: save it as UTF-8"}
		}
		return content, nil
	}
	units := make([]uint16, 0, len(content)/2)
	for i := 2; i+1 < len(content); i += 2 {
		units = append(units, order(content[i:]))
	}
	return []byte(string(utf16.Decode(units))), nil
}
