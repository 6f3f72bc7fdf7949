package app

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/offline"
	"github.com/ancora-fleet/ancora/dataplane/page"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
	"github.com/ancora-fleet/ancora/dataplane/turnstile"
)

// OfflineField carries, on every answer of an application that is offline, all that holds it.
const OfflineField = "X-Ancora-Offline"

// retryLater is what clients are told when there is too much to do, in seconds.
const retryLater = 5

// running forwards to the instances of a pool.
type running struct {
	app      *App
	pool     *supervise.Pool
	spec     *Spec
	after    *successor
	affinity *affinity // nil: visitors do not come back to an instance
}

func (d *running) Serve(r *forward.Request, w forward.ResponseWriter) {
	j := d.further(r, d.spec.judge(r, nil))
	is := j.is
	switch {
	case j.by == byRules && j.status == filter.Abort:
		w.Abort(errAborted)
		return
	case j.by != byNothing: // neither an instance nor a place is needed to say so
		d.answer(w, is, j.refusal(), 0)
		return
	}
	if r.Upgrade && is.place != nil && is.place.NoWebSockets { // what is left is a plain GET (WS-1)
		r.Upgrade, r.Body = false, nil
	}
	a, client := d.app, forward.Source(r.Client.Addr())
	if err := a.enter(r, client); err != nil {
		d.refuse(r, w, is, err)
		return
	}
	wanted := d.affinity.wanted(r)
	d, claim, err := d.claim(r.Context, wanted)
	if err != nil {
		a.turnstile.Leave()
		d.refuse(r, w, is, err)
		return
	}
	defer a.leave(claim)
	opt := d.options(is)
	opt.Token, opt.Ending = claim.Token, claim.Ending
	if got := claim.Slot(); got != wanted {
		opt.Cookie = d.affinity.cookie(got, r.Secure)
	}
	err = forward.Serve(r, w, claim.Upstream, opt)
	if err == nil {
		a.turnstile.Served(client)
	}
	if failure, ok := errors.AsType[*forward.Error](err); ok && !failure.Sent {
		d.failed(w, is, failure)
	}
}

// refuse answers a request that got no instance.
func (d *running) refuse(r *forward.Request, w forward.ResponseWriter, is rules, err error) {
	switch {
	case errors.Is(err, supervise.ErrStopping), errors.Is(err, turnstile.ErrClosed):
		// This door was retired while the request stood in it: the one that stands there now answers.
		if now := d.app.door.Load(); now.Door != forward.Door(d) {
			now.Serve(r, w)
			return
		}
		d.answer(w, is, page.Unavailable("This address is being changed. Please try again."), 1)
	case errors.Is(err, turnstile.ErrFull):
		d.answer(w, is, page.Unavailable("Too many requests wait already. Please try again."), retryLater)
	case errors.Is(err, turnstile.ErrLate):
		d.answer(w, is, page.Unavailable("This address has too much to do. Please try again."), retryLater)
	case r.Context.Err() != nil:
		w.Abort(context.Cause(r.Context))
	default:
		d.app.noInstance.Add(1)
		d.notStarted(w, is, err)
	}
}

// notStarted answers a request that found no instance and got none to start.
func (d *running) notStarted(w forward.ResponseWriter, is rules, err error) {
	retry := 0
	if refused, ok := errors.AsType[*supervise.RefusedError](err); ok {
		retry = seconds(refused.RetryAfter)
	}
	if stuck, ok := errors.AsType[*supervise.StuckError](err); ok {
		retry = seconds(stuck.RetryAfter)
	}
	d.answer(w, is, d.startPage(err), retry)
}

func (d *running) startPage(err error) page.Page {
	code := startCode(err, d.spec.Pool.InProcess)
	if d.spec.PlainErrors {
		return page.Plain(code)
	}
	detail := ""
	if d.spec.Development {
		detail = err.Error()
		if start, ok := errors.AsType[*supervise.StartError](err); ok && len(start.Output) > 0 {
			detail += "\n\n" + strings.Join(start.Output, "\n")
		}
	}
	return page.StartFailure(code, detail, d.spec.ErrorLink)
}

