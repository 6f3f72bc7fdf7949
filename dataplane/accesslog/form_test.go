package accesslog

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

var origin = &Origin{Site: "shop", Computer: "web1", Software: "ancora v1"}

func usual() *Entry {
	return &Entry{
		Begin: time.Date(2026, 11, 26, 17, 3, 4, 567_890_000, time.FixedZone("CET", 3600)), Duration: 12_345_678,
		Client: netip.MustParseAddrPort("192.0.2.7:50000"), Local: netip.MustParseAddrPort("198.51.100.1:443"),
		Method: []byte("GET"), Host: []byte("shop.example"), Path: []byte("/cart"), Query: []byte("?id=7&x=a+b"), Protocol: "HTTP/1.1",
		Status: 200, Received: 321, Sent: 4567, Payload: 4321, UserAgent: []byte("Mozilla/5.0 (X11)"), Referer: []byte("https://a.example/b c"),
		TraceParent: []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
	}
}

func TestForms(t *testing.T) {
	hostile := usual()
	hostile.Method, hostile.Path, hostile.Query = []byte("GET\" 200"), []byte("/a\r\nb\"\\\x00"), []byte("?\xff\u2028\u009b ")
	hostile.UserAgent, hostile.Referer, hostile.Host = []byte("x\ty \x1b[31m"), []byte("é"), []byte("")
	bare := &Entry{Begin: time.Unix(0, 0), Method: []byte("GET"), Path: []byte("/"), Protocol: "HTTP/2", Aborted: true, TraceParent: []byte("00-x")}
	page := usual()
	page.Status, page.Substatus, page.Query, page.TraceParent = 502, 5, nil, nil
	page.Client = netip.MustParseAddrPort("[fe80::1%eth0]:1")
	for _, tt := range []struct {
		name, json, combined, w3c string
		entry                     *Entry
	}{
		{"usual",
			`{"time":"2026-11-26T16:03:04.567Z","client":"192.0.2.7","method":"GET","host":"shop.example","path":"/cart","query":"id=7&x=a+b","protocol":"HTTP/1.1","status":200,"bytesIn":321,"bytesOut":4567,"durationMs":12.346,"userAgent":"Mozilla/5.0 (X11)","referer":"https://a.example/b c","traceId":"0af7651916cd43dd8448eb211c80319c"}`,
			`192.0.2.7 - - [26/Nov/2026:16:03:04 +0000] "GET /cart?id=7&x=a+b HTTP/1.1" 200 4321 "https://a.example/b c" "Mozilla/5.0 (X11)"`,
			`2026-11-26 16:03:04 shop web1 198.51.100.1 GET /cart id=7&x=a+b 443 - 192.0.2.7 HTTP/1.1 Mozilla/5.0+(X11) https://a.example/b+c shop.example 200 0 0 4567 321 12`,
			usual()},
		{"hostile",
			`{"time":"2026-11-26T16:03:04.567Z","client":"192.0.2.7","method":"GET\" 200","host":"","path":"/a\u000d\u000ab\"\\\u0000","query":"\ufffd\u2028\u009b ","protocol":"HTTP/1.1","status":200,"bytesIn":321,"bytesOut":4567,"durationMs":12.346,"userAgent":"x\u0009y \u001b[31m","referer":"é","traceId":"0af7651916cd43dd8448eb211c80319c"}`,
			`192.0.2.7 - - [26/Nov/2026:16:03:04 +0000] "GET\" 200 /a\x0d\x0ab\"\\\x00?\xff\xe2\x80\xa8\xc2\x9b  HTTP/1.1" 200 4321 "\xc3\xa9" "x\x09y \x1b[31m"`,
			`2026-11-26 16:03:04 shop web1 198.51.100.1 GET"+200 /a%0d%0ab"\%00 %ff%e2%80%a8%c2%9b+ 443 - 192.0.2.7 HTTP/1.1 x+y+%1b[31m é - 200 0 0 4567 321 12`,
			hostile},
		{"bare",
			`{"time":"1970-01-01T00:00:00.000Z","client":"-","method":"GET","host":"","path":"/","query":"","protocol":"HTTP/2","status":499,"bytesIn":0,"bytesOut":0,"durationMs":0.000,"aborted":true}`,
			`- - - [01/Jan/1970:00:00:00 +0000] "GET / HTTP/2" 499 - "-" "-"`,
			`1970-01-01 00:00:00 shop web1 - GET / - 0 - - HTTP/2 - - - 499 0 0 0 0 0`,
			bare},
		{"page",
			`{"time":"2026-11-26T16:03:04.567Z","client":"fe80::1","method":"GET","host":"shop.example","path":"/cart","query":"","protocol":"HTTP/1.1","status":502,"substatus":5,"bytesIn":321,"bytesOut":4567,"durationMs":12.346,"userAgent":"Mozilla/5.0 (X11)","referer":"https://a.example/b c"}`,
			`fe80::1 - - [26/Nov/2026:16:03:04 +0000] "GET /cart HTTP/1.1" 502 4321 "https://a.example/b c" "Mozilla/5.0 (X11)"`,
			`2026-11-26 16:03:04 shop web1 198.51.100.1 GET /cart - 443 - fe80::1 HTTP/1.1 Mozilla/5.0+(X11) https://a.example/b+c shop.example 502 5 0 4567 321 12`,
			page},
	} {
		for form, want := range map[site.AccessLog]string{site.AccessLogJSON: tt.json, site.AccessLogCombined: tt.combined, site.AccessLogW3C: tt.w3c} {
			if got := string(Append(nil, form, origin, tt.entry)); got != want+"\n" {
				t.Errorf("%s %s:\n got %s\nwant %s", tt.name, form, got, want)
			}
		}
	}
	if got := Append(nil, site.AccessLogOff, origin, usual()); len(got) > 0 {
		t.Errorf("off: %s", got)
	}
}

