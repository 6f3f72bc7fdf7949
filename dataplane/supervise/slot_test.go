package supervise

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The trace in testdata/choose.txt: which slot a request gets, by what the slots are.
func TestChooseTrace(t *testing.T) {
	data, err := os.ReadFile("testdata/choose.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := &strings.Builder{}
	var p *Pool
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		command, _, asks := strings.Cut(line, " -> ")
		words := strings.Fields(command)
		if len(words) == 0 || words[0] == "#" {
			fmt.Fprintln(got, line)
			continue
		}
		numbers := []int{0, 0}
		for i, w := range words[1:] {
			if numbers[i], err = strconv.Atoi(w); err != nil {
				t.Fatal(err)
			}
		}
		if !asks {
			fmt.Fprintln(got, line)
			if words[0] == "pool" {
				p = New(Config{Instances: numbers[0]})
				continue
			}
			p.slots[numbers[0]-1].become(t, p, words[0], numbers[1])
			continue
		}
		wanted, least := uint32(0), words[0] == "least"
		if words[0] == "wanted" {
			wanted = uint32(numbers[0])
		}
		foreseen := p.choose(wanted, least, p.turn.Load()+1)
		at := p.Choose(wanted, least)
		if at != foreseen {
			t.Errorf("%s: %d was foreseen, %d is chosen", command, foreseen, at)
		}
		fmt.Fprintf(got, "%s -> %d\n", command, p.slots[at].number)
	}
	if diff := cmp.Diff(string(data), got.String()); diff != "" {
		t.Error(diff)
	}
}

func (s *slot) become(t *testing.T, p *Pool, what string, n int) {
	switch what {
	case "up":
		i := p.newInstance(s)
		s.begin(i)
		s.opened(i)
	case "busy":
		s.open.Load().inFlight.Store(int64(n))
	case "starting":
		s.open.Store(nil)
		s.begin(p.newInstance(s))
	case "down":
		s.open.Store(nil)
		s.begin(nil)
	case "shut":
		s.open.Store(nil)
		s.begin(nil)
		s.bar(time.Now().Add(time.Hour))
	case "opens":
		s.bar(time.Now().Add(-time.Second))
	default:
		t.Fatalf("command %q", what)
	}
}

// Choosing and taking costs no memory, whatever number of slots there is.
func TestChooseAllocatesNothing(t *testing.T) {
	for _, n := range []int{1, 3} {
		for _, least := range []bool{false, true} {
			p := New(Config{Instances: n})
			for at := range p.slots {
				p.slots[at].become(t, p, "up", 0)
			}
			if got := testing.AllocsPerRun(100, func() {
				claim, ok := p.TryAcquire(p.Choose(0, least))
				if !ok {
					t.Fatal("no instance")
				}
				claim.Release()
			}); got != 0 {
				t.Errorf("%d slots, least %v: %v allocations", n, least, got)
			}
		}
	}
}

// Failures that several instances were told of count once.
func TestWindowJoins(t *testing.T) {
	now := time.Unix(1000, 0)
	w := window{times: []time.Time{now, now.Add(2 * time.Second)}}
	w.join([]time.Time{now, now.Add(time.Second)})
	if n := w.count(now.Add(3 * time.Second)); n != 3 {
		t.Errorf("%d failures, want 3", n)
	}
}
