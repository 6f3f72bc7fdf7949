// Package proxyproto reads the header that a proxy puts before a connection to say who is at its other end: versions 1
// and 2 of the PROXY protocol (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). It is strict, does no I/O,
// and never takes anything else for a header.
package proxyproto

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
)

// MaxSize is how many bytes a header may have. The specification lets version 2 have 65,551; senders that stay in the
// first segment of a connection, as it asks of them, have at most 536.
const MaxSize = 536

// maxLine is the longest header of version 1, its CRLF included (section 2.1).
const maxLine = 107

// ErrIncomplete says that what there is may become a header.
var ErrIncomplete = errors.New("proxyproto: the header is not whole")

// errNone is for what is no header of either version.
var errNone = errors.New("proxyproto: no header")

const (
	line      = "PROXY "
	signature = "\r\n\r\n\x00\r\nQUIT\n"
)

// Header is what a proxy has said.
type Header struct {
	// Client is the other end of the proxy's connection. It is the zero value where the proxy speaks for itself (LOCAL) or
	// does not know (UNKNOWN, UNSPEC, unix sockets): then the client is who has connected.
	Client netip.AddrPort
	// Own is what Own was given, where the header is of its making.
	Own string
	// Size is how many bytes the header has; what follows is the client's.
	Size int
}

// Parse reads the header that b starts with. The error is ErrIncomplete when more bytes are needed; any other is final.
func Parse(b []byte) (Header, error) {
	switch {
	case startsLike(b, line):
		return parseLine(b)
	case startsLike(b, signature):
		return parseBinary(b)
	}
	return Header{}, errNone
}

// startsLike reports whether b starts with all of prefix, or is the start of it.
func startsLike(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

// parseLine reads version 1: PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT, or PROXY UNKNOWN and whatever follows.
func parseLine(b []byte) (Header, error) {
	end := bytes.Index(b[:min(len(b), maxLine)], []byte("\r\n"))
	if end < 0 {
		if len(b) >= maxLine {
			return Header{}, fmt.Errorf("proxyproto: a line of more than %d bytes", maxLine)
		}
		return Header{}, ErrIncomplete
	}
	h := Header{Size: end + len("\r\n")}
	rest := string(b[len(line):end])
	if rest == "UNKNOWN" || len(rest) > len("UNKNOWN") && rest[:len("UNKNOWN")+1] == "UNKNOWN " {
		return h, nil
	}
	parts := bytes.Split(b[len(line):end], []byte(" "))
	if len(parts) != 5 {
		return Header{}, fmt.Errorf("proxyproto: %d words in a line, not 5", len(parts))
	}
	source, err := endpoint(parts[0], parts[1], parts[3])
	if err != nil {
		return Header{}, err
	}
	if _, err := endpoint(parts[0], parts[2], parts[4]); err != nil {
		return Header{}, err
	}
	h.Client = source
	return h, nil
}

// endpoint reads an address of the family, and a port without leading zeros (section 2.1).
func endpoint(family, address, port []byte) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(string(address))
	switch {
	case err != nil || addr.Zone() != "":
		return netip.AddrPort{}, fmt.Errorf("proxyproto: %q is no address", address)
	case string(family) != "TCP4" && string(family) != "TCP6":
		return netip.AddrPort{}, fmt.Errorf("proxyproto: family %q", family)
	case addr.Is4() != (string(family) == "TCP4"):
		return netip.AddrPort{}, fmt.Errorf("proxyproto: %q is not of %s", address, family)
	}
	n := 0
	for i, c := range port {
		if c < '0' || c > '9' || i == 5 || i > 0 && n == 0 {
			return netip.AddrPort{}, fmt.Errorf("proxyproto: %q is no port", port)
		}
		n = n*10 + int(c-'0')
	}
	if len(port) == 0 || n > 65535 {
		return netip.AddrPort{}, fmt.Errorf("proxyproto: %q is no port", port)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), nil
}
