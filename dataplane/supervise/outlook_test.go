package supervise

import (
	"errors"
	"testing"
	"time"
)

// What is foreseen of a slot by what it is; nothing is started by asking.
func TestOutlook(t *testing.T) {
	failure := errors.New("it died")
	starting := func(p *Pool, s *slot) *instance {
		i := p.newInstance(s)
		s.begin(i)
		return i
	}
	for name, c := range map[string]struct {
		config Config
		is     func(p *Pool, s *slot)
		want   Outlook
		why    string // the beginning of Err
	}{
		"nothing runs": {Config{}, func(*Pool, *slot) {}, Outlook{Instance: 1, State: Exited}, ""},
		"starting":     {Config{}, func(p *Pool, s *slot) { starting(p, s) }, Outlook{Instance: 1, State: Starting}, ""},
		"late":         {Config{}, func(p *Pool, s *slot) { starting(p, s).settle(failure) }, Outlook{Instance: 1, State: Starting}, "it died"},
		"ready": {Config{}, func(p *Pool, s *slot) {
			i := starting(p, s)
			i.ready = true
			s.opened(i)
		}, Outlook{Instance: 1, State: Ready}, ""},
		"one at a time":      {Config{Alone: true}, func(p *Pool, s *slot) { s.leaving = []*instance{p.newInstance(s)} }, Outlook{Instance: 1, State: Exited, Waits: true}, ""},
		"failed, may start":  {Config{RapidFails: 1}, func(p *Pool, s *slot) { s.failure = failure; p.window.add(time.Now()) }, Outlook{Instance: 1, State: Exited}, ""},
		"rapid fails":        {Config{RapidFails: 1}, func(p *Pool, _ *slot) { p.window.add(time.Now()); p.window.add(time.Now()) }, Outlook{Instance: 1, State: Exited}, "2 failures within a minute, 1 are allowed"},
		"stands":             {Config{InProcess: true}, func(_ *Pool, s *slot) { s.failure = failure; s.sticky.failed(time.Now()) }, Outlook{Instance: 1, State: Exited}, "it died; retries in 10s"},
		"closed":             {Config{}, func(p *Pool, _ *slot) { p.closed = true }, Outlook{Instance: 1, State: Exited}, "supervise: the application is being stopped"},
		"one for another":    {Config{Instances: 2}, secondUp(failure), Outlook{Instance: 2, State: Ready, Passed: 1}, "it died"},
		"one for the barred": {Config{Instances: 2, InProcess: true}, barred(failure), Outlook{Instance: 2, State: Ready}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := New(c.config)
			c.is(p, &p.slots[0])
			before := p.slots[0].current
			got := p.Outlook(0, false)
			text := ""
			if got.Err != nil {
				text = got.Err.Error()
			}
			if (text == "") != (c.why == "") || len(text) < len(c.why) || text[:len(c.why)] != c.why {
				t.Errorf("%q, want %q", text, c.why)
			}
			if got.Err = nil; got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if p.slots[0].current != before || p.turn.Load() != 0 {
				t.Error("asking has an effect")
			}
		})
	}
}

// secondUp has one instance that is late, and one that answers.
func secondUp(failure error) func(*Pool, *slot) {
	return func(p *Pool, s *slot) {
		late := p.newInstance(s)
		s.begin(late)
		late.settle(failure)
		up := p.newInstance(&p.slots[1])
		up.ready = true
		p.slots[1].begin(up)
		p.slots[1].opened(up)
	}
}

// barred has one slot where nothing may be started, and one instance that answers.
func barred(failure error) func(*Pool, *slot) {
	return func(p *Pool, s *slot) {
		secondUp(failure)(p, s)
		s.begin(nil)
		s.failure = failure
		s.sticky.failed(time.Now())
		s.bar(s.sticky.until)
	}
}
