package journal

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	maxLine = 64 << 10

	// A checkpoint is due where so much came since the last one: it bounds how much is read again to find a place.
	checkpointLines = 1024
	checkpointBytes = 256 << 10
)

// flags say what is known of the open line of a stream.
type flags uint8

const (
	flagSkip  flags = 1 << iota // its beginning is gone: it takes a number but is not shown
	flagCut                     // it goes on a line that was cut at 64 KiB
	flagRough                   // bytes just before it were lost
)

// state is where counting lines stands behind one mark: a pure function of the marks so far and the bytes they name. Kept
// in the index it is a checkpoint.
type state struct {
	mark     uint64 // number of the last mark counted
	sequence uint64 // of the last line
	time     int64  // of that mark, Unix nanoseconds
	end      [streamCount]uint64
	open     [streamCount]uint64 // where the line that has no end yet starts
	flags    [streamCount]flags
}

// streamCount is for arrays indexed by Stream; index 0 is unused.
const streamCount = 4

const stateSize = 3*8 + 3 + 1 + 6*8 + 4

func (s *state) append(b []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint64(b, s.mark)
	b = binary.LittleEndian.AppendUint64(b, s.sequence)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.time))
	b = append(b, byte(s.flags[1]), byte(s.flags[2]), byte(s.flags[3]), 0)
	for i := 1; i < streamCount; i++ {
		b = binary.LittleEndian.AppendUint64(b, s.end[i])
		b = binary.LittleEndian.AppendUint64(b, s.open[i])
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b[start:]))
}

func decodeState(b []byte) (state, bool) {
	var s state
	sum := len(b) - 4
	if len(b) != stateSize || crc32.ChecksumIEEE(b[:sum]) != binary.LittleEndian.Uint32(b[sum:]) {
		return s, false
	}
	s.mark = binary.LittleEndian.Uint64(b)
	s.sequence = binary.LittleEndian.Uint64(b[8:])
	s.time = int64(binary.LittleEndian.Uint64(b[16:]))
	for i := 1; i < streamCount; i++ {
		s.flags[i] = flags(b[23+i])
		s.end[i] = binary.LittleEndian.Uint64(b[28+(i-1)*16:])
		s.open[i] = binary.LittleEndian.Uint64(b[36+(i-1)*16:])
		if s.open[i] > s.end[i] || s.end[i]-s.open[i] > maxLine && s.flags[i]&flagSkip == 0 {
			return s, false
		}
	}
	return s, true
}
