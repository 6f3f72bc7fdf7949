package processors

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// write makes a file below dir.
func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestTotals(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "self/task/7/schedstat", "5000 2000000 12\n")
	write(t, dir, "self/task/8/schedstat", "100 500000 3\n")
	write(t, dir, "self/task/9/comm", "it has no schedstat, as where the kernel does not count\n")
	write(t, dir, "stat", "cpu  100 0 200 3000 45 0 0 0 0 0\ncpu0 50 0 100 1500 20 0 0 0 0 0\n")
	g := newGauges(dir)
	if got, err := g.waited.total(); got != 2500*time.Microsecond || err != nil {
		t.Errorf("threads waited for %v, %v; want 2.5ms", got, err)
	}
	if got, err := g.idle.total(); got != 30450*time.Millisecond || err != nil {
		t.Errorf("processors were idle for %v, %v; want 30.45s", got, err)
	}
	defer g.close()
	write(t, dir, "self/task/7/schedstat", "6000 2100000 13\n")
	write(t, dir, "self/task/10/schedstat", "100 900000 3\n")
	for look := range 2 * relist { // the new one is found meanwhile, and counts from there on
		if got, err := g.waited.total(); got != 2600*time.Microsecond || err != nil {
			t.Errorf("look %d: threads waited for %v, %v; want 2.6ms", look, got, err)
		}
	}
	write(t, dir, "self/task/10/schedstat", "100 901000 3\n")
	if got, err := g.waited.total(); got != 2601*time.Microsecond || err != nil {
		t.Errorf("threads waited for %v, %v; want 2.601ms", got, err)
	}
	for name, text := range map[string]string{"self/task/8/schedstat": "100\n", "stat": "cpu 1 2 3 4\n"} {
		write(t, dir, name, text)
	}
	if got, err := g.waited.total(); err == nil {
		t.Errorf("a line with one number: %v", got)
	}
	if got, err := g.idle.total(); err == nil {
		t.Errorf("a line without iowait: %v", got)
	}
}

// TestTotalsOfThisMachine: what is read is really there, and grows.
func TestTotalsOfThisMachine(t *testing.T) {
	g := newGauges("/proc")
	defer g.close()
	before, err := g.ran.total()
	if err != nil || before <= 0 {
		t.Fatalf("ran for %v, %v", before, err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		after, err := g.ran.total()
		if err != nil {
			t.Fatal(err)
		}
		if after > before+time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("ran for %v, and for %v after 10 s of work", before, after)
		}
	}
	for name, total := range map[string]func() (time.Duration, error){"waited": g.waited.total, "idle": g.idle.total} {
		if got, err := total(); err != nil || got <= 0 {
			t.Errorf("%s for %v, %v", name, got, err)
		}
	}
}

// TestThreadsEnd: one that has ended is no failure, and what it had waited stays counted.
func TestThreadsEnd(t *testing.T) {
	all := &threads{dir: "/proc/self/task"}
	defer all.close()
	end, begun := make(chan struct{}), make(chan int)
	var ended sync.WaitGroup
	for range 2 { // the first thread of a process does not end, so one of two is another one
		ended.Go(func() {
			runtime.LockOSThread() // and never unlock: the thread ends with the goroutine
			begun <- unix.Gettid()
			<-end
		})
	}
	a, b := <-begun, <-begun
	if a == unix.Getpid() {
		a = b
	}
	id := strconv.Itoa(a)
	before, err := all.waited()
	if err != nil || all.open[id] == nil {
		t.Fatalf("thread %s of %v, %v", id, all.open, err)
	}
	close(end)
	ended.Wait()
	for deadline := time.Now().Add(10 * time.Second); all.open[id] != nil; runtime.Gosched() {
		after, err := all.waited()
		if err != nil || after < before {
			t.Fatalf("waited for %v, then %v, %v", before, after, err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("thread %s is there after 10 s", id)
		}
	}
}

func TestRate(t *testing.T) {
	var total time.Duration
	var err error
	g := gauge{total: func() (time.Duration, error) { return total, err }}
	at := time.Now()
	for i, step := range []struct {
		after, total time.Duration
		err          error
		forget       bool
		want         float64
	}{
		{total: time.Minute}, // there is nothing to compare with
		{after: 100 * time.Millisecond, total: time.Minute + 50*time.Millisecond, want: 0.5},
		{after: 200 * time.Millisecond, total: time.Minute + 350*time.Millisecond, want: 1.5},
		{after: 100 * time.Millisecond, total: time.Minute}, // a thread has ended, with what it had waited
		{after: 100 * time.Millisecond, err: errors.New("out of descriptors")},
		{after: 100 * time.Millisecond, total: time.Minute + time.Second}, // since when is not known
		{after: 100 * time.Millisecond, total: time.Minute + 1025*time.Millisecond, want: 0.25},
		{after: time.Hour, total: 2 * time.Hour, forget: true},
		{total: 3 * time.Hour}, // no time has passed
	} {
		at = at.Add(step.after)
		total, err = step.total, step.err
		if step.forget {
			g.forget()
		}
		if got := g.rate(at); fmt.Sprintf("%.3f", got) != fmt.Sprintf("%.3f", step.want) {
			t.Errorf("step %d: rate %.3f, want %.3f", i+1, got, step.want)
		}
	}
}

// TestRead: what costs more to read is read only where the rule would ask for it, and counts from the second time in a row on.
func TestRead(t *testing.T) {
	at := time.Now()
	var ran, waited, idle time.Duration
	g := &gauges{
		ran:    gauge{total: func() (time.Duration, error) { return ran, nil }},
		waited: gauge{total: func() (time.Duration, error) { return waited, nil }},
		idle:   gauge{total: func() (time.Duration, error) { return idle, nil }},
	}
	for i, step := range []struct {
		now, most         int
		ran, waited, idle float64 // in the interval
		want              load
	}{
		{1, 2, 0, 0, 0, load{}},
		{1, 2, 0.04, 0.9, 0.9, load{ran: 0.04}},
		{1, 2, 0.5, 0.2, 0.9, load{ran: 0.5}},
		{1, 2, 0.5, 0.2, 0.9, load{ran: 0.5, waited: 0.2}},
		{1, 2, 0.6, 0.3, 0.9, load{ran: 0.6, waited: 0.3}},
		{1, 2, 0.6, 0.3, 0.9, load{ran: 0.6, waited: 0.3, idle: 0.9}},
		{1, 2, 0.9, 0.1, 0.8, load{ran: 0.9, waited: 0.1, idle: 0.8}},
		{2, 2, 1.9, 0.1, 0.1, load{ran: 1.9, waited: 0.1}},
		{1, 1, 0.9, 0.3, 0.9, load{ran: 0.9}},
	} {
		at = at.Add(interval)
		grow := func(total *time.Duration, share float64) { *total += time.Duration(share * float64(interval)) }
		grow(&ran, step.ran)
		grow(&waited, step.waited)
		grow(&idle, step.idle)
		got := g.read(at, step.now, step.most)
		if i > 0 {
			step.want.took = interval
		}
		text := func(l load) string {
			return fmt.Sprintf("%v ran %.3f waited %.3f idle %.3f", l.took, l.ran, l.waited, l.idle)
		}
		if text(got) != text(step.want) {
			t.Errorf("step %d: %s, want %s", i+1, text(got), text(step.want))
		}
	}
}
