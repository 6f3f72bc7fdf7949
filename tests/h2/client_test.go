package h2

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// client says exactly what it is told to, frame by frame.
type client struct {
	net.Conn
	*http2.Framer
	t     testing.TB
	block bytes.Buffer
	enc   *hpack.Encoder
	got   []hpack.HeaderField // of every head and trailer section
}

func dial(t testing.TB, address string) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	k := &client{Conn: c, Framer: http2.NewFramer(c, c), t: t}
	k.Framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	k.Framer.AllowIllegalWrites = true
	k.enc = hpack.NewEncoder(&k.block)
	io.WriteString(c, http2.ClientPreface)
	k.WriteSettings()
	return k
}

// encode makes a header block of lines "name: value"; the colon of a pseudo-header field belongs to its name. A name or a
// value may be anything: \n in it stands for a line feed when fields come one by one.
func (c *client) encode(fields []hpack.HeaderField) []byte {
	c.block.Reset()
	for _, f := range fields {
		c.enc.WriteField(f)
	}
	return bytes.Clone(c.block.Bytes())
}

// headers sends a header block, with as many CONTINUATION frames as it needs.
func (c *client) headers(stream uint32, fields []hpack.HeaderField, end bool) error {
	const most = 16 << 10
	block := c.encode(fields)
	first := block[:min(most, len(block))]
	block = block[len(first):]
	err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0})
	for err == nil && len(block) > 0 {
		piece := block[:min(most, len(block))]
		block = block[len(piece):]
		err = c.WriteContinuation(stream, len(block) == 0, piece)
	}
	return err
}

// outcome is what becomes of a stream: a status, "RST_STREAM CODE", "GOAWAY CODE", or "closed". After a status all of the
// answer has come, or it says what has followed.
func (c *client) outcome(stream uint32) (verdict string, head *http2.MetaHeadersFrame, body []byte) {
	for {
		frame, err := c.ReadFrame()
		var broken http2.StreamError
		switch {
		case errors.As(err, &broken):
			c.t.Errorf("a malformed answer: %v", err)
			return "malformed", head, body
		case err != nil:
			return join(verdict, "closed"), head, body
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				c.WritePing(true, f.Data)
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return join(verdict, "GOAWAY "+f.ErrCode.String()), head, body
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return join(verdict, "RST_STREAM "+f.ErrCode.String()), head, body
			}
		case *http2.MetaHeadersFrame:
			c.got = append(c.got, f.Fields...)
			if f.StreamID != stream {
				break
			}
			if status := f.PseudoValue("status"); status != "" && status[0] == '1' {
				break
			} else if status != "" {
				verdict, head = status, f
			}
			if f.StreamEnded() {
				return verdict, head, body
			}
		case *http2.DataFrame:
			if f.StreamID != stream {
				break
			}
			body = append(body, f.Data()...)
			if f.StreamEnded() {
				return verdict, head, body
			}
		}
	}
}

func join(verdict, more string) string { return strings.TrimSpace(verdict + " " + more) }

// fields makes a block of lines: "name: value", ":method: GET".
func fields(lines string) (block []hpack.HeaderField) {
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		i := strings.Index(line[1:], ":") + 1
		block = append(block, hpack.HeaderField{Name: line[:i], Value: strings.TrimPrefix(line[i+1:], " ")})
	}
	return block
}