// failed answers a request whose instance gave no answer (ERR-5).
func (d *running) failed(w forward.ResponseWriter, is rules, failure *forward.Error) {
	switch failure.Kind {
	case forward.ClientGone:
		w.Abort(failure)
	case forward.TooLarge:
		d.answer(w, is, page.TooLarge(), 0)
	case forward.TooSlow:
		d.answer(w, is, page.TooSlow(), 0)
	case forward.BadRequest:
		d.answer(w, is, page.BadRequest(), 0)
	default:
		d.app.log.Debug("request not answered", "error", failure)
		detail := ""
		if d.spec.Development {
			detail = failure.Error()
		}
		d.answer(w, is, page.BadGateway("502.3", detail, d.spec.ErrorLink), 0)
	}
}

// away is the door of an application that is out of service.
type away struct {
	answer *offline.Answer
	// of has the fields that its answers get; no rule keeps anybody from being told.
	of *Answers
}

func (d *away) Serve(r *forward.Request, w forward.ResponseWriter) {
	fields := []forward.Field{
		field("Content-Type", page.ContentType),
		field("Cache-Control", "no-store"),
		field(OfflineField, strings.Join(d.answer.Holders, ", ")),
	}
	if n := d.answer.RetryAfter(time.Now()); n > 0 {
		fields = append(fields, field("Retry-After", strconv.Itoa(n)))
	}
	if is := d.of.judge(r, nil).is; is.place != nil {
		fields = append(fields, is.place.Add...)
	}
	if w.Head(503, fields, int64(len(d.answer.Body))) == nil {
		_, _ = w.Write(d.answer.Body)
	}
}

// failed is the door of an application that has nothing to run; without a reason it is not known yet what there is.
type failed struct {
	app    *App
	reason *Refusal
}

// Serve has what could be read asked first: whom the rules keep out is told nothing else, and a request that no handler would
// send to the application does not meet what is wrong with it.
func (d *failed) Serve(r *forward.Request, w forward.ResponseWriter) {
	if d.reason == nil {
		send(w, page.Unavailable("The application behind this address cannot run as it is configured."), 0)
		return
	}
	j := d.reason.handled(r, d.reason.judge(r, nil))
	p := d.reason.page()
	switch {
	case j.by == byRules && j.status == filter.Abort:
		w.Abort(errAborted)
		return
	case j.by != byNothing:
		p = j.refusal()
	}
	d.app.answer(w, &d.reason.Answers, j.is, p, 0)
}

// page is what visitors see, unless web.config has a page of its own.
func (r *Refusal) page() page.Page {
	if r.PlainErrors {
		return page.Plain(r.Code)
	}
	detail := ""
	if r.Development {
		detail = r.Error()
	}
	return page.Misconfigured(r.Code, detail, r.ErrorLink)
}

// stopped is the door of an application that is gone.
type stopped struct{}

func (stopped) Serve(_ *forward.Request, w forward.ResponseWriter) {
	send(w, page.Unavailable("This address is going away."), 0)
}

// NotFound answers where no site does.
type NotFound struct{}

func (NotFound) Serve(_ *forward.Request, w forward.ResponseWriter) { send(w, page.NotFound(), 0) }

// detailer takes what stands behind the point of a page's code, for those who log it.
type detailer interface{ Substatus(n int) }

func send(w forward.ResponseWriter, p page.Page, retryAfter int) {
	answer{page: p, kind: page.ContentType, retryAfter: retryAfter}.send(w)
}

// answer is one that is ours.
type answer struct {
	page       page.Page
	kind       string // Content-Type
	location   string // where visitors are sent instead
	retryAfter int    // in seconds; 0: nothing is said
	add        []forward.Field
}

func (a answer) send(w forward.ResponseWriter) {
	p := a.page
	if d, ok := w.(detailer); ok && p.Substatus != 0 && a.location == "" {
		d.Substatus(p.Substatus)
	}
	fields := []forward.Field{field("Content-Type", a.kind), field("Cache-Control", "no-store"), field(forward.ErrorField, p.Code)}
	if a.retryAfter > 0 {
		fields = append(fields, field("Retry-After", strconv.Itoa(a.retryAfter)))
	}
	status := p.Status
	if a.location != "" {
		status = 302
		fields = append(fields[1:], field("Location", a.location))
	}
	if w.Head(status, append(fields, a.add...), int64(len(p.Body))) == nil {
		_, _ = w.Write(p.Body)
	}
}

func field(name, value string) forward.Field {
	return forward.Field{Name: []byte(name), Value: []byte(value)}
}

func seconds(d time.Duration) int { return max(int((d+time.Second-1)/time.Second), 1) }
