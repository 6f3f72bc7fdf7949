package journal

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// Output reads what one run writes to stdout and stderr, line by line, for who wants it as it was written. It is not for
// several goroutines at once, and holds at most a line and a chunk.
type Output struct {
	source source
}

// OutputLine is a line of a run.
type OutputLine struct {
	Stream Stream
	// Text is the line with its line feed, if it has one, secrets redacted; the caller's to keep. A line over 64 KiB
	// comes in several parts, of which only the last has one.
	Text []byte
	// Dropped is how many lines were lost before it, as in Entry.
	Dropped uint64
	// Place is behind this line: what goes on there misses none and reads none twice.
	Place string
}

// Output opens the output of a run, which need not have begun, behind a place that a line of it gave; empty: from its
// beginning. Close it.
func (j *Journal) Output(site, app string, run uint64, place string) (*Output, error) {
	o := &Output{source{journal: j, runKey: runKey{site, app, run}, want: 1<<Stdout | 1<<Stderr}}
	if place == "" {
		return o, nil
	}
	c, err := parseCursor(place)
	if err != nil {
		return nil, err
	}
	if c.journal != j.id || c.site != site || c.app != app {
		return nil, errCursor
	}
	o.source.after, _ = c.resume(run)
	o.source.given = o.source.after
	return o, nil
}

// Next gives the next line; false: there is none now.
func (o *Output) Next() (OutputLine, bool, error) {
	s := &o.source
	if err := s.fill(); err != nil || !s.hasHead {
		return OutputLine{}, false, err
	}
	s.given, s.hasHead = s.headPos, false
	text := s.head.Line
	if !s.headUnended {
		text = append(text, '\n')
	}
	place := cursor{s.journal.id, s.site, s.app, []runPosition{{s.runKey.run, s.given}}}
	return OutputLine{s.head.Stream, text, s.head.Dropped, place.String()}, true, nil
}

// Over says that nothing more will come: the run has ended, or is deleted. Ask when Next gave none.
func (o *Output) Over() bool {
	s := &o.source
	return s.done || s.replay != nil && s.replay.ended
}

// Close ends reading.
func (o *Output) Close() { o.source.close() }

// LastCharacters returns the last characters that a run wrote to stdout and stderr as lines, at most n with the line feeds
// between them. Secrets are redacted. A line the process did not finish counts. No output, or no such run, is none.
func (j *Journal) LastCharacters(site, app string, run uint64, n int) []string {
	var text []byte
	// Twice as much as is wanted is kept, so that not every line moves all of it. A character has 4 bytes at most.
	keep := func(line []byte, ended bool) {
		if text = append(text, line...); ended {
			text = append(text, '\n')
		}
		if len(text) > 8*n {
			text = lastCharacters(text, n+1)
		}
	}
	j.lastOutput(site, app, run, utf8.UTFMax*(n+1), keep)
	text = lastCharacters(bytes.TrimSuffix(text, []byte("\n")), n)
	if len(text) == 0 {
		return nil
	}
	return strings.Split(string(text), "\n")
}

// lastCharacters cuts a text from its beginning; a byte that is no part of a character counts as one.
func lastCharacters(text []byte, n int) []byte {
	at := len(text)
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRune(text[:at])
		at -= size
	}
	return text[at:]
}
