package accesslog

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// appendJSON writes one object: time (RFC 3339, milliseconds, UTC, of the begin), client, method, host, path, query,
// protocol, status, substatus where there is one, bytesIn, bytesOut, durationMs, aborted where it was, userAgent, referer and
// traceId where the client sent them.
func appendJSON(b []byte, e *Entry) []byte {
	b = append(b, `{"time":"`...)
	b = e.Begin.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","client":"`...)
	b = appendClient(b, e)
	b = append(b, '"')
	b = appendMember(b, "method", e.Method, maxMethod)
	b = appendMember(b, "host", e.Host, maxHost)
	b = appendMember(b, "path", e.Path, maxPath)
	b = appendMember(b, "query", e.query(), maxQuery)
	b = append(b, `,"protocol":"`...)
	b = append(b, e.Protocol...)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(e.status()), 10)
	if e.Substatus != 0 {
		b = append(b, `,"substatus":`...)
		b = strconv.AppendInt(b, int64(e.Substatus), 10)
	}
	b = append(b, `,"bytesIn":`...)
	b = strconv.AppendInt(b, e.Received, 10)
	b = append(b, `,"bytesOut":`...)
	b = strconv.AppendInt(b, e.Sent, 10)
	b = append(b, `,"durationMs":`...)
	b = appendMillis(b, e.Duration)
	if e.Aborted {
		b = append(b, `,"aborted":true`...)
	}
	if len(e.UserAgent) > 0 {
		b = appendMember(b, "userAgent", e.UserAgent, maxField)
	}
	if len(e.Referer) > 0 {
		b = appendMember(b, "referer", e.Referer, maxField)
	}
	if id := traceID(e.TraceParent); id != nil {
		b = appendMember(b, "traceId", id, len(id))
	}
	return append(b, '}', '\n')
}

// appendMillis writes milliseconds with three decimals.
func appendMillis(b []byte, d time.Duration) []byte {
	micros := max(d, 0).Round(time.Microsecond).Microseconds()
	b = strconv.AppendInt(b, micros/1000, 10)
	part := micros % 1000
	return append(b, '.', '0'+byte(part/100), '0'+byte(part/10%10), '0'+byte(part%10))
}

func appendMember(b []byte, name string, value []byte, most int) []byte {
	b = append(append(append(b, `,"`...), name...), `":"`...)
	return append(appendQuoted(b, value, most), '"')
}

const hexDigits = "0123456789abcdef"

// appendQuoted writes text for between quotes. What is no UTF-8 becomes the replacement character; what a terminal or a
// reader of lines could take for a command is escaped.
func appendQuoted(b, value []byte, most int) []byte {
	if len(value) <= most && harmless(value) {
		return append(b, value...)
	}
	for end := len(b) + most; len(value) > 0; {
		r, size := utf8.DecodeRune(value)
		if len(b) > end-6 && len(b)+len(value) > end { // no room for the longest escape
			return append(b, "..."...)
		}
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == utf8.RuneError:
			b = append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		default:
			b = append(b, value[:size]...)
		}
		value = value[size:]
	}
	return b
}

// harmless says that no form has anything to escape between quotes, which is so of almost every value.
func harmless(value []byte) bool {
	for _, c := range value {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func appendClient(b []byte, e *Entry) []byte {
	if a := e.Client.Addr(); a.IsValid() {
		return a.WithZone("").AppendTo(b)
	}
	return append(b, '-')
}
