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

// admit asks the rules, before a place or an instance is taken. What may not pass has its answer when it returns false.
func (d *running) admit(r *forward.Request, w forward.ResponseWriter) (rules, bool) {
	v := d.spec.Filter.Check(&filter.Request{
		Method: r.Method, Path: r.Path, Query: r.Query, Base: len(r.Base), Fields: r.Fields, Length: r.ContentLength,
		Client: r.Client.Addr(), Secure: r.Secure, Certificate: len(r.ClientCertificate) > 0,
	})
	is := rules{place: v.Place}
	switch v.Status {
	case 0:
	case filter.Abort:
		w.Abort(errAborted)
		return is, false
	default:
		d.answer(w, is, page.Refused(v.Status, v.Substatus), 0)
		return is, false
	}
	switch {
	case v.Body > 0:
		is.body = v.Body
	case v.Body == 0:
		is.body = forward.NoBody
	}
	if r.Upgrade && v.Place.NoWebSockets { // what is left is a plain GET (WS-1)
		r.Upgrade, r.Body = false, nil
	}
	return is, true
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

// answer sends a page of ours, or what web.config has in its place.
func (d *running) answer(w forward.ResponseWriter, is rules, p page.Page, retryAfter int) {
	if is.place == nil {
		send(w, p, retryAfter)
		return
	}
	own, ok := is.place.Page(p.Status, p.Substatus, d.spec.PlainErrors && p.Code == page.Plain502().Code)
	a := answer{page: p, kind: page.ContentType, retryAfter: retryAfter, add: is.place.Add}
	switch {
	case !ok:
	case own.Location != "":
		a.location, a.page.Body = own.Location, nil
	default:
		body, err := d.app.pages.get(own.File, time.Now())
		if err != nil {
			d.app.log.Debug("error page of web.config not shown", "page", own.File, "error", err)
			break
		}
		a.page.Body, a.kind = body, typeOf(own.File)
	}
	a.send(w)
}
