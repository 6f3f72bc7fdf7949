package ingress

import (
	"errors"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/route"
)

// Imagine gives the request that a client would make with a head of this method, target and Host, without a body. Where it
// would be refused, the status of that comes with the error.
func Imagine(method, target, host string) (r *forward.Request, status int, err error) {
	if strings.ContainsAny(method+target+host, "\r\n") {
		return nil, 400, errors.New("a line end in the head")
	}
	head := []byte(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	var h h1.Request
	if _, _, err = h1.Boundary(head, 0); err == nil {
		err = h.Parse(head)
	}
	if breach, ok := errors.AsType[*h1.Error](err); ok {
		return nil, breach.Status, errors.New(breach.Text)
	}
	path, query, err := route.Normalise(nil, h.Target)
	if err != nil {
		return nil, 400, err
	}
	return &forward.Request{Method: h.Method, Path: path, Query: query, Host: h.Host, Fields: h.Fields}, 0, nil
}
