package journal

import (
	"io"
	"os"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// marks reads the marks of a run in order, and again as they come.
type marks struct {
	f    *os.File
	next uint64 // index of the next mark in the file; its number is one more
	buf  []byte
}

// read returns the mark behind the last one read; false when there is none yet. What is torn or out of order does not
// count as there: the keeper overwrites it or it was never written.
func (m *marks) read() (capture.Mark, bool, error) {
	if len(m.buf) < capture.MarkSize {
		if cap(m.buf) == 0 {
			m.buf = make([]byte, 0, 128*capture.MarkSize)
		}
		buf := m.buf[:cap(m.buf)]
		n, err := m.f.ReadAt(buf, int64(m.next)*capture.MarkSize)
		if err != nil && err != io.EOF {
			return capture.Mark{}, false, err
		}
		m.buf = buf[:n-n%capture.MarkSize]
		if len(m.buf) == 0 {
			m.buf = buf[:0]
			return capture.Mark{}, false, nil
		}
	}
	k, ok := capture.DecodeMark(m.buf)
	if !ok || k.Number != m.next+1 {
		m.buf = nil
		return capture.Mark{}, false, nil
	}
	m.buf = m.buf[capture.MarkSize:]
	if len(m.buf) == 0 {
		m.buf = nil
	}
	m.next++
	return k, true, nil
}

// seek makes the mark after number the next one.
func (m *marks) seek(number uint64) { m.next, m.buf = number, nil }
