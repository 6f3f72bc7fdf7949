package tail

import (
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

const (
	// blockSize is when a block is full, in bytes of its lines.
	blockSize = 12 << 10
	// blockWait is how long an open block waits for more lines.
	blockWait = 5 * time.Millisecond
)

type query = *typesv1.LogQuery

// queryOf turns the question into the journal's.
func queryOf(q query) journal.Query {
	wanted := journal.Query{
		Site: q.GetSite(), Instance: q.GetInstance(), Follow: q.GetFollow(), Previous: int(q.GetPrevious()), Cursors: q.GetCursors(),
	}
	if q.GetApplication() != "" {
		application := q.GetApplication()
		wanted.Application = &application
	}
	for _, s := range q.GetStreams() {
		wanted.Streams = append(wanted.Streams, journal.Stream(s))
	}
	if since := q.GetSinceTime(); since != nil {
		wanted.Since = since.AsTime()
	}
	if q != nil && q.Tail != nil {
		tail := int(q.GetTail())
		wanted.Tail = &tail
	}
	return wanted
}

// builder gathers lines of one run.
type builder struct {
	block *typesv1.LogBlock
	lines typesv1.LogLines
	size  int
}

// next waits for a line; while a block is open only for a moment. A nil line says that the moment is over.
func (b *builder) next(entries <-chan journal.Entry) (*journal.Entry, bool) {
	if b.block == nil {
		e, open := <-entries
		return entry(e, open)
	}
	select {
	case e, open := <-entries:
		return entry(e, open)
	case <-time.After(blockWait):
		return nil, true
	}
}

func entry(e journal.Entry, open bool) (*journal.Entry, bool) {
	if !open {
		return nil, false
	}
	return &e, true
}

// flush gives the open block when the next line does not belong into it, or there is none.
func (b *builder) flush(next *journal.Entry, open bool) *typesv1.LogBlock {
	if b.block == nil {
		return nil
	}
	if open && next != nil && b.size < blockSize && next.Dropped == 0 && b.block.Site == next.Site &&
		b.block.Application == next.Application && b.block.Instance == next.Instance && b.block.Run == next.Run {
		return nil
	}
	block := b.block
	encoded, err := proto.Marshal(&b.lines)
	if err != nil {
		encoded = nil // lines are plain bytes: there is nothing that cannot be encoded
	}
	block.Lines = encoded
	b.block, b.size = nil, 0
	b.lines.Lines = nil
	return block
}

func (b *builder) add(e journal.Entry) {
	if b.block == nil {
		b.block = &typesv1.LogBlock{
			Site: e.Site, Application: e.Application, Instance: e.Instance, Run: e.Run,
			FirstSequence: e.Sequence, FirstTime: timestamppb.New(e.Time), Dropped: e.Dropped,
		}
	}
	b.block.Count++
	b.block.Cursor = e.Cursor
	b.size += len(e.Line) + 64
	b.lines.Lines = append(b.lines.Lines, &typesv1.LogLine{
		Sequence: e.Sequence, Stream: typesv1.LogStream(e.Stream), Time: timestamppb.New(e.Time), Line: e.Line, Cursor: e.Cursor,
	})
}
