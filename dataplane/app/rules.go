package app

import (
	"errors"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/page"
)

var errAborted = errors.New("app: web.config cuts off requests of this client")

// rules is what the application's web.config has for one request; the zero value is nothing.
type rules struct {
	place *filter.Place // nil: nothing
	body  int64         // of a body; 0: the file says nothing, else as in forward.Options
}

// by is what keeps a request from a place and an instance.
type by uint8

const (
	byNothing by = iota
	byRules
	byHandlers
	bySize
)

// judgement is what becomes of a request before a place or an instance is needed.
type judgement struct {
	is rules
	by by
	// status and substatus are those of byRules, which may be filter.Abort.
	status, substatus int
}

// told has the words for a judgement.
type told struct {
	why filter.Reason
	// unasked says that there are rules about clients, and the client is not known.
	unasked bool
}

// judge asks the rules. With words it says why as well, also of a request that has not come. It changes nothing.
func (of *Answers) judge(r *forward.Request, words *told) judgement {
	var j judgement
	if of.Filter == nil {
		return j
	}
	q := filter.Request{
		Method: r.Method, Path: r.Path, Query: r.Query, Base: len(r.Base), Fields: r.Fields, Length: r.ContentLength,
		Client: r.Client.Addr(), Secure: r.Secure, Certificate: len(r.ClientCertificate) > 0,
	}
	var v filter.Verdict
	if words == nil {
		v = of.Filter.Check(&q)
	} else {
		v, words.why, words.unasked = of.Filter.Explain(&q)
	}
	j.is.place = v.Place
	switch {
	case v.Status != 0:
		j.by, j.status, j.substatus = byRules, v.Status, v.Substatus
	case v.Body > 0:
		j.is.body = v.Body
	case v.Body == 0:
		j.is.body = forward.NoBody
	}
	return j
}

// further asks the handlers and the limit of bodies about a request that the rules let pass.
func (d *running) further(r *forward.Request, j judgement) judgement {
	if j.by != byNothing {
		return j
	}
	if j = d.spec.handled(r, j); j.by != byNothing {
		return j
	}
	if opt := d.options(j.is); opt.TooLarge(r) {
		j.by = bySize
	}
	return j
}

// handled asks the handlers about a request that the rules let pass.
func (of *Answers) handled(r *forward.Request, j judgement) judgement {
	if h := of.Handlers; j.by == byNothing && h != nil && !h.Take(r.Method, r.Path[len(r.Base):]) {
		j.by = byHandlers
	}
	return j
}

// refusal is the page of a request that is not let through.
func (j *judgement) refusal() page.Page {
	switch j.by {
	case byHandlers:
		return page.Unmapped()
	case bySize:
		return page.TooLarge()
	}
	return page.Refused(j.status, j.substatus)
}

// apply makes the options of a request what its rules say.
func (is rules) apply(opt *forward.Options) {
	if is.place == nil {
		return
	}
	opt.Add, opt.NoServer = is.place.Add, is.place.NoServer
	if is.body != 0 {
		opt.BodyLimit = is.body
	}
}

// ownPage gives what web.config has in the place of a page of ours.
func (of *Answers) ownPage(is rules, p page.Page) (filter.Page, bool) {
	return is.place.Page(p.Status, p.Substatus, of.PlainErrors && p.Code == outOfProcess)
}

func (d *running) answer(w forward.ResponseWriter, is rules, p page.Page, retryAfter int) {
	d.app.answer(w, &d.spec.Answers, is, p, retryAfter)
}

// answer sends a page of ours, or what web.config has in its place.
func (a *App) answer(w forward.ResponseWriter, of *Answers, is rules, p page.Page, retryAfter int) {
	if is.place == nil {
		send(w, p, retryAfter)
		return
	}
	own, ok := of.ownPage(is, p)
	sent := answer{page: p, kind: page.ContentType, retryAfter: retryAfter, add: is.place.Add}
	switch {
	case !ok:
	case own.Location != "":
		sent.location, sent.page.Body = own.Location, nil
	default:
		body, err := a.pages.get(own.File, time.Now())
		if err != nil {
			a.log.Debug("error page of web.config not shown", "page", own.File, "error", err)
			break
		}
		sent.page.Body, sent.kind = body, typeOf(own.File)
	}
	sent.send(w)
}
