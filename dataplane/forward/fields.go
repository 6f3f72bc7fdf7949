package forward

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// tokenField carries the pairing token to the application (FWD-3).
const tokenField = "MS-ASPNETCORE-TOKEN"

// certificateField carries the client's certificate to the application (FWD-7).
const certificateField = "MS-ASPNETCORE-CLIENTCERT"

// appendRequest writes the head of r as the application gets it. What clients could forge or misuse is stripped first,
// what is ours is added last, so no "Connection: MS-ASPNETCORE-TOKEN" can take it away. A body that has arrived whole
// is appended too, so that one write carries everything; inline reports that, or that there is no body.
func appendRequest(dst []byte, r *Request, opt *Options) (head []byte, inline bool) {
	return appendBody(appendHead(dst, r, opt), r)
}

func appendHead(dst []byte, r *Request, opt *Options) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.Path...)
	dst = append(dst, r.Query...)
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, r.Host...)
	dst = append(dst, '\r', '\n')

	nominates := nominated(r.Fields)
	for _, f := range r.Fields {
		if dropsRequest(f.Name, r.Upgrade) || opt.Generic && fold(f.Name, "X-Forwarded-Host") || nominates && isNominated(r.Fields, f.Name) {
			continue
		}
		dst = appendField(dst, f)
	}
	if r.Upgrade {
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	}
	if r.Expect100 && r.Body != nil {
		dst = append(dst, "Expect: 100-continue\r\n"...)
	}
	dst = appendLength(dst, r)
	if opt.Token != "" && !opt.Generic {
		dst = append(dst, tokenField+": "...)
		dst = append(dst, opt.Token...)
		dst = append(dst, '\r', '\n')
	}
	if len(r.ClientCertificate) > 0 && !opt.Generic {
		dst = append(dst, certificateField+": "...)
		dst = append(dst, r.ClientCertificate...)
		dst = append(dst, '\r', '\n')
	}
	dst = appendForwarded(dst, r, nominates, opt.Generic)
	return append(dst, '\r', '\n')
}

func appendField(dst []byte, f Field) []byte {
	dst = append(dst, f.Name...)
	dst = append(dst, ':', ' ')
	dst = append(dst, f.Value...)
	return append(dst, '\r', '\n')
}

// appendLength frames the body. A method that usually has one says that it has none (RFC 9110 8.6).
func appendLength(dst []byte, r *Request) []byte {
	switch {
	case r.ContentLength < 0:
		return append(dst, "Transfer-Encoding: chunked\r\n"...)
	case r.ContentLength == 0:
		switch string(r.Method) {
		case "GET", "HEAD", "OPTIONS", "DELETE":
			return dst
		}
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, r.ContentLength, 10)
	return append(dst, '\r', '\n')
}

// appendForwarded adds the client to what earlier proxies said, each in one field (FWD-4, FWD-5). Where a trusted proxy
// has said it, nothing is added, and no Connection field takes it away. Most servers take no port in X-Forwarded-For, and
// learn the host name that the client has used from a field that ASP.NET Core Module never sends (FWD-6).
func appendForwarded(dst []byte, r *Request, nominates, generic bool) []byte {
	dst = appendList(dst, r, "X-Forwarded-For", nominates && !r.ClientTold)
	if r.ClientTold {
		dst = dst[:len(dst)-len(", ")]
	} else {
		dst = appendClient(dst, r.Client, !generic)
	}
	dst = append(dst, '\r', '\n')
	dst = appendList(dst, r, "X-Forwarded-Proto", nominates && !r.SchemeTold)
	switch {
	case r.SchemeTold:
		dst = dst[:len(dst)-len(", ")]
	case r.Secure:
		dst = append(dst, "https"...)
	default:
		dst = append(dst, "http"...)
	}
	if generic {
		dst = append(dst, "\r\nX-Forwarded-Host: "...)
		dst = append(dst, r.Host...)
	}
	return append(dst, '\r', '\n')
}

func appendClient(dst []byte, client netip.AddrPort, withPort bool) []byte {
	addr := client.Addr().Unmap().WithZone("")
	switch {
	case !addr.IsValid():
		return append(dst, "unknown"...)
	case withPort:
		return netip.AddrPortFrom(addr, client.Port()).AppendTo(dst)
	}
	return addr.AppendTo(dst)
}

// appendList begins a field with the values that the client's fields of this name have, a comma after each.
func appendList(dst []byte, r *Request, name string, nominates bool) []byte {
	dst = append(dst, name...)
	dst = append(dst, ':', ' ')
	for _, f := range r.Fields {
		if len(f.Name) == len(name) && len(f.Value) > 0 && bytes.IndexByte(f.Name, '_') < 0 && fold(f.Name, name) {
			if nominates && isNominated(r.Fields, f.Name) {
				continue
			}
			dst = append(dst, f.Value...)
			dst = append(dst, ',', ' ')
		}
	}
	return dst
}

// appendBody appends a body that is here already. It is kept small: what is large is streamed.
func appendBody(dst []byte, r *Request) (head []byte, inline bool) {
	const most = 16 << 10
	if r.Body == nil {
		return dst, true
	}
	if r.Upgrade || r.Owed() || r.ContentLength > most {
		return dst, false
	}
	end := len(dst) + int(r.ContentLength)
	for len(dst) < end {
		if cap(dst) < end {
			dst = append(make([]byte, 0, end), dst...)
		}
		k, err := r.Body.Read(dst[len(dst):end])
		if dst = dst[:len(dst)+k]; k == 0 && err != nil {
			return dst, false // cannot be: Buffered has promised n bytes
		}
	}
	return dst, true
}

