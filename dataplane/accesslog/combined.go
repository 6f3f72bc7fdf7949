package accesslog

import "strconv"

// appendCombined writes Apache's combined format:
//
//	%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"
//
// with the time in UTC, the target normalised, and bytes that are not printable ASCII as \xhh.
func appendCombined(b []byte, e *Entry) []byte {
	b = appendClient(b, e)
	b = append(b, " - - ["...)
	b = e.Begin.UTC().AppendFormat(b, "02/Jan/2006:15:04:05 +0000")
	b = append(b, `] "`...)
	b = appendPrintable(b, e.Method, maxMethod)
	b = append(b, ' ')
	b = appendPrintable(b, e.Path, maxPath)
	b = appendPrintable(b, e.Query, maxQuery)
	b = append(b, ' ')
	b = append(b, e.Protocol...)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(e.status()), 10)
	b = append(b, ' ')
	if e.Payload == 0 {
		b = append(b, '-')
	} else {
		b = strconv.AppendInt(b, e.Payload, 10)
	}
	b = append(b, ` "`...)
	b = appendOrDash(b, e.Referer)
	b = append(b, `" "`...)
	b = appendOrDash(b, e.UserAgent)
	return append(b, '"', '\n')
}

func appendOrDash(b, value []byte) []byte {
	if len(value) == 0 {
		return append(b, '-')
	}
	return appendPrintable(b, value, maxField)
}

// appendPrintable writes text for between quotes.
func appendPrintable(b, value []byte, most int) []byte {
	if len(value) <= most && harmless(value) {
		return append(b, value...)
	}
	end := len(b) + most
	for i, c := range value {
		if len(b) > end-4 && len(b)+len(value)-i > end {
			return append(b, "..."...)
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c >= 0x7f:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
