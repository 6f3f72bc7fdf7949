package launch

import "strings"

// split divides a command line as Windows programs do, which web.config files are written for: spaces and tabs separate,
// quotes keep together, backslashes are themselves unless they stand before a quote; there 2n make n and 2n+1 make n and
// a quote that is no more than a character. Two quotes inside quotes are one.
func split(line string) []string {
	var args []string
	var arg strings.Builder
	inside, quoted := false, false
	for i := 0; i < len(line); i++ {
		switch ch := line[i]; {
		case ch == '\\':
			n := 1
			for i+n < len(line) && line[i+n] == '\\' {
				n++
			}
			inside = true
			if i+n == len(line) || line[i+n] != '"' {
				arg.WriteString(line[i : i+n])
				i += n - 1
				continue
			}
			arg.WriteString(strings.Repeat(`\`, n/2))
			i += n - 1
			if n%2 == 1 {
				arg.WriteByte('"')
				i++
			}
		case ch == '"' && quoted && i+1 < len(line) && line[i+1] == '"':
			arg.WriteByte('"')
			i++
		case ch == '"':
			inside, quoted = true, !quoted
		case (ch == ' ' || ch == '\t' || ch == '\n' || ch == '\r') && !quoted:
			if inside {
				args = append(args, arg.String())
				arg.Reset()
				inside = false
			}
		default:
			inside = true
			arg.WriteByte(ch)
		}
	}
	if inside {
		args = append(args, arg.String())
	}
	return args
}

// expand replaces %NAME% by its value; what is not set stays as written (ENV-21).
func expand(s string, lookup func(string) (string, bool)) string {
	var out strings.Builder
	for {
		start := strings.IndexByte(s, '%')
		if start < 0 {
			break
		}
		length := strings.IndexByte(s[start+1:], '%')
		if length < 0 {
			break
		}
		value, ok := lookup(s[start+1 : start+1+length])
		if length == 0 || !ok {
			// The second sign may begin another name.
			out.WriteString(s[:start+1+length])
			s = s[start+1+length:]
			continue
		}
		out.WriteString(s[:start])
		out.WriteString(value)
		s = s[start+length+2:]
	}
	out.WriteString(s)
	return out.String()
}
