// Package h2c speaks HTTP/2 with prior knowledge (RFC 9113 3.3) to one instance that speaks nothing else: what serves gRPC on a
// port without TLS. It is net/http's client behind types that know nothing of net/http.
package h2c

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// Options of a Client; the zero value has the defaults.
type Options struct {
	// Idle is how long a connection without a request is kept. Default 60 s.
	Idle time.Duration
	// Connect limits the time to connect. Default 10 s.
	Connect time.Duration
	// Connected is told of every connection that was opened; nil: nobody.
	Connected func()
}

// Client is the connections to one instance.
type Client struct{ transport *http.Transport }

// New makes a client of the instance that listens at an address of network tcp or unix. Nothing is dialled before the first
// request.
func New(network, address string, opt Options) *Client {
	if opt.Idle <= 0 {
		opt.Idle = 60 * time.Second
	}
	if opt.Connect <= 0 {
		opt.Connect = 10 * time.Second
	}
	dialer := net.Dialer{Timeout: opt.Connect, KeepAlive: -1}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &Client{&http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, &DialError{err}
			}
			if opt.Connected != nil {
				opt.Connected()
			}
			return conn, nil
		},
		Protocols: protocols, DisableCompression: true, IdleConnTimeout: opt.Idle, MaxResponseHeaderBytes: h1.MaxHead,
	}}
}

// DialError says that the instance accepts no connection.
type DialError struct{ error }

func (e *DialError) Unwrap() error { return e.error }

// Close closes the idle connections now, the others when their requests have ended.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Request is what is asked. Its slices are not kept.
type Request struct {
	Method, Target, Host string
	// Fields are those of the head but for Host and Content-Length; none about a connection.
	Fields []h1.Field
	// Length is that of the body, -1 when only its end will tell. Body is nil without one; it is closed when nobody reads from
	// it any more, which may be after the answer.
	Length int64
	Body   io.ReadCloser
	// Trailers names the trailer fields before the body has been read, and has their values after it. Nil: none.
	Trailers func() []h1.Field
	// Interim is told of informational answers, and refuses by an error. All requests of the connection wait until it returns;
	// it may be called still when Do has returned an error. Nil: nobody is told.
	Interim func(status int, fields []h1.Field) error
}

// Response is the answer. Body must be closed; Trailers has what came behind it, once it has been read to its end.
type Response struct {
	Status   int
	Fields   []h1.Field
	Length   int64 // of the body, -1 when only its end will tell
	Body     io.ReadCloser
	Trailers func() []h1.Field
}

// Do sends a request and waits for the head of its answer. Ending ctx ends both, also while the body is read.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	if r.Interim != nil {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
			return r.Interim(status, fields(http.Header(header)))
		}})
	}
	hr := (&http.Request{
		Method: r.Method, URL: target(r.Target, r.Host), Host: r.Host, Header: header(r.Fields), ContentLength: r.Length,
		ProtoMajor: 2,
	}).WithContext(ctx)
	if _, own := hr.Header["User-Agent"]; !own {
		hr.Header["User-Agent"] = []string{""} // none, instead of net/http's
	}
	if r.Body != nil {
		hr.Body = r.Body
		if r.Trailers != nil {
			hr.Trailer = make(http.Header)
			for _, f := range r.Trailers() {
				hr.Trailer[http.CanonicalHeaderKey(string(f.Name))] = nil
			}
			hr.Body = trailing{r.Body, hr.Trailer, r.Trailers}
		}
	}
	answer, err := c.transport.RoundTrip(hr)
	if err != nil {
		return nil, err
	}
	return &Response{
		Status: answer.StatusCode, Fields: fields(answer.Header), Length: answer.ContentLength, Body: answer.Body,
		Trailers: func() []h1.Field { return fields(answer.Trailer) },
	}, nil
}

// target makes net/http send the target as it is: whatever it would encode anew the application could read differently.
func target(t, host string) *url.URL {
	u := &url.URL{Scheme: "http", Host: "instance"}
	path, query, _ := strings.Cut(t, "?")
	u.Opaque, u.RawQuery, u.ForceQuery = path, query, query == "" && strings.HasSuffix(t, "?")
	if strings.HasPrefix(path, "//") { // which would be taken for an authority
		u.Opaque = "//" + host + path
	}
	return u
}

func header(all []h1.Field) http.Header {
	h := make(http.Header, len(all))
	for _, f := range all {
		h.Add(string(f.Name), string(f.Value))
	}
	return h
}

func fields(h http.Header) []h1.Field {
	var all []h1.Field
	for name, values := range h {
		for _, value := range values {
			all = append(all, h1.Field{Name: []byte(name), Value: []byte(value)})
		}
	}
	return all
}

// trailing fills in the trailer when the body has ended.
type trailing struct {
	io.ReadCloser
	to   http.Header
	from func() []h1.Field
}

func (t trailing) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if err == io.EOF {
		for _, f := range t.from() {
			if name := http.CanonicalHeaderKey(string(f.Name)); len(f.Value) > 0 {
				t.to[name] = append(t.to[name], string(f.Value))
			}
		}
	}
	return n, err
}
