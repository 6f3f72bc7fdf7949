package ingress

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// framesOf makes frames of lines "KIND FLAGS LENGTH", with payloads of zeros.
func framesOf(lines string) (p []byte) {
	for line := range strings.SplitSeq(lines, ", ") {
		var kind, flags, length int
		fmt.Sscan(line, &kind, &flags, &length)
		p = append(p, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags), 0, 0, 0, 1)
		p = append(p, make([]byte, length)...)
	}
	return p
}

// TestFrames: what a frame is worth, in either direction.
func TestFrames(t *testing.T) {
	for _, tt := range []struct {
		name, frame string
		vain        bool
		credit      int64
	}{
		{"headers", "1 5 20", false, 2},
		{"bytes of a body", "0 0 1", false, 0},
		{"many of them", "0 0 64", false, 2},
		{"the end of a body", "0 1 0", false, 0},
		{"no byte of a body", "0 0 0", true, 0},
		{"padding alone", "0 8 256", true, 2},
		{"more than padding", "0 8 257", false, 2},
		{"priority", "2 0 5", true, 0},
		{"reset", "3 0 4", true, -1},
		{"settings", "4 0 6", true, 0},
		{"settings are known", "4 1 0", true, 0},
		{"ping", "6 0 8", true, 0},
		{"window", "8 0 4", true, 0},
		{"more of a head", "9 4 9", true, 0},
		{"what nobody knows", "16 0 3", true, 0},
		{"as long a piece as most may be", "0 0 16384", false, 34},
		{"the longest there is", "0 0 16777215", false, 32768},
	} {
		var s frames
		f, rest, ok := s.next(framesOf(tt.frame))
		if got := fmt.Sprintf("%d %d %d", f.kind, f.flags, f.length); !ok || got != tt.frame || f.vain() != tt.vain || f.credit() != tt.credit || len(rest) != f.length {
			t.Errorf("%s: %v, %+v of %s, vain %v, credit %d", tt.name, ok, f, tt.frame, f.vain(), f.credit())
		}
	}
}

// FuzzFrames: the frames are the same wherever the bytes are cut.
func FuzzFrames(f *testing.F) {
	f.Add(append([]byte(preface), framesOf("4 0 6, 1 5 20, 0 0 3, 8 0 4, 0 1 0")...), uint16(7), true)
	f.Add(framesOf("6 0 8, 3 0 4"), uint16(1), false)
	f.Add([]byte{0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0}, uint16(3), false)
	f.Fuzz(func(t *testing.T, p []byte, step uint16, client bool) {
		seen := func(step int) (all []frame) {
			var s frames
			if client {
				s.skip = len(preface)
			}
			for piece := range slices.Chunk(p, step) {
				for len(piece) > 0 {
					f, rest, ok := s.next(piece)
					if ok {
						all = append(all, f)
					} else if len(rest) > 0 {
						t.Fatalf("%d bytes are not looked at", len(rest))
					}
					piece = rest
				}
			}
			return all
		}
		whole := seen(len(p) + 1)
		if got := seen(int(step) + 1); !slices.Equal(got, whole) {
			t.Errorf("%v, in one piece %v", got, whole)
		}
		length := 0
		for _, f := range whole {
			length += 9 + f.length
		}
		if last := len(whole) - 1; last >= 0 && length-whole[last].length > len(p) {
			t.Errorf("frames of %d bytes in %d", length-whole[last].length, len(p))
		}
	})
}

// TestCalm is what happens to clients that send so many frames in vain, in so many milliseconds.
func TestCalm(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frames int
		every  time.Duration
		credit int64 // comes with each
		waits  time.Duration
		cut    int // by which frame; 0: none
	}{
		{"as many as may be", 10_000, time.Second / 1280, 0, 0, 0},
		{"a burst", 128, 0, 0, 0, 0},
		{"one more than that", 129, 0, 0, vainTime, 0},
		{"as fast as it can", 10_000, 0, 0, vainTimes * vainTime, 1 + 128*(vainTimes+1)},
		{"as fast as it is sent to", 1 << 20, 0, 1, 0, 0},
		{"half as fast again as may be", 1 << 20, time.Second / 1920, 0, vainTimes * vainTime / 3, 1 + 128*(vainTimes+1)},
	} {
		var k calm
		now := time.Unix(1, 0)
		cut := 0
		waited := time.Duration(0)
		for n := range tt.frames {
			wait, err := k.spend(1, tt.credit, now)
			if err != nil {
				cut = n + 1
				break
			}
			waited += wait
			now = now.Add(wait + tt.every)
		}
		if cut != tt.cut || (waited-tt.waits).Abs() > vainTime {
			t.Errorf("%s: waits %v, want %v; cut by %d, want %d", tt.name, waited, tt.waits, cut, tt.cut)
		}
	}
}
