package h1

// Chunks reads a chunked body (RFC 9112 7.1) piece by piece, whatever pieces it comes in. Extensions and trailers are
// checked, counted and dropped. The zero value is ready for the first byte of a body.
type Chunks struct {
	state    chunkState
	digits   int8
	size     int64 // bytes left of the current chunk
	line     int   // bytes of this chunk's extensions
	overhead int   // bytes of all extensions and trailers
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExtension
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerName
	trailerValue
	trailerLF
	chunkEndLF
	chunkDone
)

var (
	errChunkSize      = &Error{400, "malformed chunk size"}
	errChunkExtension = &Error{400, "malformed chunk extension"}
	errChunkOverhead  = &Error{400, "chunk extensions or trailers over their limit"}
	errChunkEnd       = &Error{400, "chunk that does not end with CRLF"}
	errTrailer        = &Error{400, "malformed trailer"}
)

// Done reports whether the body has been read to its end.
func (c *Chunks) Done() bool { return c.state == chunkDone }

// Left is the number of bytes that the current chunk still has: to be read without looking at them.
func (c *Chunks) Left() int64 {
	if c.state != chunkData {
		return 0
	}
	return c.size
}

// Next reads from in and returns the next piece of the body, a view of it, and the number of bytes consumed, with that
// piece. Without a piece all of in was consumed, or the body is done. After an error nothing of this connection may be
// used any more.
func (c *Chunks) Next(in []byte) (data []byte, n int, err error) {
	for n < len(in) && c.state != chunkDone {
		if c.state == chunkData {
			k := int(min(c.size, int64(len(in)-n)))
			if c.size -= int64(k); c.size == 0 {
				c.state = chunkDataCR
			}
			return in[n : n+k], n + k, nil
		}
		if err := c.step(in[n]); err != nil {
			return nil, n, err
		}
		n++
	}
	return nil, n, nil
}

// step reads one byte that is not data.
func (c *Chunks) step(b byte) error {
	switch c.state {
	case chunkSize:
		return c.sizeByte(b)
	case chunkExtension:
		if b == '\r' {
			c.state = chunkSizeLF
			return nil
		}
		if c.line++; c.line > MaxExtension {
			return errChunkOverhead
		}
		if b < ' ' && b != '\t' || b >= 0x7f {
			return errChunkExtension
		}
		return c.count()
	case chunkSizeLF:
		if b != '\n' {
			return errChunkSize
		}
		if c.state = chunkData; c.size == 0 {
			c.state = trailerStart
		}
	case chunkDataCR:
		if b != '\r' {
			return errChunkEnd
		}
		c.state = chunkDataLF
	case chunkDataLF:
		if b != '\n' {
			return errChunkEnd
		}
		c.state, c.digits, c.line = chunkSize, 0, 0
	default:
		return c.trailerByte(b)
	}
	return nil
}

func (c *Chunks) sizeByte(b byte) error {
	switch {
	case isHex(b):
		if c.digits++; c.digits > 15 { // 2^60: leading zeros count too
			return errChunkSize
		}
		c.size = c.size<<4 | int64(HexValue(b))
	case c.digits == 0:
		return errChunkSize
	case b == ';':
		c.state = chunkExtension
	case b == '\r':
		c.state = chunkSizeLF
	default:
		return errChunkSize
	}
	return nil
}

func (c *Chunks) trailerByte(b byte) error {
	switch c.state {
	case trailerStart:
		switch {
		case b == '\r':
			c.state = chunkEndLF
		case isToken(b):
			c.state = trailerName
		default:
			return errTrailer
		}
	case trailerName:
		if b == ':' {
			c.state = trailerValue
		} else if !isToken(b) {
			return errTrailer
		}
	case trailerValue:
		if b == '\r' {
			c.state = trailerLF
		} else if b < ' ' && b != '\t' || b == 0x7f {
			return errTrailer
		}
	case trailerLF:
		if b != '\n' {
			return errTrailer
		}
		c.state = trailerStart
	case chunkEndLF:
		if b != '\n' {
			return errTrailer
		}
		c.state = chunkDone
		return nil
	}
	return c.count()
}

func (c *Chunks) count() error {
	if c.overhead++; c.overhead > MaxOverhead {
		return errChunkOverhead
	}
	return nil
}

// AppendChunk appends the line before a chunk of n bytes, n > 0.
func AppendChunk(dst []byte, n int) []byte {
	const digits = "0123456789abcdef"
	shift := 0
	for n>>shift > 15 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, digits[n>>shift&15])
	}
	return append(dst, '\r', '\n')
}

// Skip counts n bytes of data, at most Left, that were read past Next.
func (c *Chunks) Skip(n int) {
	if c.size -= int64(n); c.size == 0 {
		c.state = chunkDataCR
	}
}
