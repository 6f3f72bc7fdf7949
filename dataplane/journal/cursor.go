package journal

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
)

const (
	idLen         = 8
	cursorVersion = 1
	maxCursorRuns = 16
)

// position is a place behind one line of a run. Lines of a run are ordered by mark, then stream, then offset: what the
// capture itself says, so that a position holds also where sequences cannot be counted any more. The zero position is
// before the first line.
type position struct {
	mark     uint64 // number of the mark that ended the line
	stream   Stream
	end      uint64 // offset in the stream behind the line
	sequence uint64
}

func (p position) before(o position) bool {
	if p.mark != o.mark {
		return p.mark < o.mark
	}
	if p.stream != o.stream {
		return p.stream < o.stream
	}
	return p.end < o.end
}

// cursor is a place in an application: runs below the first one listed have been read, so have those between that are
// not listed; listed ones go on behind their position; later ones are new.
type cursor struct {
	journal   [idLen]byte
	site, app string
	runs      []runPosition // ascending, at least one
}

type runPosition struct {
	run uint64
	position
}

// String encodes the cursor: it is opaque to everyone else.
func (c cursor) String() string {
	b := make([]byte, 0, 64)
	b = append(b, cursorVersion)
	b = append(b, c.journal[:]...)
	b = appendText(b, c.site)
	b = appendText(b, c.app)
	b = binary.AppendUvarint(b, uint64(len(c.runs)))
	for _, r := range c.runs {
		b = binary.AppendUvarint(b, r.run)
		b = binary.AppendUvarint(b, r.mark)
		b = append(b, byte(r.stream))
		b = binary.AppendUvarint(b, r.end)
		b = binary.AppendUvarint(b, r.sequence)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errCursor = errors.New("journal: not a cursor")

func parseCursor(text string) (cursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) < 1+idLen || b[0] != cursorVersion {
		return cursor{}, errCursor
	}
	var c cursor
	copy(c.journal[:], b[1:])
	d := decoder{b: b[1+idLen:]}
	c.site = d.text()
	c.app = d.text()
	n := d.number()
	if n == 0 || n > maxCursorRuns {
		return cursor{}, errCursor
	}
	for range n {
		r := runPosition{run: d.number()}
		r.mark = d.number()
		r.stream = Stream(d.octet())
		r.end = d.number()
		r.sequence = d.number()
		if len(c.runs) > 0 && r.run <= c.runs[len(c.runs)-1].run {
			return cursor{}, errCursor
		}
		c.runs = append(c.runs, r)
	}
	if d.bad || len(d.b) > 0 {
		return cursor{}, errCursor
	}
	return c, nil
}

// decoder reads the parts of a cursor; bad stays set after the first that is not there.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) octet() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) text() string {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

// resume says where to go on in one run. Unlisted runs are done below the last one listed and new above it; only run 0,
// which is always open, is new wherever it is not listed.
func (c cursor) resume(run uint64) (at position, done bool) {
	for _, r := range c.runs {
		if r.run == run {
			return r.position, false
		}
	}
	return position{}, run != 0 && run < c.runs[len(c.runs)-1].run
}

// merge joins two cursors of one application: what either has read, has been read.
func (c cursor) merge(o cursor) cursor {
	out := cursor{journal: c.journal, site: c.site, app: c.app}
	a, b := c.runs, o.runs
	for len(a) > 0 || len(b) > 0 {
		var r runPosition
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].run < b[0].run:
			r, a = a[0], a[1:]
			if _, done := o.resume(r.run); done {
				continue
			}
		case len(a) == 0 || b[0].run < a[0].run:
			r, b = b[0], b[1:]
			if _, done := c.resume(r.run); done {
				continue
			}
		default:
			r = a[0]
			if r.before(b[0].position) {
				r = b[0]
			}
			a, b = a[1:], b[1:]
		}
		out.runs = append(out.runs, r)
	}
	return out
}
