package app

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/explain"
	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/offline"
	"github.com/ancora-fleet/ancora/dataplane/page"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
	"github.com/ancora-fleet/ancora/dataplane/turnstile"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// mostProblems is how many problems of one web.config are told.
const mostProblems = 20

// Mapped is a handler of web.config, for people.
type Mapped struct {
	Text string
	At   explain.Place
}

// explainer is a door that says what it would do.
type explainer interface {
	explain(r *forward.Request, t *explain.Trail)
}

// Name gives site and path.
func (a *App) Name() (site, path string) { return a.site, a.path }

// Explain adds to a trail what Serve would do with a request that came now. It starts nothing, counts nothing, and takes no
// place in a line.
func (a *App) Explain(r *forward.Request, t *explain.Trail) {
	status := a.Status()
	for _, i := range status.Instances {
		t.Instances = append(t.Instances, instanceStatus(i))
	}
	answer := a.offline.Peek()
	if answer != nil {
		(&away{answer: answer}).explain(r, t)
		return
	}
	door := a.door.Load().Door
	if _, was := door.(*away); was { // the request itself would find that it is over
		t.Pass(explain.Offline, "nothing holds the application offline any more")
		door = a.revived()
	}
	if _, runs := door.(*running); runs && status.Reason != nil {
		for i, step := range problems(status.Reason.Err) {
			if i == 0 {
				t.Warn(explain.Config, "web.config cannot be used, the application goes on as it is: %s", step.Text).At(step.Place)
				continue
			}
			t.Warn(explain.Config, "%s", step.Text).At(step.Place)
		}
	}
	if d, ok := door.(explainer); ok {
		d.explain(r, t)
	}
}

// revived gives the door that would stand here without what held the application offline.
func (a *App) revived() forward.Door {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.spec == nil {
		return &failed{a, a.reason}
	}
	return &running{app: a, pool: supervise.New(a.poolConfig(a.spec)), spec: a.spec}
}

func instanceStatus(i supervise.Status) explain.InstanceStatus {
	s := explain.InstanceStatus{Instance: i.Instance, Run: i.Run, State: i.State.String(), Revision: i.Revision, InFlight: i.InFlight, Message: i.Message}
	switch {
	case i.State != supervise.Exited:
		s.PID, s.Port = i.PID, i.Port
	case i.Refused:
		s.State = "refused"
	}
	return s
}

func (d *away) explain(_ *forward.Request, t *explain.Trail) {
	var detail string
	if n := d.answer.RetryAfter(time.Now()); n > 0 {
		detail = fmt.Sprintf("Retry-After %d", n)
	}
	for i, holder := range d.answer.Holders {
		text := "notice " + holder + " holds it out of service"
		if holder == offline.Local {
			text = "an app_offline.htm in its folder holds it out of service"
		}
		if step := t.Stop(explain.Offline, 503, 0, "%s", text); i == 0 {
			step.Detail = detail
		}
	}
}

func (d *failed) explain(r *forward.Request, t *explain.Trail) {
	if d.reason == nil {
		t.Stop(explain.Config, 503, 0, "it is not known yet how the application is to run")
		return
	}
	j, stopped := d.reason.explain(r, t)
	if stopped {
		return
	}
	if j = d.reason.handled(r, j); j.by == byHandlers {
		d.reason.unmapped(r, t, j)
		return
	}
	for _, step := range problems(d.reason.Err) {
		d.reason.stop(t, j.is, explain.Config, d.reason.page(), "%s", step.Text).At(step.Place)
	}
}

func (stopped) explain(_ *forward.Request, t *explain.Trail) {
	t.Stop(explain.Application, 503, 0, "the application is being taken away")
}

