package journal

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// minSecret is the length in bytes of the shortest secret that is redacted.
const minSecret = 4

var redacted = []byte("***")

// secrets are the byte strings of a run that are never shown; longest is the length of the longest.
type secrets struct {
	all     [][]byte
	longest int
}

func loadSecrets(dir string) secrets {
	data, err := os.ReadFile(filepath.Join(dir, capture.RedactFile))
	if err != nil {
		return secrets{}
	}
	var s secrets
	for line := range bytes.Lines(data) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) >= minSecret {
			s.all = append(s.all, line)
			s.longest = max(s.longest, len(line))
		}
	}
	return s
}

// lookback is how many bytes before a line may belong to a secret that ends in it.
func (s secrets) lookback() int {
	return min(max(s.longest-1, 0), maxLine-1)
}

// redact returns a copy of line without secrets. before are bytes that stood directly before it. roughStart: bytes before
// it are unknown; roughEnd: it goes on with bytes that are not known here. There, what may be a part of a secret is taken
// for one, if it tells anything of it: a few characters too many are hidden rather than half a secret shown.
func (s secrets) redact(line, before []byte, roughStart, roughEnd bool) []byte {
	if len(s.all) == 0 {
		return slices.Clone(line)
	}
	text := slices.Concat(before, line)
	var spans []span
	for _, secret := range s.all {
		for at := 0; ; {
			i := bytes.Index(text[at:], secret)
			if i < 0 {
				break
			}
			spans = append(spans, span{at + i, at + i + len(secret)})
			at += i + 1
		}
		if n := overlap(secret, text); roughStart && telling(n, secret) {
			spans = append(spans, span{0, n})
		}
		if n := overlap(text, secret); roughEnd && telling(n, secret) {
			spans = append(spans, span{len(text) - n, len(text)})
		}
	}
	return mask(text, spans, len(before))
}

// telling says whether n bytes of a secret are worth hiding: every sixteenth line ends with what some token begins with.
func telling(n int, secret []byte) bool { return n >= minSecret || 2*n >= len(secret) }

// span is a part of a text, from inclusive, to exclusive.
type span struct{ from, to int }

// mask returns text from start on with every span replaced; spans that meet become one.
func mask(text []byte, spans []span, start int) []byte {
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	out := make([]byte, 0, len(text)-start)
	at := start
	for i := 0; i < len(spans); {
		s := spans[i]
		for i++; i < len(spans) && spans[i].from <= s.to; i++ {
			s.to = max(s.to, spans[i].to)
		}
		if s.to <= at || s.from == s.to {
			continue
		}
		if s.from > at {
			out = append(out, text[at:s.from]...)
		}
		out = append(out, redacted...)
		at = s.to
	}
	return append(out, text[at:]...)
}

// overlap returns the length of the longest end of a that is a beginning of b, all of a or b excluded.
func overlap(a, b []byte) int {
	for n := min(len(a), len(b)) - 1; n > 0; n-- {
		if bytes.Equal(a[len(a)-n:], b[:n]) {
			return n
		}
	}
	return 0
}
