package journal

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// line is one line of a run as it was captured.
type line struct {
	position
	time    int64
	data    []byte // valid until the next line is read
	before  []byte // what stood directly before it, when it goes on a line that was cut
	rough   bool   // bytes before it are unknown
	unended bool   // it ends without a line feed
}

// replay counts the lines of one run, mark by mark. It holds at most one line of each stream and one chunk of bytes,
// whatever the run has written.
type replay struct {
	run   *run
	marks marks
	segs  [streamCount]segments
	state
	lines, bytes uint64 // since the last checkpoint

	partial  [streamCount][]byte // the open line
	lookback [streamCount][]byte // end of the line it goes on, when that was cut
	dropped  [streamCount]uint64 // lines lost since the line last returned
	jumped   uint64              // the same where streams cannot be told apart
	floor    uint64              // sequence up to which lines are not missed

	cur   capture.Mark // being counted; Number 0: none
	chunk []byte       // bytes of it that were read and not yet counted
	buf   []byte
	ended bool // the mark that ends the run was counted
}

// newReplay opens a run's marks to count from the checkpoint on. A run without marks yet is fs.ErrNotExist.
func newReplay(r *run, from state) (*replay, error) {
	f, err := os.Open(filepath.Join(r.dir, capture.MarksFile))
	if err != nil {
		return nil, err
	}
	p := &replay{run: r, marks: marks{f: f}}
	for i := range p.segs {
		p.segs[i] = segments{dir: r.dir, stream: Stream(i)}
	}
	if err := p.restore(from); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *replay) close() {
	p.marks.f.Close()
	for i := range p.segs {
		p.segs[i].close()
	}
}

// restore goes to a checkpoint.
func (p *replay) restore(s state) error {
	p.state, p.cur, p.chunk, p.lines, p.bytes = s, capture.Mark{}, nil, 0, 0
	p.marks.seek(s.mark)
	for i := 1; i < streamCount; i++ {
		p.partial[i], p.lookback[i] = p.partial[i][:0], nil
		if s.flags[i]&flagSkip == 0 && s.end[i] > s.open[i] {
			data, err := p.bytesAt(i, s.open[i], s.end[i])
			var gone *goneError
			switch {
			case errors.As(err, &gone):
				p.flags[i] = flagSkip
			case err != nil:
				return err
			}
			p.partial[i] = append(p.partial[i], data...)
		}
		if n := uint64(p.run.secrets.lookback()); p.flags[i]&flagCut != 0 && n > 0 {
			data, err := p.bytesAt(i, s.open[i]-min(n, s.open[i]), s.open[i])
			if err != nil {
				p.flags[i] |= flagRough
			}
			p.lookback[i] = data
		}
	}
	return nil
}

// bytesAt returns bytes of a stream, all or an error.
func (p *replay) bytesAt(i int, from, to uint64) ([]byte, error) {
	data := make([]byte, to-from)
	for n := 0; n < len(data); {
		k, err := p.segs[i].readAt(data[n:], from+uint64(n))
		if err != nil {
			return nil, err
		}
		n += k
	}
	return data, nil
}

// next returns the next line; false when there is none yet, or none any more (ended).
func (p *replay) next() (line, bool, error) {
	for {
		if p.cur.Number == 0 {
			k, ok, err := p.marks.read()
			if err != nil || !ok {
				return line{}, false, err
			}
			p.ended = false
			if !p.begin(k) {
				continue
			}
		}
		l, ok, err := p.step()
		if ok || err != nil {
			return l, ok, err
		}
	}
}

// over says whether nothing will come any more: the run has ended, and what the agent had to say of its end was said.
func (p *replay) over() bool {
	const lastWords = 2 * time.Second
	return p.ended && time.Since(time.Unix(0, p.time)) > lastWords
}

// begin takes up a mark; false when it says nothing.
func (p *replay) begin(k capture.Mark) bool {
	p.cur, p.chunk = k, p.chunk[:0]
	if k.Kind == capture.Data && k.Offset < p.end[k.Stream] {
		p.finish()
		return false
	}
	return true
}

// step counts on in the current mark until a line ends or the mark does.
func (p *replay) step() (line, bool, error) {
	switch s := p.cur.Stream; p.cur.Kind {
	case capture.Lost:
		l, ok := p.breakLine(s)
		p.dropped[s]++
		p.flags[s] |= flagRough
		p.finish()
		return l, ok, nil
	case capture.End:
		for _, s := range capture.Streams() {
			if l, ok := p.breakLine(s); ok {
				return l, true, nil
			}
		}
		p.ended = true
		p.finish()
		return line{}, false, nil
	default:
		if len(p.chunk) == 0 && p.end[s] < p.cur.Offset {
			if err := p.fill(); err != nil || p.cur.Number == 0 {
				return line{}, false, err
			}
		}
		if len(p.chunk) == 0 && p.end[s] >= p.cur.Offset {
			p.finish()
			return line{}, false, nil
		}
		l, ok := p.split(s)
		return l, ok, nil
	}
}

