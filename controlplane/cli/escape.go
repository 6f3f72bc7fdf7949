package cli

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// escapeLine makes text safe for a terminal as one line: control characters (C0 but the tab, DEL, C1), line and
// paragraph separators, characters that change the direction or are not seen, and bytes that are no UTF-8 come out
// visibly, as \r, \x1b, \u202e. Whoever can write a log line could otherwise move the cursor, set the title, answer
// for the terminal, or show a line that is not there.
func escapeLine(s string) string { return escape(s, false) }

// escapeText is escapeLine for text of several lines: line feeds stay.
func escapeText(s string) string { return escape(s, true) }

func escape(s string, feeds bool) string {
	first := unsafeIndex(s, feeds)
	if first < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:first])
	for i := first; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !isUnsafe(r, n, feeds) {
			b.WriteString(s[i : i+n])
		} else if r == utf8.RuneError && n == 1 {
			writeHex(&b, 'x', uint32(s[i]), 2)
		} else {
			writeRune(&b, r)
		}
		i += n
	}
	return b.String()
}

func unsafeIndex(s string, feeds bool) int {
	for i := 0; i < len(s); {
		r, n := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		if isUnsafe(r, n, feeds) {
			return i
		}
		i += n
	}
	return -1
}

func isUnsafe(r rune, size int, feeds bool) bool {
	switch {
	case r >= ' ' && r < 0x7f, r == '\t':
		return false
	case r == '\n':
		return !feeds
	case r < ' ', r == 0x7f:
		return true
	case r == utf8.RuneError:
		return size == 1
	case r < 0xa0:
		return true
	case r == 0xad, r == 0x200c, r == 0x200d:
		// Soft hyphen and the joiners are part of words and of emoji, and hide nothing.
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

func writeRune(b *strings.Builder, r rune) {
	switch {
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\n':
		b.WriteString(`\n`)
	case r < 0x80:
		writeHex(b, 'x', uint32(r), 2)
	case r < 0x10000:
		writeHex(b, 'u', uint32(r), 4)
	default:
		writeHex(b, 'U', uint32(r), 8)
	}
}

func writeHex(b *strings.Builder, kind byte, v uint32, digits int) {
	b.WriteByte('\\')
	b.WriteByte(kind)
	for i := digits - 1; i >= 0; i-- {
		b.WriteByte(hexDigits[v>>(4*i)&0xf])
	}
}

// escapeJSON makes encoded JSON safe for a terminal without changing what it means: encoders leave C1 and direction
// characters as they are, and those can only stand in strings, where \u says the same.
func escapeJSON(text string) string {
	if unsafeIndex(text, true) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !isUnsafe(r, utf8.RuneLen(r), true):
			b.WriteRune(r)
		case r >= 0x10000:
			r -= 0x10000
			writeHex(&b, 'u', 0xd800+uint32(r>>10), 4)
			writeHex(&b, 'u', 0xdc00+uint32(r&0x3ff), 4)
		default:
			writeHex(&b, 'u', uint32(r), 4)
		}
	}
	return b.String()
}