// fold compares a name with one of ours, without regard to case and with '_' taken for '-': servers in the manner of
// CGI make the same variable of both.
func fold(name []byte, ours string) bool {
	if len(name) != len(ours) {
		return false
	}
	for i, c := range name {
		if d := ours[i]; c != d && c|0x20 != d|0x20 && (c != '_' || d != '-') {
			return false
		}
	}
	return true
}

// dropsRequest says what of the client's never passes: what is about its connection to us, what we write ourselves,
// and everything that only IIS may say (FWD-2, FWD-9).
func dropsRequest(name []byte, upgrade bool) bool {
	if isOurs(name) {
		return true
	}
	switch len(name) {
	case 2:
		return fold(name, "TE")
	case 4:
		return fold(name, "Host")
	case 6:
		return fold(name, "Expect")
	case 7:
		return fold(name, "Upgrade") || fold(name, "Trailer")
	case 10:
		return fold(name, "Connection") || fold(name, "Keep-Alive")
	case 14:
		return fold(name, "Content-Length") || fold(name, "HTTP2-Settings")
	case 15:
		return fold(name, "X-Forwarded-For")
	case 16:
		return fold(name, "Proxy-Connection")
	case 17:
		return fold(name, "Transfer-Encoding") || fold(name, "X-Forwarded-Proto")
	case 24:
		return upgrade && fold(name, "Sec-WebSocket-Extensions")
	}
	return false
}

// isOurs matches everything that starts with MS-ASPNETCORE, the bare name included.
func isOurs(name []byte) bool {
	const prefix = "MS-ASPNETCORE"
	return len(name) >= len(prefix) && name[0]|0x20 == 'm' && fold(name[:len(prefix)], prefix)
}

// nominated reports whether a Connection field names anything but the three options that mean the connection itself.
func nominated(fields []Field) bool {
	for _, f := range fields {
		if !h1.EqualFold(f.Name, "connection") {
			continue
		}
		for list := f.Value; len(list) > 0; {
			var option []byte
			option, list = h1.NextElement(list)
			if len(option) > 0 && !h1.EqualFold(option, "close") && !h1.EqualFold(option, "keep-alive") && !h1.EqualFold(option, "upgrade") {
				return true
			}
		}
	}
	return false
}

// isNominated reports whether a Connection field names this one (RFC 9110 7.6.1).
func isNominated(fields []Field, name []byte) bool {
	for _, f := range fields {
		if !h1.EqualFold(f.Name, "connection") {
			continue
		}
		for list := f.Value; len(list) > 0; {
			var option []byte
			if option, list = h1.NextElement(list); bytes.EqualFold(option, name) {
				return true
			}
		}
	}
	return false
}

// filterAnswer keeps what may go to the client, in place: nothing about our connection to the instance, no framing, no
// Date (ours is sent, FWD-21), and nothing that shows the pairing token, not even as a name or as the reason phrase.
func filterAnswer(a *h1.Response, token string) []Field {
	kept := a.Fields[:0]
	nominates := nominated(a.Fields)
	var connection [4]Field
	options := connection[:0]
	if nominates { // filtering in place overwrites what is compared with
		for _, f := range a.Fields {
			if h1.EqualFold(f.Name, "connection") {
				options = append(options, f)
			}
		}
	}
	if leaks(a.Reason, token) {
		a.Reason = nil
	}
	for _, f := range a.Fields {
		if dropsAnswer(f.Name) || nominates && isNominated(options, f.Name) || leaks(f.Value, token) || names(f.Name, token) {
			continue
		}
		kept = append(kept, f)
	}
	return kept
}

// dress adds what the application's rules want in every final answer, and takes out of it what they do not.
func (o *Options) dress(fields []Field) []Field {
	if o.NoServer {
		fields = slices.DeleteFunc(fields, func(f Field) bool { return fold(f.Name, "Server") })
	}
	if o.Cookie != "" {
		fields = append(fields, Field{Name: []byte("Set-Cookie"), Value: []byte(o.Cookie)})
	}
	return append(fields, o.Add...)
}

// ErrorField carries the bare code of an answer that is ours and not the application's; one that an application sends does
// not pass.
const ErrorField = "X-Ancora-Error"

func dropsAnswer(name []byte) bool {
	if isOurs(name) {
		return true
	}
	switch len(name) {
	case 2:
		return fold(name, "TE")
	case 4:
		return fold(name, "Date")
	case 7:
		return fold(name, "Upgrade") || fold(name, "Trailer")
	case 10:
		return fold(name, "Connection") || fold(name, "Keep-Alive")
	case 14:
		return fold(name, "Content-Length") || fold(name, ErrorField)
	case 16:
		return fold(name, "Proxy-Connection")
	case 17:
		return fold(name, "Transfer-Encoding")
	case 24:
		return fold(name, "Sec-WebSocket-Extensions")
	}
	return false
}

// isEventStream reports whether an answer says that it is one of those that never end by themselves.
func isEventStream(fields []Field) bool {
	const kind = "text/event-stream"
	for _, f := range fields {
		if h1.EqualFold(f.Name, "content-type") {
			value, _, _ := bytes.Cut(f.Value, []byte(";"))
			return h1.EqualFold(h1.Trim(value), kind)
		}
	}
	return false
}

// names reports whether a name shows the token, in whatever case: many libraries choose their own for names.
func names(name []byte, token string) bool {
	if token == "" {
		return false
	}
	for ; len(name) >= len(token); name = name[1:] {
		if fold(name[:len(token)], token) {
			return true
		}
	}
	return false
}

// leaks reports whether a value shows the token, in any surroundings.
func leaks(value []byte, token string) bool {
	if token == "" {
		return false
	}
	for ; len(value) >= len(token); value = value[1:] {
		if string(value[:len(token)]) == token {
			return true
		}
	}
	return false
}
