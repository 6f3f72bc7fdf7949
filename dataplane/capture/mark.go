package capture

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// MarkSize is the length of an encoded mark in bytes.
const MarkSize = 32

// Kind is what a mark says.
type Kind uint8

const (
	// Data: bytes of a stream up to Offset are on disk.
	Data Kind = iota
	// Lost: Offset bytes of the stream came here and could not be kept.
	Lost
	// End: the run is over and its output closed.
	End
)

// Mark is one movement of output. Numbers run from 1 over all streams of a run, so the order of lines is a function of
// the files alone.
type Mark struct {
	Number uint64
	Stream Stream
	Kind   Kind
	// Offset is the end offset in the stream for Data, the count of lost bytes for Lost.
	Offset uint64
	Time   time.Time
}

// AppendMark encodes m: number, stream, kind, two zero bytes, CRC-32 of the other 28 bytes, offset, nanoseconds since
// 1970; little endian.
func AppendMark(b []byte, m Mark) []byte {
	var e [MarkSize]byte
	binary.LittleEndian.PutUint64(e[0:], m.Number)
	e[8], e[9] = byte(m.Stream), byte(m.Kind)
	binary.LittleEndian.PutUint64(e[16:], m.Offset)
	binary.LittleEndian.PutUint64(e[24:], uint64(m.Time.UnixNano()))
	binary.LittleEndian.PutUint32(e[12:], sum(&e))
	return append(b, e[:]...)
}

// DecodeMark reads the mark at the start of b; ok is false for a torn or foreign one, behind which nothing is read.
func DecodeMark(b []byte) (m Mark, ok bool) {
	if len(b) < MarkSize {
		return Mark{}, false
	}
	e := [MarkSize]byte(b[:MarkSize])
	m = Mark{
		Number: binary.LittleEndian.Uint64(e[0:]), Stream: Stream(e[8]), Kind: Kind(e[9]),
		Offset: binary.LittleEndian.Uint64(e[16:]), Time: time.Unix(0, int64(binary.LittleEndian.Uint64(e[24:]))),
	}
	known := m.Kind == End || m.Kind <= Lost && m.Stream >= Stdout && m.Stream <= Event
	if !known || e[10] != 0 || e[11] != 0 || binary.LittleEndian.Uint32(e[12:]) != sum(&e) {
		return Mark{}, false
	}
	return m, true
}

func sum(e *[MarkSize]byte) uint32 {
	c := crc32.ChecksumIEEE(e[:12])
	return crc32.Update(c, crc32.IEEETable, e[16:])
}