func TestW3CHeader(t *testing.T) {
	want := "#Software: ancora v1\n#Version: 1.0\n#Date: 2026-11-26 16:03:04\n#Fields: " + w3cFields + "\n"
	if got := string(appendW3CHeader(nil, origin, usual().Begin)); got != want {
		t.Errorf("%q", got)
	}
	line := string(Append(nil, site.AccessLogW3C, origin, usual()))
	if names, values := strings.Fields(w3cFields), strings.Fields(line); len(names) != len(values) {
		t.Errorf("%d names for %d values", len(names), len(values))
	}
}

func TestTraceID(t *testing.T) {
	const id = "0af7651916cd43dd8448eb211c80319c"
	for parent, want := range map[string]string{
		"00-" + id + "-b7ad6b7169203331-01":                      id,
		"01-" + id + "-b7ad6b7169203331-01-more":                 id,
		"00-" + id + "-b7ad6b7169203331-01-more":                 "",
		"01-" + id + "-b7ad6b7169203331-01more":                  "",
		"ff-" + id + "-b7ad6b7169203331-01":                      "",
		"00-" + strings.ToUpper(id) + "-b7ad6b7169203331-01":     "",
		"00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01": "",
		"00-" + id + "-b7ad6b7169203331":                         "",
		"":                                                       "",
		strings.Repeat("-", 55):                                  "",
	} {
		if got := string(traceID([]byte(parent))); got != want {
			t.Errorf("%s: %q", parent, got)
		}
	}
}

func FuzzForms(f *testing.F) {
	f.Add([]byte("GET"), []byte("a.example"), []byte("/"), []byte("?q"), []byte("agent"), []byte("ref"), uint16(200), 1)
	f.Add([]byte("\r\n"), []byte("\x00"), []byte("/\xff\xfe"), []byte("?\u2028\""), []byte("\x1b[2J"), []byte("\\"), uint16(0), 9000)
	f.Fuzz(func(t *testing.T, method, host, path, query, agent, referer []byte, status uint16, times int) {
		times = min(max(times, 1), 20_000)
		e := &Entry{
			Begin: time.Unix(int64(status), 0), Method: method, Host: host, Path: bytes.Repeat(path, min(times, 1+64<<10/(1+len(path)))), Query: query,
			UserAgent: bytes.Repeat(agent, min(times, 1+64<<10/(1+len(agent)))), Referer: referer, Protocol: "HTTP/1.1", Status: int(status), TraceParent: referer,
		}
		for _, form := range []site.AccessLog{site.AccessLogJSON, site.AccessLogCombined, site.AccessLogW3C} {
			line := Append(nil, form, origin, e)
			check(t, form, line)
			switch form {
			case site.AccessLogJSON:
				var got map[string]any
				if err := json.Unmarshal(line, &got); err != nil {
					t.Fatalf("%v: %q", err, line)
				}
			case site.AccessLogW3C:
				if n := bytes.Count(line, []byte{' '}); n != strings.Count(w3cFields, " ") {
					t.Fatalf("%d spaces: %q", n, line)
				}
			}
		}
	})
}

// check says what no line may hold.
func check(t *testing.T, form site.AccessLog, line []byte) {
	t.Helper()
	if len(line) >= 64<<10 || !utf8.Valid(line) || line[len(line)-1] != '\n' {
		t.Fatalf("%s: %d bytes: %.200q", form, len(line), line)
	}
	for _, r := range string(line[:len(line)-1]) {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 {
			t.Fatalf("%s: %q in %.200q", form, r, line)
		}
	}
}

func TestFormsDoNotAllocate(t *testing.T) {
	e, buf := usual(), make([]byte, 0, 4096)
	for _, form := range []site.AccessLog{site.AccessLogJSON, site.AccessLogCombined, site.AccessLogW3C} {
		if n := testing.AllocsPerRun(100, func() { Append(buf, form, origin, e) }); n > 0 {
			t.Errorf("%s: %v allocations", form, n)
		}
	}
}

func BenchmarkForms(b *testing.B) {
	for _, form := range []site.AccessLog{site.AccessLogJSON, site.AccessLogCombined, site.AccessLogW3C} {
		b.Run(string(form), func(b *testing.B) {
			e, buf := usual(), make([]byte, 0, 4096)
			for b.Loop() {
				Append(buf, form, origin, e)
			}
		})
	}
}
