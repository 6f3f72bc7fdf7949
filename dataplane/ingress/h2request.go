package ingress

import (
	"bytes"
	"net/http"
	"sort"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/route"
)

var (
	errH2Method    = &h1.Error{Status: 400, Text: "method that is no token"}
	errH2Unserved  = &h1.Error{Status: 501, Text: "method that a reverse proxy does not carry"}
	errH2Size      = &h1.Error{Status: 414, Text: "target over 16 KiB"}
	errH2Authority = &h1.Error{Status: 400, Text: "malformed authority"}
	errH2Host      = &h1.Error{Status: 400, Text: "Host other than the authority"}
	errH2Length    = &h1.Error{Status: 400, Text: "Content-Length that is no single number, or not that of the body"}
	errH2Field     = &h1.Error{Status: 400, Text: "malformed field"}
	errH2Fields    = &h1.Error{Status: 431, Text: "too many fields"}
	errH2Expect    = &h1.Error{Status: 417, Text: "expectation other than 100-continue"}
)

// request checks what HTTP/2 allows and HTTP/1.1 does not, since the application is told in HTTP/1.1. The error is an
// *h1.Error. What net/http has refused by then: pseudo-header fields that are missing, unknown, doubled or out of place,
// names and values with the bytes that end them, and fields that are about a connection.
func (h *h2Server) request(hr *http.Request) (*forward.Request, error) {
	if err := checkMethod(hr.Method); err != nil {
		return nil, err
	}
	if len(hr.RequestURI) > h1.MaxTarget {
		return nil, errH2Size
	}
	path, query, err := route.Normalise(nil, []byte(hr.RequestURI))
	if err != nil {
		return nil, &h1.Error{Status: 400, Text: err.Error()}
	}
	if !h1.IsHost([]byte(hr.Host)) {
		return nil, errH2Authority
	}
	r := &forward.Request{
		Method: []byte(hr.Method), Path: path, Query: query, Host: []byte(hr.Host),
		ContentLength: hr.ContentLength, Context: hr.Context(),
	}
	if session := sessionOf(hr.Context()); session != nil {
		r.Secure, r.ClientCertificate = true, session.ClientCertificate
	}
	if hr.ContentLength != 0 {
		r.Body = hr.Body
	}
	if r.Fields, err = h2Fields(hr.Header); err != nil {
		return nil, err
	}
	if len(hr.Trailer) > 0 {
		r.Trailers = func() []forward.Field { return h2Trailers(hr.Trailer) }
	}
	if err := checkSteering(r); err != nil {
		return nil, err
	}
	r.Client, _ = parseAddr(hr.RemoteAddr)
	if h.l.trusts(r.Client.Addr()) {
		believe(r)
	}
	return r, nil
}

// checkMethod refuses the same methods as over HTTP/1.1, with the same status.
func checkMethod(method string) error {
	switch {
	case len(method) > h1.MaxMethod, method == "TRACE", method == "CONNECT":
		return errH2Unserved
	case !h1.IsToken([]byte(method)):
		return errH2Method
	}
	return nil
}

// h2Fields gives the fields sorted by name: net/http has lost their order, but for those of one name. White space around
// a value, which HTTP/2 forbids (RFC 9113 8.2.1), is taken off, as it means nothing in HTTP/1.1.
func h2Fields(header http.Header) ([]forward.Field, error) {
	fields := make([]forward.Field, 0, len(header))
	for name, values := range header {
		for _, value := range values {
			f := forward.Field{Name: []byte(name), Value: h1.Trim([]byte(value))}
			if !h1.IsToken(f.Name) || !h1.IsValue(f.Value) {
				return nil, errH2Field
			}
			if len(fields) == h1.MaxFields {
				return nil, errH2Fields
			}
			fields = append(fields, f)
		}
	}
	sort.SliceStable(fields, func(i, j int) bool { return bytes.Compare(fields[i].Name, fields[j].Name) < 0 })
	return fields, nil
}

// h2Trailers gives the trailer fields that were announced, without values until the body has been read.
func h2Trailers(trailer http.Header) []forward.Field {
	var fields []forward.Field
	for name, values := range trailer {
		if len(values) == 0 {
			fields = append(fields, forward.Field{Name: []byte(name)})
		}
		for _, value := range values {
			fields = append(fields, forward.Field{Name: []byte(name), Value: h1.Trim([]byte(value))})
		}
	}
	return fields
}

// checkSteering looks at the fields that say what something else says as well: the authority (RFC 9113 8.3.1) and the
// end of the stream (8.1.1). net/http takes the first Content-Length of many for the body's, and none where it is no
// number.
func checkSteering(r *forward.Request) error {
	for i, f := range r.Fields {
		switch {
		case h1.EqualFold(f.Name, "host"):
			if !bytes.EqualFold(f.Value, r.Host) {
				return errH2Host
			}
		case h1.EqualFold(f.Name, "content-length"):
			n, ok := h1.Digits(f.Value)
			if !ok || n != r.ContentLength || i > 0 && bytes.Equal(r.Fields[i-1].Name, f.Name) {
				return errH2Length
			}
		case h1.EqualFold(f.Name, "expect"): // net/http has taken away what it understands
			return errH2Expect
		}
	}
	return nil
}
