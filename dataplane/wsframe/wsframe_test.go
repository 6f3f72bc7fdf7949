package wsframe

import (
	"bytes"
	"slices"
	"testing"
)

// frame makes one with a payload of n bytes.
func frame(opcode byte, masked bool, n int) []byte {
	b := []byte{0x80 | opcode}
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	switch {
	case n < 126:
		b = append(b, mask|byte(n))
	case n < 1<<16:
		b = append(b, mask|126, byte(n>>8), byte(n))
	default:
		b = append(b, mask|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	if masked {
		b = append(b, 1, 2, 3, 4)
	}
	return append(b, bytes.Repeat([]byte{0x88}, n)...)
}

// ends gives the offsets at which frames end when stream comes in pieces of size bytes.
func ends(stream []byte, size int) (all []int, t Tracker) {
	at := 0
	for piece := range slices.Chunk(stream, size) {
		for len(piece) > 0 {
			n := t.Advance(piece)
			piece, at = piece[n:], at+n
			if t.Boundary() {
				all = append(all, at)
			}
		}
	}
	return all, t
}

func TestAdvance(t *testing.T) {
	var stream []byte
	var want []int
	for _, masked := range []bool{false, true} {
		for _, n := range []int{0, 1, 125, 126, 300, 65535, 65536, 70000} {
			stream = append(stream, frame(1, masked, n)...)
			want = append(want, len(stream))
		}
	}
	for _, size := range []int{1, 2, 3, 7, 1000, len(stream)} {
		got, end := ends(stream, size)
		if !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: frames end at %v, want %v", size, got, want)
		}
		if end.Closed() {
			t.Error("a close frame that nobody has sent")
		}
	}
}

func TestClosed(t *testing.T) {
	for name, close := range map[string][]byte{
		"server": AppendClose(nil, GoingAway), "client": AppendMaskedClose(nil, GoingAway, 0x01020304),
	} {
		var track Tracker
		track.Advance(frame(2, false, 5))
		for i, c := range close {
			if track.Closed() {
				t.Errorf("%s: closed after %d bytes", name, i)
			}
			track.Advance([]byte{c})
		}
		if !track.Closed() {
			t.Errorf("%s: not closed", name)
		}
	}
	if got := AppendMaskedClose(nil, GoingAway, 0x01020304); !bytes.Equal(got, []byte{0x88, 0x82, 1, 2, 3, 4, 3 ^ 1, 0xe9 ^ 2}) {
		t.Errorf("% x", got)
	}
}

// FuzzAdvance: how a stream is cut into pieces changes nothing, and no byte is lost or taken twice.
func FuzzAdvance(f *testing.F) {
	f.Add(frame(1, true, 200), uint8(3))
	f.Add([]byte{0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		whole, a := ends(stream, max(len(stream), 1))
		pieces, b := ends(stream, int(size)+1)
		if !slices.Equal(whole, pieces) || a != b {
			t.Errorf("whole %v, in pieces %v", whole, pieces)
		}
	})
}
