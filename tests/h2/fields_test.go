package h2

import (
	"fmt"
	"strings"

	"golang.org/x/net/http2/hpack"
)

// RFC 9113 8.2: names and values that a line of HTTP/1.1 cannot hold, and fields that are about one connection.
var fieldCases = []downgrade{
	{name: "connection", clause: "9113 8.2.2", head: get + "connection: ms-aspnetcore-token\n", want: "400"},
	{name: "keep-alive", clause: "9113 8.2.2", head: get + "keep-alive: timeout=5\n", want: "400"},
	{name: "proxy-connection", clause: "9113 8.2.2", head: get + "proxy-connection: keep-alive\n", want: "400"},
	{name: "upgrade", clause: "9113 8.2.2", head: get + "upgrade: websocket\n", want: "400"},
	{name: "http2-settings", clause: "9113 8.2.2: dropped, it means nothing", head: get + "http2-settings: AAMAAABk\n", want: "200", sees: seesGet + "\n"},
	{name: "te", clause: "9113 8.2.2", head: get + "te: trailers\n", want: "200", sees: seesGet + "\n"},
	{name: "other te", clause: "9113 8.2.2", head: get + "te: chunked\n", want: "400"},
	{name: "upper case name", clause: "9113 8.2.1", head: get, raw: one("X-A", "1"), want: protocol},
	{name: "name with a colon", clause: "9113 8.2.1", head: get, raw: one("x-a: 1\r\nx-b", "1"), want: protocol},
	{name: "name with a space", clause: "9113 8.2.1", head: get, raw: one("content-length ", "0"), want: protocol},
	{name: "empty name", clause: "9113 8.2.1", head: get, raw: one("", "1"), want: protocol},
	{name: "name above 127", clause: "9113 8.2.1", head: get, raw: one("x-\xc3", "1"), want: protocol},
	{name: "value that ends a line", clause: "9113 8.2.1", head: get, raw: one("x-a", "1\r\ntransfer-encoding: chunked"), want: protocol},
	{name: "value with a line feed", clause: "9113 8.2.1", head: get, raw: one("x-a", "1\nx-b: 2"), want: protocol},
	{name: "value with CR", clause: "9113 8.2.1", head: get, raw: one("x-a", "1\r"), want: protocol},
	{name: "value with NUL", clause: "9113 8.2.1", head: get, raw: one("x-a", "1\x00"), want: protocol},
	{name: "value with DEL", clause: "9110 5.5", head: get, raw: one("x-a", "1\x7f"), want: protocol},
	{name: "white space around a value", clause: "9113 8.2.1: means nothing in HTTP/1.1", head: get, raw: one("x-a", " \t1 \t"), want: "200", sees: seesGet + "X-A: 1\n\n"},
	{name: "tab and bytes above 127 in a value", clause: "9110 5.5", head: get, raw: one("x-a", "1\t\xc3\xa4"), want: "200", sees: seesGet + "X-A: 1\t\xc3\xa4\n\n"},
	{name: "cookie crumbs", clause: "9113 8.2.3", head: get + "cookie: a=1\nx-a: 1\ncookie: b=2\ncookie: c=3\n", want: "200", sees: seesGet + "Cookie: a=1; b=2; c=3\nX-A: 1\n\n"},
	{name: "fields of one name", clause: "9110 5.3", head: get + "x-b: 1\nx-a: 2\nx-a: 1\n", want: "200", sees: seesGet + "X-A: 2\nX-A: 1\nX-B: 1\n\n"},
	{name: "fields of IIS", clause: "FWD-2", head: get + "ms-aspnetcore-token: a\nms_aspnetcore_event: shutdown\nms-aspnetcore-clientcert: a\n", want: "200", sees: seesGet + "\n"},
	{name: "forwarded fields", clause: "FWD-4", head: get + "x-forwarded-for: 6.6.6.6\nx-forwarded-proto: https\nx_forwarded_for: 7.7.7.7\n", want: "200", sees: seesGet + "6.6.6.6, https, \n"},
}

// RFC 9113 8.1 and 9110 6.5: a trailer section steers nothing.
var trailerCases = []downgrade{
	{name: "trailers", clause: "9110 6.5.1", head: post + "trailer: x-a\n", data: []string{"hello"}, trailer: "x-a: 1\n", want: "200", sees: chunked + "hello"},
	{name: "trailers that frame", clause: "9110 6.5.1", head: post, data: []string{"hello"}, trailer: "content-length: 0\ntransfer-encoding: chunked\nhost: evil.example\n", want: "200", sees: chunked + "hello"},
	{name: "trailers of IIS", clause: "FWD-2", head: post + "trailer: ms-aspnetcore-event\n", data: []string{"hello"}, trailer: "ms-aspnetcore-event: shutdown\n", want: "200", sees: chunked + "hello"},
	{name: "trailers alone", clause: "9113 8.1", head: post, trailer: "x-a: 1\n", want: "200", sees: chunked},
	{name: "trailers before the length", clause: "9113 8.1.1", head: post + "content-length: 9\n", data: []string{"hello"}, trailer: "x-a: 1\n", want: "400", sees: "POST /a HTTP/1.1\nHost: shop.example\nContent-Length: 9\n\nhello", partly: true},
}

// RFC 9113 10.5.1: limits.
func sizeCases() []downgrade {
	many := func(n int) (fields []hpack.HeaderField) {
		for i := range n {
			fields = append(fields, hpack.HeaderField{Name: fmt.Sprintf("x-%02d", i), Value: "1"})
		}
		return fields
	}
	lines := ""
	for _, f := range many(100) {
		lines += strings.ToUpper(f.Name) + ": 1\n"
	}
	return []downgrade{
		{name: "100 fields", clause: "9110 5.4", head: get, raw: many(100), want: "200", sees: seesGet + lines + "\n"},
		{name: "101 fields", clause: "9110 5.4", head: get, raw: many(101), want: "431"},
		{name: "40 KiB in one value", clause: "9110 5.4", head: get, raw: one("x-a", strings.Repeat("a", 40<<10)), want: "200", sees: seesGet + "X-A: " + strings.Repeat("a", 40<<10) + "\n\n"},
		{name: "100 KiB in one value", clause: "9113 10.5.1", head: get, raw: one("x-a", strings.Repeat("a", 100<<10)), want: "431|GOAWAY COMPRESSION_ERROR"},
		{name: "a bomb of indexed fields", clause: "7541 7.3", head: get, raw: repeat(hpack.HeaderField{Name: "x-a", Value: strings.Repeat("a", 3000)}, 200), want: "431"},
		{name: "long target", clause: "9110 4.1", head: path("/" + strings.Repeat("a", 17<<10)), want: "414"},
	}
}

func repeat(f hpack.HeaderField, n int) (fields []hpack.HeaderField) {
	for range n {
		fields = append(fields, f)
	}
	return fields
}
