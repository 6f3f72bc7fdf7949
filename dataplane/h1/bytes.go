package h1

import (
	"bytes"
	"encoding/binary"
)

// tokens has a 1 for each byte of a token (RFC 9110 5.6.2): a name or a method of any other byte is refused.
var tokens = [256]uint8{
	'!': 1, '#': 1, '$': 1, '%': 1, '&': 1, '\'': 1, '*': 1, '+': 1, '-': 1, '.': 1, '^': 1, '_': 1, '`': 1, '|': 1, '~': 1,
	'0': 1, '1': 1, '2': 1, '3': 1, '4': 1, '5': 1, '6': 1, '7': 1, '8': 1, '9': 1,
	'A': 1, 'B': 1, 'C': 1, 'D': 1, 'E': 1, 'F': 1, 'G': 1, 'H': 1, 'I': 1, 'J': 1, 'K': 1, 'L': 1, 'M': 1,
	'N': 1, 'O': 1, 'P': 1, 'Q': 1, 'R': 1, 'S': 1, 'T': 1, 'U': 1, 'V': 1, 'W': 1, 'X': 1, 'Y': 1, 'Z': 1,
	'a': 1, 'b': 1, 'c': 1, 'd': 1, 'e': 1, 'f': 1, 'g': 1, 'h': 1, 'i': 1, 'j': 1, 'k': 1, 'l': 1, 'm': 1,
	'n': 1, 'o': 1, 'p': 1, 'q': 1, 'r': 1, 's': 1, 't': 1, 'u': 1, 'v': 1, 'w': 1, 'x': 1, 'y': 1, 'z': 1,
}

func isToken(c byte) bool { return tokens[c] != 0 }

// IsToken reports whether b is a token: at least one byte, none outside of RFC 9110 5.6.2.
func IsToken(b []byte) bool {
	for _, c := range b {
		if !isToken(c) {
			return false
		}
	}
	return len(b) > 0
}

// IsValue reports whether b may stand in a field value: no control bytes but HTAB (RFC 9110 5.5). Bytes above 127 pass.
func IsValue(b []byte) bool { return valueLength(b) == len(b) }

// valueLength is how many bytes at the start of b may stand in a field value.
func valueLength(b []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	n := 0
	for {
		for len(b)-n >= 8 { // eight at a time: a byte below ' ' or equal to DEL leaves its highest bit set
			word := binary.LittleEndian.Uint64(b[n:])
			low := (word - ' '*ones) &^ word
			del := word ^ 0x7f*ones
			del = (del - ones) &^ del
			if (low|del)&highs != 0 {
				break
			}
			n += 8
		}
		for limit := min(n+8, len(b)); n < limit; n++ {
			if c := b[n]; c < ' ' && c != '\t' || c == 0x7f {
				return n
			}
		}
		if n == len(b) {
			return n
		}
	}
}

// IsHost reports whether b is a host as we route it: a name of letters, digits and "-._~" or an address, IPv6 in
// brackets, and a port from 0 to 65535 if there is a colon. This is narrower than RFC 3986 3.2.2: no percent-encoding,
// no sub-delims, no user information, so that it means one thing to everybody.
func IsHost(b []byte) bool {
	host, port := b, []byte(nil)
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 3 || !all(b[1:end], isAddress) {
			return false
		}
		port = b[end+1:]
		return len(port) == 0 || port[0] == ':' && isPort(port[1:])
	}
	if i := bytes.IndexByte(b, ':'); i >= 0 {
		host, port = b[:i], b[i+1:]
		if !isPort(port) {
			return false
		}
	}
	return len(host) > 0 && all(host, isName)
}

func all(b []byte, is func(byte) bool) bool {
	for _, c := range b {
		if !is(c) {
			return false
		}
	}
	return true
}

func isName(c byte) bool { return isAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~' }

func isAddress(c byte) bool { return isHex(c) || c == ':' || c == '.' }

func isAlnum(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }

// HexValue gives what a hexadecimal digit of either case stands for, 0 to 15; -1: it is none.
func HexValue(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case isHex(c):
		return int(c|0x20-'a') + 10
	}
	return -1
}

// isPort accepts no digits at all, as RFC 3986 3.2.3 does.
func isPort(b []byte) bool {
	n := 0
	for _, c := range b {
		if n = n*10 + int(c-'0'); !isDigit(c) || n > 65535 {
			return false
		}
	}
	return true
}

// EqualFold compares b with a word given in lower case, without regard to the case of ASCII letters.
func EqualFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// Trim removes optional white space (SP and HTAB, nothing else) from both ends.
func Trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// NextElement cuts the first element of a comma-separated list; it is empty for empty elements (RFC 9110 5.6.1).
func NextElement(list []byte) (element, rest []byte) {
	if i := bytes.IndexByte(list, ','); i >= 0 {
		return Trim(list[:i]), list[i+1:]
	}
	return Trim(list), nil
}

// Digits reads a number of decimal digits and nothing else, up to 2^62.
func Digits(b []byte) (n int64, ok bool) {
	for _, c := range b {
		if !isDigit(c) || n > (MaxLength-9)/10 {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(b) > 0
}
