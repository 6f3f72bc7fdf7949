package h2

import (
	"slices"
	"strings"

	"golang.org/x/net/http2/hpack"
)

const (
	scheme    = ":scheme: http\n"
	authority = ":authority: shop.example\n"
	at        = scheme + authority + ":path: /a\n"
	get       = ":method: GET\n" + at
	post      = ":method: POST\n" + at

	seesGet  = "GET /a HTTP/1.1\nHost: shop.example\n"
	chunked  = "POST /a HTTP/1.1\nHost: shop.example\nTransfer-Encoding: chunked\n\n"
	protocol = "RST_STREAM PROTOCOL_ERROR"
	refused  = "400|400 " + protocol + "|" + protocol // by us, by net/http, or first the one and then the other
)

func path(p string) string { return ":method: GET\n" + scheme + authority + ":path: " + p + "\n" }

func sees(target string) string { return "GET " + target + " HTTP/1.1\nHost: shop.example\n\n" }

func one(name, value string) []hpack.HeaderField {
	return []hpack.HeaderField{{Name: name, Value: value}}
}

func downgrades() []downgrade {
	return slices.Concat(pseudoCases, authorityCases, pathCases, methodCases, framingCases, fieldCases, trailerCases, sizeCases())
}

// RFC 9113 8.3: pseudo-header fields, each once, before the others, and no unknown ones.
var pseudoCases = []downgrade{
	{name: "two methods", clause: "9113 8.3.1", head: ":method: GET\n" + post, want: protocol},
	{name: "two paths", clause: "9113 8.3.1", head: get + ":path: /b\n", want: protocol},
	{name: "two schemes", clause: "9113 8.3.1", head: get + scheme, want: protocol},
	{name: "two authorities", clause: "9113 8.3.1", head: get + authority, want: protocol},
	{name: "path behind a field", clause: "9113 8.3", head: ":method: GET\n" + scheme + authority + "x-a: 1\n:path: /a\n", want: protocol},
	{name: "unknown", clause: "9113 8.3", head: get + ":evil: 1\n", want: protocol},
	{name: "status", clause: "9113 8.3", head: get + ":status: 200\n", want: protocol},
	{name: "upper case", clause: "9113 8.2.1", head: ":Method: GET\n" + at, want: protocol},
	{name: "no method", clause: "9113 8.3.1", head: at, want: protocol},
	{name: "empty method", clause: "9113 8.3.1", head: ":method: \n" + at, want: protocol},
	{name: "no scheme", clause: "9113 8.3.1", head: ":method: GET\n" + authority + ":path: /a\n", want: protocol},
	{name: "other scheme", clause: "9113 8.3.1", head: ":method: GET\n:scheme: ftp\n" + authority + ":path: /a\n", want: protocol},
	{name: "scheme that ends a line", clause: "9113 10.3", head: ":method: GET\n" + authority + ":path: /a\n", raw: one(":scheme", "http\r\nx-a: 1"), want: protocol},
	{name: "scheme says https", clause: "9113 8.3.1: the connection is in clear text, and X-Forwarded-Proto says so", head: ":method: GET\n:scheme: https\n" + authority + ":path: /a\n", want: "200", sees: seesGet + "\n"},
	{name: "no path", clause: "9113 8.3.1", head: ":method: GET\n" + scheme + authority, want: protocol},
	{name: "in trailers", clause: "9113 8.1", head: post, data: []string{"hello"}, trailer: ":path: /b\n", want: protocol, sees: chunked + "hello", partly: true},
}

// RFC 9113 8.3.1: the authority stands in one place, or in two that say the same.
var authorityCases = []downgrade{
	{name: "host alone", clause: "9113 8.3.1", head: ":method: GET\n" + scheme + ":path: /a\nhost: shop.example\n", want: "200", sees: seesGet + "\n"},
	{name: "host as the authority", clause: "9113 8.3.1", head: get + "host: SHOP.example\n", want: "200", sees: seesGet + "\n"},
	{name: "host other than the authority", clause: "9113 8.3.1", head: get + "host: evil.example\n", want: "400"},
	{name: "two hosts", clause: "9110 7.2", head: ":method: GET\n" + scheme + ":path: /a\nhost: shop.example\nhost: evil.example\n", want: "400"},
	{name: "empty host", clause: "9110 7.2", head: get + "host: \n", want: "400"},
	{name: "neither", clause: "9112 3.2", head: ":method: GET\n" + scheme + ":path: /a\n", want: "400"},
	{name: "user information", clause: "9113 8.3.1", head: ":method: GET\n" + scheme + ":authority: u@shop.example\n:path: /a\n", want: protocol},
	{name: "authority with a path", clause: "9113 10.3", head: ":method: GET\n" + scheme + ":authority: shop.example/b\n:path: /a\n", want: "400"},
	{name: "authority that ends a line", clause: "9113 10.3", head: ":method: GET\n" + scheme + ":path: /a\n", raw: one(":authority", "shop.example\r\nx-a: 1"), want: protocol},
	{name: "authority with a space", clause: "9113 10.3", head: ":method: GET\n" + scheme + ":authority: shop.example evil\n:path: /a\n", want: "400"},
	{name: "list of authorities", clause: "9112 3.2", head: ":method: GET\n" + scheme + ":authority: shop.example, evil.example\n:path: /a\n", want: "400"},
	{name: "port too large", clause: "3986 3.2.3", head: ":method: GET\n" + scheme + ":authority: shop.example:99999\n:path: /a\n", want: "400"},
}