// problems gives what is wrong with a web.config, each with its place.
func problems(err error) []explain.Step {
	all, ok := errors.AsType[webconfig.Errors](err)
	if !ok || len(all) == 0 {
		return []explain.Step{{Text: err.Error()}}
	}
	var steps []explain.Step
	for _, e := range all[:min(len(all), mostProblems)] {
		at := explain.Place{File: e.File, Line: e.Line, Column: e.Column}
		steps = append(steps, explain.Step{Text: strings.TrimPrefix(e.Error(), at.String()+": "), Place: at})
	}
	if more := len(all) - len(steps); more > 0 {
		steps = append(steps, explain.Step{Text: fmt.Sprintf("and %d more", more)})
	}
	return steps
}

func (d *running) explain(r *forward.Request, t *explain.Trail) {
	j, stopped := d.spec.explain(r, t)
	if stopped {
		return
	}
	switch j = d.further(r, j); j.by {
	case byHandlers:
		d.spec.unmapped(r, t, j)
		return
	case bySize:
		d.spec.stop(t, j.is, explain.Rules, j.refusal(), "the body is larger than the application takes")
		return
	}
	d.explainHandler(r, t)
	if d.explainQueue(r, t, j.is) {
		d.explainInstance(t, j.is)
	}
}

// explain says what the rules do; true: they stop the request.
func (of *Answers) explain(r *forward.Request, t *explain.Trail) (judgement, bool) {
	var words told
	j := of.judge(r, &words)
	if words.unasked {
		t.Warn(explain.Rules, "ipSecurity is not asked: it is not known who the client is")
	}
	switch {
	case j.by == byRules && j.status == filter.Abort:
		t.Stop(explain.Rules, 0, 0, "%s, the connection is cut", words.why.Text).At(placeOf(words.why.Source))
		return j, true
	case j.by == byRules:
		of.stop(t, j.is, explain.Rules, j.refusal(), "%s", words.why.Text).At(placeOf(words.why.Source))
		return j, true
	case of.Filter != nil:
		t.Pass(explain.Rules, "the rules of web.config let it pass")
	}
	return j, false
}

// unmapped ends the trail of a request that no handler sends to the application.
func (of *Answers) unmapped(r *forward.Request, t *explain.Trail, j judgement) {
	step := of.stop(t, j.is, explain.Handler, j.refusal(), "no handler of web.config sends %s of this path to the application", r.Method)
	if len(of.Mapped) > 0 {
		step.At(of.Mapped[0].At)
	}
}

func placeOf(s filter.Source) explain.Place {
	return explain.Place{File: s.File, Line: s.Line, Column: s.Column}
}

// stop ends a trail with a page of ours, or what web.config has in its place.
func (of *Answers) stop(t *explain.Trail, is rules, k explain.Kind, p page.Page, format string, args ...any) *explain.Step {
	step := t.Stop(k, p.Status, p.Substatus, format, args...)
	if is.place == nil {
		return step
	}
	if own, ok := of.ownPage(is, p); ok && own.Location != "" {
		step.Text += " (" + t.Answer.Code() + "), and httpErrors sends visitors elsewhere"
		t.Answer = explain.Answer{Status: 302, Location: own.Location}
	} else if ok {
		step.Text += ", with the page " + own.File + " of httpErrors"
	}
	return step
}

func (d *running) explainHandler(r *forward.Request, t *explain.Trail) {
	at := 0
	if d.spec.Handlers != nil {
		at = d.spec.Handlers.Index(r.Method, r.Path[len(r.Base):])
	}
	if at < len(d.spec.Mapped) {
		t.Pass(explain.Handler, "%s", d.spec.Mapped[at].Text).At(d.spec.Mapped[at].At)
	}
}

// explainQueue says whether the request would get a place, at once or later.
func (d *running) explainQueue(r *forward.Request, t *explain.Trail, is rules) bool {
	o := d.app.turnstile.Outlook(turnstile.Party{Client: forward.Source(r.Client.Addr()), Owing: r.Owed()})
	switch {
	case errors.Is(o.Err, turnstile.ErrFull):
		d.spec.stop(t, is, explain.Queue, page.Unavailable(""), "all places are taken and the queue is full (concurrency: %d, queue: %d)", o.Limits.Places, o.Limits.Line).
			Here("%d requests in flight, %d wait", o.InFlight, o.Queued)
		return false
	case o.Waits:
		t.Warn(explain.Queue, "all places are taken: it waits in the queue, %v at most (concurrency: %d, queue: %d)", o.Limits.Patience, o.Limits.Places, o.Limits.Line).
			Here("%d requests in flight, %d wait", o.InFlight, o.Queued)
	}
	return true
}

