package rows

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

func TestMain(m *testing.M) {
	code := m.Run()
	lab.Clean()
	cleanPrograms()
	os.Exit(code)
}

// kind is what can be seen of an agent from outside.
type kind string

const (
	reply   kind = "answer"
	file    kind = "file"
	event   kind = "event"
	process kind = "process"
)

// recorder is the test of one row.
type recorder struct {
	*testing.T
	seen int
}

// saw records an observation: without one a row shows nothing.
func (r *recorder) saw(k kind, format string, values ...any) {
	r.seen++
	text := strings.Map(func(c rune) rune {
		if c < ' ' {
			return ' '
		}
		return c
	}, fmt.Sprintf(format, values...))
	r.Attr("saw", string(k)+": "+text[:min(len(text), 200)])
}

var rowName = regexp.MustCompile(`^[A-N][0-9]{2} [^/]+$`)

// row runs one row; name begins with its id. Rows of a test that is parallel run beside others, as many at once as -parallel says.
func row(t *testing.T, name string, check func(r *recorder)) {
	t.Helper()
	if !rowName.MatchString(name) {
		t.Fatalf("%q does not begin with a row's id", name)
	}
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		observed(t, check)
	})
}

// alone is row for what is measured in milliseconds: nothing runs beside it.
func alone(t *testing.T, name string, check func(r *recorder)) {
	t.Helper()
	if !rowName.MatchString(name) {
		t.Fatalf("%q does not begin with a row's id", name)
	}
	t.Run(name, func(t *testing.T) { observed(t, check) })
}

func observed(t *testing.T, check func(r *recorder)) {
	r := &recorder{T: t}
	check(r)
	if r.seen == 0 {
		t.Error("nothing was observed: a row says what it saw")
	}
}

// shared gives rows that only ask one agent among them: an application is started once for all. It runs until the test with
// these rows is over; each row records for itself.
func shared(t *testing.T, start func(r *recorder) *served) func(r *recorder) *served {
	secure := sharedSecure(t, func(r *recorder) *secureSite { return &secureSite{served: start(r)} })
	return func(r *recorder) *served { return secure(r).served }
}

func sharedSecure(t *testing.T, start func(r *recorder) *secureSite) func(r *recorder) *secureSite {
	var once sync.Once
	var first *secureSite
	return func(r *recorder) *secureSite {
		r.Helper()
		lab.Dotnet(r) // the row is skipped, not the test
		once.Do(func() { first = start(&recorder{T: t}) })
		if first == nil {
			r.Fatal("what rows share has not started")
		}
		own, site := *first.served, *first
		own.r, site.served = r, &own
		return &site
	}
}
