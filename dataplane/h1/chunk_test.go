package h1

import (
	"strings"
	"testing"
)

// decode reads a body in pieces of at most step bytes. It returns the data, how much was consumed, and "done", "more"
// or "bad".
func decode(in string, step int) (data string, n int, end string) {
	var c Chunks
	for n < len(in) && !c.Done() {
		piece, k, err := c.Next([]byte(in[n:min(len(in), n+step)]))
		data += string(piece)
		if n += k; err != nil {
			return data, n, "bad"
		}
	}
	if c.Done() {
		return data, n, "done"
	}
	return data, n, "more"
}

func TestChunks(t *testing.T) {
	extension := strings.Repeat("x", 200)
	tests := []struct{ name, in, data, end string }{
		{"two chunks", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!", "done"},
		{"upper case", "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", "done"},
		{"leading zeros", "0005\r\nhello\r\n000\r\n\r\n", "hello", "done"},
		{"extension", "5;a=\"b\";c\r\nhello\r\n0;d\r\n\r\n", "hello", "done"},
		{"trailer", "5\r\nhello\r\n0\r\nX-T: v\r\nY:\r\n\r\n", "hello", "done"},
		{"rest is not touched", "1\r\na\r\n0\r\n\r\nGET /", "a", "done"},
		{"incomplete", "5\r\nhel", "hel", "more"},

		{"sign", "+5\r\nhello\r\n", "", "bad"},
		{"no size", ";a\r\nhello\r\n", "", "bad"},
		{"space after the size", "5 \r\nhello\r\n", "", "bad"},
		{"space inside", "5 5\r\nhello\r\n", "", "bad"},
		{"too many digits", "0000000000000005\r\nhello\r\n", "", "bad"},
		{"size with a bare LF", "5\nhello\r\n", "", "bad"},
		{"CR CR LF", "5\r\r\nhello\r\n", "", "bad"},
		{"extension with a bare LF", "5;a\nhello\r\n", "", "bad"},
		{"data with a bare LF", "5\r\nhello\n0\r\n\r\n", "hello", "bad"},
		{"data that goes on", "5\r\nhelloXX0\r\n\r\n", "hello", "bad"},
		{"last chunk with bare LFs", "0\n\n", "", "bad"},
		{"trailer without a colon", "0\r\nxt\r\n\r\n", "", "bad"},
		{"folded trailer", "0\r\nX: v\r\n w\r\n\r\n", "", "bad"},
		{"trailer with a bare LF", "0\r\nX: v\n\r\n", "", "bad"},
		{"long extension", "5;" + extension + extension + "\r\nhello\r\n", "", "bad"},
		{"many extensions", strings.Repeat("1;"+extension+"\r\na\r\n", 100), strings.Repeat("a", 81), "bad"},
		{"long trailers", "0\r\n" + strings.Repeat("X: "+extension+"\r\n", 100), "", "bad"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, step := range []int{1, 3, len(tt.in)} {
				data, n, end := decode(tt.in, step)
				if data != tt.data || end != tt.end {
					t.Errorf("in pieces of %d: %q, %s; want %q, %s", step, data, end, tt.data, tt.end)
				}
				if rest, ok := strings.CutPrefix(tt.in, "1\r\na\r\n0\r\n\r\n"); ok && n != len(tt.in)-len(rest) {
					t.Errorf("in pieces of %d: %d bytes consumed", step, n)
				}
			}
		})
	}
}

func TestSkip(t *testing.T) {
	var c Chunks
	c.Next([]byte("a\r\n"))
	if c.Left() != 10 {
		t.Fatalf("%d bytes left, want 10", c.Left())
	}
	c.Skip(4)
	c.Skip(6)
	if _, n, err := c.Next([]byte("\r\n0\r\n\r\n")); err != nil || n != 7 || !c.Done() {
		t.Errorf("%d, %v, done %v", n, err, c.Done())
	}
}

func TestAppendChunk(t *testing.T) {
	for n, want := range map[int]string{1: "1\r\n", 10: "a\r\n", 16: "10\r\n", 0xabcd0: "abcd0\r\n"} {
		if got := string(AppendChunk(nil, n)); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