// RFC 9113 8.3.1 and 10.3: what no request line can hold, and the paths that mean two things.
var pathCases = []downgrade{
	{name: "empty path", clause: "9113 8.3.1", head: path(""), want: protocol},
	{name: "path without a slash", clause: "9113 8.3.1", head: path("a"), want: protocol},
	{name: "asterisk", clause: "9113 8.3.1", head: ":method: OPTIONS\n" + scheme + authority + ":path: *\n", want: "400"},
	{name: "asterisk with GET", clause: "9112 3.2.4", head: path("*"), want: "400"},
	{name: "absolute form", clause: "9113 8.3.1", head: path("http://evil.example/a"), want: "400"},
	{name: "two slashes", clause: "9112 3.2.1: a path, and no authority", head: path("//evil.example/a"), want: "200", sees: sees("//evil.example/a")},
	{name: "path with a request line", clause: "9113 10.3", head: path("/a HTTP/1.1"), want: refused},
	{name: "path that ends a line", clause: "9113 10.3", head: ":method: GET\n" + scheme + authority, raw: one(":path", "/a HTTP/1.1\r\nx-a: 1\r\n\r\nGET /b"), want: protocol},
	{name: "path with a line feed", clause: "9113 10.3", head: ":method: GET\n" + scheme + authority, raw: one(":path", "/a\n/b"), want: protocol},
	{name: "path with NUL", clause: "9113 10.3", head: ":method: GET\n" + scheme + authority, raw: one(":path", "/a\x00b"), want: protocol},
	{name: "tab", clause: "9113 10.3", head: path("/a\tb"), want: refused},
	{name: "byte above 127", clause: "3986 2", head: path("/\xc3\xa4"), want: "400"},
	{name: "fragment", clause: "3986 3.5", head: path("/a#b"), want: "400"},
	{name: "encoded NUL", clause: "3986 7.3", head: path("/a%00b"), want: "400"},
	{name: "backslash", clause: "3986 2", head: path(`/a\..\b`), want: "400"},
	{name: "encoded backslash", clause: "3986 7.3", head: path("/a%5c..%5Cb"), want: "400"},
	{name: "encoded line end", clause: "3986 2.1: it stays encoded", head: path("/a%0d%0ax:%20b"), want: "200", sees: sees("/a%0D%0Ax:%20b")},
	{name: "malformed encoding", clause: "3986 2.1", head: path("/%zz"), want: refused},
	{name: "dot segments", clause: "3986 6.2.2.3", head: path("/b/../%2e%2E/../a?c=/../d"), want: "200", sees: sees("/a?c=/../d")},
	{name: "encoded slash", clause: "3986 2.2", head: path("/a%2f..%2Fb"), want: "200", sees: sees("/a%2F..%2Fb")},
	{name: "query with a space", clause: "9113 10.3", head: path("/a?b c"), want: refused},
}

// RFC 9110 9 and 9113 8.5: methods.
var methodCases = []downgrade{
	{name: "method with a space", clause: "9113 10.3", head: ":method: GET /b HTTP/1.1\n" + at, want: refused},
	{name: "method that ends a line", clause: "9113 10.3", head: at, raw: one(":method", "GET /b HTTP/1.1\r\nx-a: 1\r\n\r\nGET"), want: protocol},
	{name: "lower case method", clause: "9110 9.1: methods have case", head: ":method: get\n" + at, want: "200", sees: "get /a HTTP/1.1\nHost: shop.example\nContent-Length: 0\n\n"},
	{name: "TRACE", clause: "9110 9.3.8", head: ":method: TRACE\n" + at, want: "501"},
	{name: "CONNECT", clause: "9113 8.5", head: ":method: CONNECT\n:authority: shop.example:443\n", want: "501"},
	{name: "CONNECT with a path", clause: "9113 8.5", head: ":method: CONNECT\n" + at, want: protocol},
	{name: "extended CONNECT", clause: "8441 4: it was not offered", head: ":method: CONNECT\n:protocol: websocket\n" + at, want: protocol},
	{name: "protocol of a GET", clause: "8441 4", head: get + ":protocol: websocket\n", want: protocol},
	{name: "PRI", clause: "9113 3.4: a method like any other here", head: ":method: PRI\n" + at, want: "200", sees: "PRI /a HTTP/1.1\nHost: shop.example\nContent-Length: 0\n\n"},
	{name: "long method", clause: "9110 9.1", head: ":method: " + strings.Repeat("A", 33) + "\n" + at, want: "501"},
}