func (d *running) explainInstance(t *explain.Trail, is rules) {
	o := d.pool.Outlook(0, d.spec.Least)
	if o.Passed != 0 {
		t.Warn(explain.Instance, "instance %d is passed over: %s", o.Passed, why(o.Err)).Here("%s", retry(o.Err))
	} else if o.Err != nil {
		p := page.Unavailable("")
		if !errors.Is(o.Err, supervise.ErrStopping) {
			p = d.startPage(o.Err)
		}
		d.spec.stop(t, is, explain.Instance, p, "%s", why(o.Err)).Here("%s", retry(o.Err))
		return
	}
	t.Answer = explain.Answer{Instance: o.Instance, Starts: o.State == supervise.Exited}
	switch o.State {
	case supervise.Ready:
		t.Pass(explain.Instance, "instance %d gets it%s", o.Instance, d.manner()).Here("%s", whereabouts(t, o.Instance))
	case supervise.Starting:
		t.Pass(explain.Instance, "instance %d is starting: it waits until that listens%s", o.Instance, d.manner()).Here("%s", whereabouts(t, o.Instance))
	default:
		d.explainStart(t, o)
	}
}

// explainStart is about an instance that would be started.
func (d *running) explainStart(t *explain.Trail, o supervise.Outlook) {
	if o.Waits || d.after.pending() {
		t.Warn(explain.Instance, "the old instance has to end first (overlap: false): it waits until then")
	}
	if failure := d.pool.Failure(); failure != nil {
		t.Warn(explain.Instance, "instance %d is started for it, although the newest start or run failed", o.Instance).Here("%s", failure)
		return
	}
	t.Pass(explain.Instance, "instance %d does not run: it is started for the request, which waits until it listens%s", o.Instance, d.manner())
}

// manner says how instances are chosen where there are several.
func (d *running) manner() string {
	n := d.spec.Pool.Instances
	if n < 2 {
		return ""
	}
	text := fmt.Sprintf(", of %d in turn", n)
	if d.spec.Least {
		text = fmt.Sprintf(", of %d the one with the fewest requests", n)
	}
	if d.affinity != nil {
		text += "; a visitor with the affinity cookie comes back to the one that answered before"
	}
	return text
}

// whereabouts is what this host knows of an instance.
func whereabouts(t *explain.Trail, instance uint32) string {
	for _, i := range t.Instances {
		if i.Instance != instance {
			continue
		}
		text := fmt.Sprintf("run %d, pid %d", i.Run, i.PID)
		if i.Port != 0 {
			text += fmt.Sprintf(", port %d", i.Port)
		}
		return text + fmt.Sprintf(", revision %d, requests %d", i.Revision, i.InFlight)
	}
	return ""
}

// why is what hosts have in common of an error that keeps an instance from starting.
func why(err error) string {
	if refused, ok := errors.AsType[*supervise.RefusedError](err); ok {
		return fmt.Sprintf("starts are refused after rapid fails: more than %d within a minute", refused.Limit)
	}
	if _, ok := errors.AsType[*supervise.StuckError](err); ok {
		return "a failed start stands"
	}
	if errors.Is(err, supervise.ErrStopping) {
		return "the application is being changed"
	}
	return "the instance does not start"
}

// retry is what they have not, with the time until it is tried again.
func retry(err error) string {
	if refused, ok := errors.AsType[*supervise.RefusedError](err); ok {
		return fmt.Sprintf("%d failures, tries again in %d s", refused.Failures, seconds(refused.RetryAfter))
	}
	if stuck, ok := errors.AsType[*supervise.StuckError](err); ok {
		return fmt.Sprintf("%v, tries again in %d s", stuck.Failure, seconds(stuck.RetryAfter))
	}
	return err.Error()
}