// finish closes the current mark and notes a checkpoint where one is due.
func (p *replay) finish() {
	p.mark, p.time = p.cur.Number, p.cur.Time.UnixNano()
	p.cur, p.chunk = capture.Mark{}, nil
	if p.lines >= checkpointLines || p.bytes >= checkpointBytes {
		p.lines, p.bytes = 0, 0
		p.run.add(p.state)
	}
}

// fill reads more bytes of the current mark; end of the stream moves only as they are counted.
func (p *replay) fill() error {
	s := p.cur.Stream
	if p.buf == nil {
		p.buf = make([]byte, maxLine)
	}
	want := min(p.cur.Offset-p.end[s], uint64(len(p.buf)))
	n, err := p.segs[s].readAt(p.buf[:want], p.end[s])
	var gone *goneError
	if errors.As(err, &gone) {
		return p.skip(s, gone.next)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	p.chunk = p.buf[:n]
	return nil
}

// skip passes bytes that are gone. Where the index knows a place behind them that is whole, it goes on there and knows
// how many lines that leaves out. Where nobody ever counted them, each byte may have been a line: sequences jump by so
// much, so that none is used twice, and the gap is counted as one line.
func (p *replay) skip(s Stream, next uint64) error {
	var first [streamCount]uint64
	for i := 1; i < streamCount; i++ {
		var err error
		if first[i], err = p.segs[i].first(); err != nil {
			return err
		}
	}
	if point, ok := p.run.readable(p.cur.Number, first); ok && point.sequence >= p.sequence {
		p.jumped += point.sequence - min(point.sequence, max(p.sequence, p.floor))
		return p.restore(point)
	}
	to := min(next, p.cur.Offset)
	p.sequence += to - p.end[s]
	p.bytes += max(to-p.end[s], checkpointBytes) // a checkpoint is due: what was guessed once stays
	p.partial[s], p.lookback[s] = p.partial[s][:0], nil
	p.end[s], p.open[s], p.flags[s] = to, to, flagSkip
	return nil
}

// split counts bytes of the chunk up to the end of a line or of the chunk.
func (p *replay) split(s Stream) (line, bool) {
	room := maxLine - len(p.partial[s])
	if p.flags[s]&flagSkip != 0 {
		room = maxLine
	}
	i := bytes.IndexByte(p.chunk[:min(len(p.chunk), room)], '\n')
	switch {
	case i == 0 && len(p.partial[s]) == 0 && p.flags[s]&(flagCut|flagSkip) == flagCut:
		// The line feed of a line that was cut exactly before it ends that line, not an empty one.
		p.take(s, 1)
		p.restart(s, 0)
		return line{}, false
	case i >= 0:
		p.extend(s, i)
		p.take(s, 1)
		return p.endLine(s, 0)
	case len(p.chunk) >= room:
		p.extend(s, room)
		return p.endLine(s, flagCut)
	}
	p.extend(s, len(p.chunk))
	return line{}, false
}

func (p *replay) extend(s Stream, n int) {
	if p.flags[s]&flagSkip == 0 {
		p.partial[s] = append(p.partial[s], p.chunk[:n]...)
	}
	p.take(s, n)
}

func (p *replay) take(s Stream, n int) {
	p.chunk = p.chunk[n:]
	p.end[s] += uint64(n)
	p.bytes += uint64(n)
}

// breakLine ends the open line of a stream without a line feed, if there is one.
func (p *replay) breakLine(s Stream) (line, bool) {
	if p.open[s] == p.end[s] && p.flags[s]&flagSkip == 0 {
		return line{}, false
	}
	return p.endLine(s, flagRough)
}

// endLine gives the open line of a stream its number and returns it, unless its beginning is gone. The next line starts
// with the flags given: 0 behind a line feed.
func (p *replay) endLine(s Stream, next flags) (line, bool) {
	was := p.flags[s]
	p.sequence++
	p.lines++
	l := line{
		position: position{p.cur.Number, s, p.end[s], p.sequence},
		time:     p.cur.Time.UnixNano(),
		data:     p.partial[s],
		before:   p.lookback[s],
		rough:    was&flagRough != 0,
		unended:  next != 0,
	}
	if was&flagSkip != 0 {
		p.dropped[s]++
		p.restart(s, next)
		return line{}, false
	}
	kept := p.partial[s]
	p.restart(s, next)
	if next == flagCut {
		p.lookback[s] = p.tailOf(l.before, kept)
	}
	return l, true
}

// restart begins a new line of a stream. The bytes of the old one stay untouched until the next is counted.
func (p *replay) restart(s Stream, next flags) {
	p.open[s], p.flags[s] = p.end[s], next
	p.partial[s], p.lookback[s] = p.partial[s][:0], nil
}

func (p *replay) tailOf(before, data []byte) []byte {
	n := p.run.secrets.lookback()
	if n == 0 {
		return nil
	}
	text := append(append([]byte(nil), before...), data...)
	return text[len(text)-min(n, len(text)):]
}

// lost returns and forgets how many lines of the wanted streams were lost since it was last asked.
func (p *replay) lost(want streams) uint64 {
	n := p.jumped
	p.jumped = 0
	for i := range p.dropped {
		if want.has(Stream(i)) {
			n += p.dropped[i]
		}
		p.dropped[i] = 0
	}
	return n
}
