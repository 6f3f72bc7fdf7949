package cli

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// table is columns under upper-case heads, two spaces apart. Every cell is escaped, so a cell is one line.
type table struct {
	heads []string
	rows  [][]string
}

func newTable(heads ...string) *table { return &table{heads: heads} }

// row adds a line; an empty cell is printed as `-`, so that columns can be counted by awk.
func (t *table) row(cells ...string) {
	row := make([]string, len(t.heads))
	for i := range row {
		row[i] = "-"
		if i < len(cells) && cells[i] != "" {
			row[i] = escapeLine(strings.ReplaceAll(cells[i], "\t", " "))
		}
	}
	t.rows = append(t.rows, row)
}

// write prints the table, each line behind indent.
func (t *table) write(w io.Writer, indent string) error {
	widths := make([]int, len(t.heads))
	for _, row := range append([][]string{t.heads}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell))
		}
	}
	var b strings.Builder
	for _, row := range append([][]string{t.heads}, t.rows...) {
		b.WriteString(indent)
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-width(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// width is the number of terminal columns of s, near enough: marks take none, wide scripts and emoji two.
func width(s string) int {
	if n := len(s); n == utf8.RuneCountInString(s) {
		return n
	}
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 ||
			r >= 0xf900 && r <= 0xfaff || r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 ||
			r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd):
			n += 2
		default:
			n++
		}
	}
	return n
}
