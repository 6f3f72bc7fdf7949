package proxyproto

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// The fixed part of version 2 (section 2.2): signature, version and command, family and transport, length of the rest.
const (
	fixedSize = 16

	commandLocal = 0x20
	commandProxy = 0x21

	familyUnspec = 0x0
	familyInet   = 0x1
	familyInet6  = 0x2
	familyUnix   = 0x3

	transportUnspec = 0x0
	transportStream = 0x1
	transportDgram  = 0x2

	// typeOwn is of the types that are left to applications (section 2.2.8); type and length stand before a value.
	typeOwn       = 0xe0
	valueOverhead = 3
)

// addressSizes is how many bytes of addresses each family has: both addresses and, but for unix sockets, both ports.
var addressSizes = [...]int{familyUnspec: 0, familyInet: 12, familyInet6: 36, familyUnix: 216}

// Own makes the header of a connection that the listener's own program opens, by which it knows it again: version 2, LOCAL,
// and a secret of at most 252 bytes.
func Own(secret string) []byte {
	b := append([]byte(signature), commandLocal, familyUnspec<<4|transportUnspec, 0, byte(valueOverhead+len(secret)), typeOwn, 0, byte(len(secret)))
	return append(b, secret...)
}

// own is the secret of a header that Own made.
func own(b []byte) string {
	if len(b) > valueOverhead && b[0] == typeOwn && int(binary.BigEndian.Uint16(b[1:])) == len(b)-valueOverhead {
		return string(b[valueOverhead:])
	}
	return ""
}

// parseBinary reads version 2. What follows the addresses, more about the connection, is not looked at.
func parseBinary(b []byte) (Header, error) {
	if len(b) < fixedSize {
		if len(b) > len(signature) && b[12] != commandLocal && b[12] != commandProxy {
			return Header{}, fmt.Errorf("proxyproto: version and command %#02x", b[12])
		}
		return Header{}, ErrIncomplete
	}
	length := int(binary.BigEndian.Uint16(b[14:]))
	h := Header{Size: fixedSize + length}
	family, transport := b[13]>>4, b[13]&0xf
	switch {
	case b[12] != commandLocal && b[12] != commandProxy:
		return Header{}, fmt.Errorf("proxyproto: version and command %#02x", b[12])
	case h.Size > MaxSize:
		return Header{}, fmt.Errorf("proxyproto: a header of %d bytes, at most %d are read", h.Size, MaxSize)
	case b[12] == commandLocal: // family and addresses mean nothing then
	case family > familyUnix || transport > transportDgram:
		return Header{}, fmt.Errorf("proxyproto: family and transport %#02x", b[13])
	case transport == transportDgram:
		return Header{}, fmt.Errorf("proxyproto: datagrams (%#02x) on a connection", b[13])
	case transport != transportUnspec && length < addressSizes[family]:
		return Header{}, fmt.Errorf("proxyproto: %d bytes for the addresses of family %d", length, family)
	}
	if len(b) < h.Size {
		return Header{}, ErrIncomplete
	}
	if b[12] == commandLocal && family == familyUnspec {
		h.Own = own(b[fixedSize:h.Size])
	}
	if b[12] == commandProxy && transport == transportStream {
		h.Client = source(family, b[fixedSize:])
	}
	return h, nil
}

// source is the first address with the first port; none of unix sockets and of what is not specified.
func source(family byte, b []byte) netip.AddrPort {
	switch family {
	case familyInet:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[8:]))
	case familyInet6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), binary.BigEndian.Uint16(b[32:]))
	}
	return netip.AddrPort{}
}
