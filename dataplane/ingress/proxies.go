package ingress

import (
	"bytes"
	"net/netip"
	"unsafe"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// trusts reports whether what comes from an address is taken at its word about who the client is.
func (l *Listener) trusts(client netip.Addr) bool {
	for _, network := range l.opt.TrustedProxies {
		if network.Contains(client) {
			return true
		}
	}
	return false
}

// believe takes the client and the scheme from what a trusted proxy has said last: entries before that may be anybody's.
// What it has not said, or said badly, stays as the connection has it.
func believe(r *forward.Request) {
	if entry := lastEntry(r.Fields, "x-forwarded-for"); entry != nil {
		if client, ok := parseClient(entry); ok {
			r.Client, r.ClientTold = client, true
		}
	}
	switch entry := lastEntry(r.Fields, "x-forwarded-proto"); {
	case h1.EqualFold(entry, "https"):
		r.Secure, r.SchemeTold = true, true
	case h1.EqualFold(entry, "http"):
		r.Secure, r.SchemeTold = false, true
	}
}

// lastEntry gives the last element of a list that may be spread over several field lines, nil without one. A list that
// ends in a comma has an empty one. The name is in lower case.
func lastEntry(fields []h1.Field, name string) []byte {
	for i := len(fields) - 1; i >= 0; i-- {
		if f := fields[i]; len(f.Value) > 0 && h1.EqualFold(f.Name, name) {
			return h1.Trim(f.Value[bytes.LastIndexByte(f.Value, ',')+1:])
		}
	}
	return nil
}

// longestClient is an IPv6 address that ends in an IPv4 one, in brackets, with a port.
const longestClient = len("[0000:0000:0000:0000:0000:0000:255.255.255.255]:65535")

// parseClient reads an address with or without a port, an IPv6 one with a port in brackets. Without a port it is 0.
// "unknown", names and zones are no addresses.
func parseClient(b []byte) (netip.AddrPort, bool) {
	var none netip.AddrPort
	if len(b) == 0 || len(b) > longestClient || bytes.IndexByte(b, '%') >= 0 {
		return none, false
	}
	host, rest := b, []byte(nil)
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 || bytes.IndexByte(b[:end], ':') < 0 {
			return none, false
		}
		host, rest = b[1:end], b[end+1:]
	} else if colon := bytes.IndexByte(b, ':'); colon >= 0 && bytes.IndexByte(b[colon+1:], ':') < 0 {
		host, rest = b[:colon], b[colon:]
	}
	port, ok := parsePort(rest)
	// A copy would be an allocation per request; the string does not outlive the call, an error that keeps it is dropped.
	addr, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(host), len(host)))
	if err != nil || !ok {
		return none, false
	}
	return netip.AddrPortFrom(addr.Unmap(), port), true
}

// parsePort reads ":PORT" or nothing.
func parsePort(b []byte) (port uint16, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	if b[0] != ':' || len(b) == 1 || len(b) > len(":65535") {
		return 0, false
	}
	n := 0
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return uint16(n), n <= 65535
}