// RFC 9113 8.1.1 and 8.2.2: where a body ends is said by the frames, and by nothing else.
var framingCases = []downgrade{
	{name: "length", clause: "9113 8.1.1", head: post + "content-length: 5\n", data: []string{"he", "llo"}, want: "200", sees: "POST /a HTTP/1.1\nHost: shop.example\nContent-Length: 5\n\nhello"},
	{name: "no length", clause: "9113 8.1", head: post, data: []string{"he", "llo"}, want: "200", sees: chunked + "hello"},
	{name: "body of a GET", clause: "9110 9.3.1", head: get, data: []string{"GET /b HTTP/1.1\r\n\r\n"}, want: "200", sees: "GET /a HTTP/1.1\nHost: shop.example\nTransfer-Encoding: chunked\n\nGET /b HTTP/1.1\r\n\r\n"},
	{name: "empty data ends it", clause: "9113 8.1", head: post, data: []string{""}, want: "200", sees: chunked},
	{name: "more than the length", clause: "9113 8.1.1", head: post + "content-length: 2\n", data: []string{"heGET /b HTTP/1.1\r\n\r\n"}, want: protocol, sees: "POST /a HTTP/1.1\nHost: shop.example\nContent-Length: 2\n\nhe", partly: true},
	{name: "more than the length, later", clause: "9113 8.1.1", head: post + "content-length: 2\n", data: []string{"he", "GET /b HTTP/1.1\r\n\r\n"}, want: "200|200 " + protocol + "|" + protocol, sees: "POST /a HTTP/1.1\nHost: shop.example\nContent-Length: 2\n\nhe", partly: true},
	{name: "less than the length", clause: "9113 8.1.1", head: post + "content-length: 9\n", data: []string{"hello"}, want: "400", sees: "POST /a HTTP/1.1\nHost: shop.example\nContent-Length: 9\n\nhello", partly: true},
	{name: "length without a body", clause: "9113 8.1.1", head: post + "content-length: 5\n", want: "400"},
	{name: "length of a GET without a body", clause: "9113 8.1.1", head: get + "content-length: 30\n", want: "400"},
	{name: "no length, but data", clause: "9113 8.1.1", head: post + "content-length: 0\n", data: []string{"GET /b HTTP/1.1\r\n\r\n"}, want: "200|200 " + protocol + "|" + protocol, sees: "POST /a HTTP/1.1\nHost: shop.example\nContent-Length: 0\n\n", partly: true},
	{name: "two lengths", clause: "9110 8.6", head: post + "content-length: 5\ncontent-length: 0\n", data: []string{"hello"}, want: refused},
	{name: "two equal lengths", clause: "9110 8.6", head: post + "content-length: 5\ncontent-length: 5\n", data: []string{"hello"}, want: refused},
	{name: "list of lengths", clause: "9110 8.6", head: post + "content-length: 5, 5\n", data: []string{"hello"}, want: refused},
	{name: "signed length", clause: "9110 8.6", head: post + "content-length: +5\n", data: []string{"hello"}, want: refused},
	{name: "hexadecimal length", clause: "9110 8.6", head: post + "content-length: 0x5\n", data: []string{"hello"}, want: refused},
	{name: "empty length", clause: "9110 8.6", head: post + "content-length: \n", data: []string{"hello"}, want: refused},
	{name: "length over 2^63", clause: "9110 8.6", head: post + "content-length: 18446744073709551621\n", data: []string{"hello"}, want: refused},
	{name: "transfer-encoding", clause: "9113 8.2.2", head: post + "transfer-encoding: chunked\n", data: []string{"0\r\n\r\nGET /b HTTP/1.1\r\n\r\n"}, want: "400"},
	{name: "transfer-encoding and length", clause: "9113 8.2.2", head: post + "content-length: 3\ntransfer-encoding: chunked\n", data: []string{"0\r\n"}, want: "400"},
	{name: "transfer-encoding with an underscore", clause: "3875 4.1.18", head: post + "transfer_encoding: chunked\ncontent_length: 1\n", data: []string{"hello"}, want: "200", sees: chunked + "hello"},
	{name: "expectation", clause: "9110 10.1.1", head: post + "content-length: 5\nexpect: 100-continue\n", data: []string{"hello"}, want: "200", sees: "POST /a HTTP/1.1\nHost: shop.example\nContent-Length: 5\n\nhello"},
	{name: "other expectation", clause: "9110 10.1.1", head: post + "content-length: 5\nexpect: 200-ok\n", data: []string{"hello"}, want: "417"},
}
