package accesslog

import (
	"strconv"
	"time"
	"unicode/utf8"
)

// w3cFields are those of IIS, in its order, with the host and the bytes that its default leaves out.
const w3cFields = "date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs-version " +
	"cs(User-Agent) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken"

// appendW3CHeader writes the directives that precede the lines of a file, and of every change in it.
func appendW3CHeader(b []byte, o *Origin, now time.Time) []byte {
	b = append(b, "#Software: "...)
	b = appendW3CText(b, []byte(o.Software), maxHost, true)
	b = append(b, "\n#Version: 1.0\n#Date: "...)
	b = now.UTC().AppendFormat(b, time.DateTime)
	return append(b, "\n#Fields: "+w3cFields+"\n"...)
}

// appendW3C writes W3C's extended format. As IIS does, it gives the time of the end, in UTC, and the time taken in
// milliseconds.
func appendW3C(b []byte, o *Origin, e *Entry) []byte {
	b = e.Begin.Add(e.Duration).UTC().AppendFormat(b, time.DateTime)
	b = appendW3CName(b, o.Site)
	b = appendW3CName(b, o.Computer)
	b = append(b, ' ')
	if a := e.Local.Addr(); a.IsValid() {
		b = a.WithZone("").AppendTo(b)
	} else {
		b = append(b, '-')
	}
	b = appendW3CValue(b, e.Method, maxMethod)
	b = appendW3CValue(b, e.Path, maxPath)
	b = appendW3CValue(b, e.query(), maxQuery)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(e.Local.Port()), 10)
	b = append(b, " - "...)
	b = appendClient(b, e)
	b = append(b, ' ')
	b = append(b, e.Protocol...)
	b = appendW3CValue(b, e.UserAgent, maxField)
	b = appendW3CValue(b, e.Referer, maxField)
	b = appendW3CValue(b, e.Host, maxHost)
	for _, n := range [...]int64{int64(e.status()), int64(e.Substatus), 0, e.Sent, e.Received, e.Duration.Milliseconds()} {
		b = append(b, ' ')
		b = strconv.AppendInt(b, n, 10)
	}
	return append(b, '\n')
}

func appendW3CName(b []byte, name string) []byte {
	b = append(b, ' ')
	if name == "" {
		return append(b, '-')
	}
	for i := range min(len(name), maxHost) {
		if c := name[i]; c > ' ' && c < 0x7f {
			b = append(b, c)
		} else {
			b = append(b, '_')
		}
	}
	return b
}

func appendW3CValue(b, value []byte, most int) []byte {
	b = append(b, ' ')
	if len(value) == 0 {
		return append(b, '-')
	}
	return appendW3CText(b, value, most, false)
}

// appendW3CText writes text without spaces: they are '+', as IIS writes them, and control bytes and what is no UTF-8 are
// percent-encoded.
func appendW3CText(b, value []byte, most int, spaces bool) []byte {
	for end := len(b) + most; len(value) > 0; {
		r, size := utf8.DecodeRune(value)
		if len(b) > end-12 && len(b)+len(value) > end {
			return append(b, "..."...)
		}
		switch {
		case r == ' ' && spaces:
			b = append(b, ' ')
		case r == ' ' || r == '\t':
			b = append(b, '+')
		case r < ' ' || r >= 0x7f && r <= 0xa0 || r == 0x2028 || r == 0x2029 || r == utf8.RuneError:
			for _, c := range value[:size] {
				b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
			}
		default:
			b = append(b, value[:size]...)
		}
		value = value[size:]
	}
	return b
}
