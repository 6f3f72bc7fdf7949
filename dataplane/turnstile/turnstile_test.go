package turnstile

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write testdata anew")

// The traces in testdata/line.txt read like a log: after each command stand the state and what became of whom.
func TestTraces(t *testing.T) {
	data, err := os.ReadFile("testdata/line.txt")
	if err != nil {
		t.Fatal(err)
	}
	got := &strings.Builder{}
	synctest.Test(t, func(t *testing.T) {
		var s *stage
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			command, _, _ := strings.Cut(line, " -> ")
			words := strings.Fields(command)
			if len(words) == 0 || words[0] == "#" {
				fmt.Fprintln(got, line)
				continue
			}
			if words[0] == "limits" {
				s = &stage{t: t, turnstile: New(limits(t, words[1:])), gone: map[string]context.CancelCauseFunc{}}
			} else {
				s.do(words)
			}
			synctest.Wait()
			fmt.Fprintf(got, "%s -> %s\n", command, s)
		}
	})
	if *update {
		if err := os.WriteFile("testdata/line.txt", []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(data), got.String()); diff != "" && !*update {
		t.Error(diff)
	}
}

// stage is a turnstile with the requests of a trace.
type stage struct {
	t         *testing.T
	turnstile *Turnstile
	gone      map[string]context.CancelCauseFunc
	mu        sync.Mutex
	news      []string
}

var errNoStart = errors.New("no start")

func (s *stage) do(words []string) {
	client := ""
	if len(words) == 4 && words[2] == "of" {
		words, client = words[:2], words[3]
	}
	switch who := words[len(words)-1]; words[0] {
	case "enter", "owe":
		ctx, cancel := context.WithCancelCause(s.t.Context())
		s.gone[who] = cancel
		party := Party{Owing: words[0] == "owe"}
		if client != "" {
			party.Client = address(client)
		}
		go func() { s.tell(who, s.turnstile.Enter(ctx, party)) }()
	case "served":
		s.turnstile.Served(address(who))
	case "leave":
		s.turnstile.Leave()
	case "yield":
		s.turnstile.Yield()
	case "resume":
		s.turnstile.Resume()
	case "gone":
		s.gone[who](errors.New("gone"))
	case "start":
		s.turnstile.Start()
	case "started":
		s.turnstile.Started(nil)
	case "fail":
		s.turnstile.Started(errNoStart)
	case "close":
		s.turnstile.Close()
	case "open":
		s.turnstile.Open()
	case "set":
		s.turnstile.Set(limits(s.t, words[1:]))
	case "after":
		time.Sleep(duration(s.t, who))
	default:
		s.t.Fatalf("command %q", words)
	}
}

func address(client string) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, client[0]}) }

func (s *stage) tell(who string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := map[error]string{nil: "in", ErrFull: "full", ErrLate: "late", ErrClosed: "closed"}[err]
	if what == "" {
		what = err.Error()
	}
	s.news = append(s.news, who+" "+what)
}

func (s *stage) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.turnstile.Load()
	slices.Sort(s.news)
	text := strings.Join(append([]string{fmt.Sprintf("%d %d %d", l.InFlight, l.Places, l.Queued)}, s.news...), "; ")
	s.news = nil
	return text
}

func limits(t *testing.T, words []string) Limits {
	places, err := strconv.Atoi(words[0])
	line, err2 := strconv.Atoi(words[1])
	if err != nil || err2 != nil {
		t.Fatal(words)
	}
	return Limits{places, line, duration(t, words[2])}
}

func duration(t *testing.T, s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Many requests at once never exceed the places by more than those who came back, nobody is forgotten in line, and at the
// end everything is as it was.
func TestCrowd(t *testing.T) {
	const places = 3
	s := New(Limits{Places: places, Line: 1000, Patience: time.Hour})
	var through, most atomic.Int64
	var all sync.WaitGroup
	for n := range 64 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(n)))
			for range 200 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+random.IntN(20))*time.Millisecond)
				if s.Enter(ctx, Party{}) == nil {
					// Who came back is not counted, since it may come on top.
					if n := through.Add(1); n > most.Load() {
						most.Store(n)
					}
					if through.Add(-1); random.IntN(3) == 0 {
						s.Yield()
						s.Resume()
					}
					s.Leave()
				}
				cancel()
			}
		})
	}
	all.Wait()
	if n := most.Load(); n > places {
		t.Errorf("%d at once, %d places", n, places)
	}
	if l := s.Load(); l.InFlight != 0 || l.Places != 0 || l.Queued != 0 || s.word.Load() != 0 {
		t.Errorf("left over: %+v", l)
	}
}

func TestNoAllocation(t *testing.T) {
	s := New(Limits{Places: 1})
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		if s.Enter(ctx, Party{}) == nil {
			s.Leave()
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEnterLeave(b *testing.B) {
	s := New(Limits{Places: 1000})
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			_ = s.Enter(ctx, Party{})
			s.Leave()
		}
	})
}
