package proxyproto

import (
	"errors"
	"strings"
	"testing"
)

// v2 makes a header of version 2; length is that of rest.
func v2(command, family byte, rest string) string {
	return signature + string([]byte{command, family, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const (
	inet  = "\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x67\x00\x50"
	inet6 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x12\x67\x01\xbb"
	tlv   = "\x01\x00\x02h2\x04\x00\x03\x00\x00\x00"
)

// Headers that the specification allows, and whom they name; none: who has connected.
func TestHeaders(t *testing.T) {
	long := "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535 " + strings.Repeat("x", maxLine-60) + "\r\n"
	for name, tt := range map[string]struct{ header, client string }{
		"own":                    {string(Own("a secret")), ""},
		"v1 IPv4":                {"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n", "192.0.2.7:4711"},
		"v1 IPv4, longest":       {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
		"v1 IPv6":                {"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n", "[2001:db8::7]:4711"},
		"v1 IPv4 in IPv6":        {"PROXY TCP6 ::ffff:192.0.2.7 ::1 4711 443\r\n", "192.0.2.7:4711"},
		"v1 port 0":              {"PROXY TCP4 192.0.2.7 10.0.0.1 0 0\r\n", "192.0.2.7:0"},
		"v1 unknown":             {"PROXY UNKNOWN\r\n", ""},
		"v1 unknown, more":       {"PROXY UNKNOWN whatever follows\r\n", ""},
		"v1 unknown, longest":    {long[:maxLine-2] + "\r\n", ""},
		"v2 IPv4":                {v2(0x21, 0x11, inet), "192.0.2.7:4711"},
		"v2 IPv4, TLVs":          {v2(0x21, 0x11, inet+tlv), "192.0.2.7:4711"},
		"v2 IPv6":                {v2(0x21, 0x21, inet6), "[2001:db8::7]:4711"},
		"v2 IPv6, as large as":   {v2(0x21, 0x21, inet6+strings.Repeat("x", MaxSize-fixedSize-len(inet6))), "[2001:db8::7]:4711"},
		"v2 unix":                {v2(0x21, 0x31, strings.Repeat("\x00", 216)), ""},
		"v2 unspecified":         {v2(0x21, 0x00, ""), ""},
		"v2 unspecified, TLVs":   {v2(0x21, 0x00, tlv), ""},
		"v2 local":               {v2(0x20, 0x00, ""), ""},
		"v2 local, with a block": {v2(0x20, 0x11, inet), ""},
		"v2 local, of anything":  {v2(0x20, 0xff, "x"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			for n := range len(tt.header) {
				if _, err := Parse([]byte(tt.header[:n])); !errors.Is(err, ErrIncomplete) {
					t.Fatalf("the first %d bytes: %v", n, err)
				}
			}
			for _, more := range []string{"", "GET / HTTP/1.1\r\n", tt.header} {
				h, err := Parse([]byte(tt.header + more))
				if err != nil || h.Size != len(tt.header) {
					t.Fatalf("%+v %v", h, err)
				}
				if (h.Own == "a secret") != (name == "own") {
					t.Errorf("own %q", h.Own)
				}
				if h.Client.IsValid() != (tt.client != "") || tt.client != "" && h.Client.String() != tt.client {
					t.Errorf("client %v, want %q", h.Client, tt.client)
				}
			}
		})
	}
}

// What is no header is refused with the first byte that shows it.
func TestRefused(t *testing.T) {
	for name, header := range map[string]string{
		"a request":             "G",
		"a TLS hello":           "\x16",
		"lower case":            "p",
		"another signature":     "\r\n\r\n\x00\r\nQUIX",
		"v1 without a family":   "PROXY \r\n",
		"v1 families":           "PROXY TCP5 192.0.2.7 10.0.0.1 4711 80\r\n",
		"v1 UDP":                "PROXY UDP4 192.0.2.7 10.0.0.1 4711 80\r\n",
		"v1 lower case":         "PROXY tcp4 192.0.2.7 10.0.0.1 4711 80\r\n",
		"v1 unknown and more":   "PROXY UNKNOWNS\r\n",
		"v1 wrong family":       "PROXY TCP4 ::1 ::1 4711 80\r\n",
		"v1 wrong family, 6":    "PROXY TCP6 192.0.2.7 10.0.0.1 4711 80\r\n",
		"v1 mixed":              "PROXY TCP4 192.0.2.7 ::1 4711 80\r\n",
		"v1 two spaces":         "PROXY TCP4 192.0.2.7  10.0.0.1 4711 80\r\n",
		"v1 space at the end":   "PROXY TCP4 192.0.2.7 10.0.0.1 4711 80 \r\n",
		"v1 tab":                "PROXY TCP4\t192.0.2.7 10.0.0.1 4711 80\r\n",
		"v1 missing port":       "PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n",
		"v1 zeros":              "PROXY TCP4 192.0.2.7 10.0.0.1 04711 80\r\n",
		"v1 sign":               "PROXY TCP4 192.0.2.7 10.0.0.1 +4711 80\r\n",
		"v1 large port":         "PROXY TCP4 192.0.2.7 10.0.0.1 65536 80\r\n",
		"v1 long port":          "PROXY TCP4 192.0.2.7 10.0.0.1 100000 80\r\n",
		"v1 large address":      "PROXY TCP4 192.0.2.256 10.0.0.1 4711 80\r\n",
		"v1 zeros in address":   "PROXY TCP4 192.0.2.07 10.0.0.1 4711 80\r\n",
		"v1 zone":               "PROXY TCP6 fe80::1%eth0 ::1 4711 80\r\n",
		"v1 name":               "PROXY TCP4 localhost 10.0.0.1 4711 80\r\n",
		"v1 bare LF":            "PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\n\r\n",
		"v1 too long":           "PROXY UNKNOWN" + strings.Repeat(" ", maxLine-13),
		"v1 too long, with end": "PROXY UNKNOWN" + strings.Repeat(" ", maxLine-14) + "\r\n",
		"v2 version 1":          signature + "\x11",
		"v2 version 3":          signature + "\x31",
		"v2 command 2":          signature + "\x22",
		"v2 family 4":           signature + "\x21\x41\x00\x0c",
		"v2 transport 3":        signature + "\x21\x13\x00\x0c",
		"v2 datagrams":          signature + "\x21\x12\x00\x0c",
		"v2 short IPv4":         v2(0x21, 0x11, inet[:11]),
		"v2 short IPv6":         v2(0x21, 0x21, inet6[:35]),
		"v2 short unix":         v2(0x21, 0x31, strings.Repeat("\x00", 215)),
		"v2 too large":          signature + "\x21\x11\x02\x09",
		"v2 largest":            signature + "\x20\x00\xff\xff",
	} {
		for _, more := range []string{"", "\r\n", "x"} {
			if h, err := Parse([]byte(header + more)); err == nil || errors.Is(err, ErrIncomplete) {
				t.Errorf("%s: %+v %v", name, h, err)
			}
		}
	}
}

// FuzzParse: a header is read the same whatever follows it, is incomplete before its last byte, and a refusal is final.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n", "PROXY TCP6 2001:db8::7 ::1 4711 80\r\n", "PROXY UNKNOWN x\r\n",
		v2(0x21, 0x11, inet+tlv), v2(0x21, 0x21, inet6), v2(0x20, 0, ""), v2(0x21, 0x31, strings.Repeat("a", 216)), "GET / HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(seed), 5)
	}
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		h, err := Parse(b)
		switch {
		case err == nil:
			if h.Size < 15 || h.Size > MaxSize || h.Size > len(b) {
				t.Fatalf("%q: %+v", b, h)
			}
			if again, err := Parse(b[:h.Size]); err != nil || again != h {
				t.Fatalf("%q: %+v alone, %+v with more, %v", b, again, h, err)
			}
			if cut >= 0 && cut < h.Size {
				if _, err := Parse(b[:cut]); !errors.Is(err, ErrIncomplete) {
					t.Fatalf("%q: %v after %d bytes", b, err, cut)
				}
			}
			if a := h.Client.Addr(); a.Is4In6() || a.Zone() != "" {
				t.Fatalf("%q: %v", b, h.Client)
			}
		case errors.Is(err, ErrIncomplete):
			if len(b) >= MaxSize {
				t.Fatalf("%q waits for more", b)
			}
		default:
			if _, more := Parse(append(b[:len(b):len(b)], "\r\n"...)); more == nil || errors.Is(more, ErrIncomplete) {
				t.Fatalf("%q: %v, then %v", b, err, more)
			}
		}
	})
}
