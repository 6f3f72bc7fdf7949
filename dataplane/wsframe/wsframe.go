// Package wsframe knows where the frames of a WebSocket begin and end (RFC 6455 5.2), and no more: whoever passes the bytes on
// as they are can say goodbye between two of them. It does no I/O and allocates nothing.
package wsframe

import "encoding/binary"

// GoingAway is the status code of an endpoint that is going down (RFC 6455 7.4.1).
const GoingAway = 1001

const opClose = 8

// Tracker follows the bytes of one direction. The zero value stands before the first frame.
type Tracker struct {
	head   [14]byte // of the frame that has begun, as far as it has come
	have   int
	left   uint64 // of its payload
	closed bool
}

// Boundary reports whether the bytes so far end where a frame ends.
func (t *Tracker) Boundary() bool { return t.have == 0 && t.left == 0 }

// Closed reports whether a close frame has gone by: nothing may follow it (RFC 6455 5.5.1).
func (t *Tracker) Closed() bool { return t.closed && t.Boundary() }

// Advance takes bytes up to the end of the frame they are part of, and says how many those were; all of p when the frame goes
// on. What is left of p begins a frame.
func (t *Tracker) Advance(p []byte) (n int) {
	for n < len(p) && t.left == 0 {
		t.head[t.have] = p[n]
		t.have++
		n++
		if t.have == t.size() {
			t.left = t.length()
			t.closed = t.closed || t.head[0]&0x0f == opClose
			t.have = 0
			if t.left == 0 {
				return n
			}
		}
	}
	payload := min(uint64(len(p)-n), t.left)
	t.left -= payload
	return n + int(payload)
}

// size is that of the head, as far as what has come of it tells.
func (t *Tracker) size() int {
	if t.have < 2 {
		return 2
	}
	size := 2
	switch t.head[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if t.head[1]&0x80 != 0 {
		size += 4
	}
	return size
}

func (t *Tracker) length() uint64 {
	switch n := t.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(t.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(t.head[2:])
	default:
		return uint64(n)
	}
}

// AppendClose appends a close frame with a status code, as a server sends it.
func AppendClose(dst []byte, code uint16) []byte {
	return binary.BigEndian.AppendUint16(append(dst, 0x80|opClose, 2), code)
}

// AppendMaskedClose appends one as a client sends it; the mask should be one that nobody can foretell (RFC 6455 5.3).
func AppendMaskedClose(dst []byte, code uint16, mask uint32) []byte {
	dst = binary.BigEndian.AppendUint32(append(dst, 0x80|opClose, 0x80|2), mask)
	return append(dst, byte(code>>8)^byte(mask>>24), byte(code)^byte(mask>>16))
}
