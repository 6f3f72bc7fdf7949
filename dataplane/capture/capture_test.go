package capture

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func marks(t *testing.T, dir string) (all []Mark) {
	data, err := os.ReadFile(filepath.Join(dir, MarksFile))
	if err != nil {
		t.Fatal(err)
	}
	for ; len(data) > 0; data = data[MarkSize:] {
		m, ok := DecodeMark(data)
		if !ok {
			t.Fatalf("mark %d is not good", len(all)+1)
		}
		m.Time = time.Time{}
		all = append(all, m)
	}
	return all
}

func TestWriterMarksEveryMovement(t *testing.T) {
	dir := RunDir(t.TempDir(), "shop", "/api", 3)
	w, err := OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	unixNonblock(t, r)
	if _, err := pipe.WriteString("hello\nwor"); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Splice(Stdout, int(r.Fd())); n != 9 || err != nil {
		t.Fatalf("splice: %d, %v", n, err)
	}
	if _, err := w.Splice(Stdout, int(r.Fd())); !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("splice of an empty pipe: %v", err)
	}
	if err := w.Append(Event, []byte("[1001] started\n")); err != nil {
		t.Fatal(err)
	}
	_ = pipe.Close()
	if n, err := w.Splice(Stdout, int(r.Fd())); n != 0 || err != nil {
		t.Fatalf("splice of a closed pipe: %d, %v", n, err)
	}
	if err := errors.Join(w.End(), w.End(), w.Close()); err != nil {
		t.Fatal(err)
	}
	want := []Mark{{Number: 1, Stream: Stdout, Offset: 9}, {Number: 2, Stream: Event, Offset: 15}, {Number: 3, Kind: End}}
	if diff := cmp.Diff(want, marks(t, dir)); diff != "" {
		t.Error(diff)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, SegmentName(Stdout, 0))); string(got) != "hello\nwor" {
		t.Errorf("stdout: %q", got)
	}
}

func unixNonblock(t *testing.T, f *os.File) {
	if err := unix.SetNonblock(int(f.Fd()), true); err != nil {
		t.Fatal(err)
	}
}

// A writer that opens a run again goes on behind the last good mark, whatever lies behind it.
func TestWriterGoesOn(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "0")
	for range 2 {
		w, err := OpenWriter(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Append(Event, []byte("line\n")), w.Close()); err != nil {
			t.Fatal(err)
		}
		torn, err := os.OpenFile(filepath.Join(dir, MarksFile), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := torn.Write(bytes.Repeat([]byte{7}, 11)); err != nil {
			t.Fatal(err)
		}
		_ = torn.Close()
	}
	data, err := os.ReadFile(filepath.Join(dir, MarksFile))
	if err != nil {
		t.Fatal(err)
	}
	second, ok := DecodeMark(data[MarkSize:])
	if !ok || second.Number != 2 || second.Offset != 10 {
		t.Errorf("second mark: %+v, %v", second, ok)
	}
}

func TestSegmentsAndQuota(t *testing.T) {
	dir := RunDir(t.TempDir(), "shop", "/", 1)
	w, err := OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("x"), 4<<20)
	const chunks = 24 // 96 MiB
	for range chunks {
		if err := w.Append(Stderr, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "stderr.*"))
	var total int64
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > ApplicationQuota || total < ApplicationQuota-2*SegmentSize {
		t.Errorf("%d bytes kept in %d segments", total, len(paths))
	}
	if _, err := os.Stat(filepath.Join(dir, SegmentName(Stderr, 0))); err == nil {
		t.Error("the oldest segment is still there")
	}
	if _, err := os.Stat(filepath.Join(dir, SegmentName(Stderr, (chunks-2)*4<<20))); err != nil {
		t.Error(err)
	}
}

func FuzzDecodeMark(f *testing.F) {
	f.Add(AppendMark(nil, Mark{Number: 1, Stream: Stdout, Offset: 5, Time: time.Unix(1, 2)}))
	f.Add(AppendMark(nil, Mark{Number: 9, Kind: End}))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, ok := DecodeMark(data)
		if ok && !bytes.Equal(AppendMark(nil, m), data[:MarkSize]) {
			t.Errorf("%x reads as %+v, which is written differently", data[:MarkSize], m)
		}
	})
}

func FuzzParseSegment(f *testing.F) {
	f.Add("stdout.0000000000000000")
	f.Add("event.00000000000FFFFF")
	f.Fuzz(func(t *testing.T, name string) {
		if s, start, ok := ParseSegment(name); ok && SegmentName(s, start) != name {
			t.Errorf("%q reads as %v %d", name, s, start)
		}
	})
}
