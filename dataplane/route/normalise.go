package route

import (
	"bytes"
	"errors"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// Why a target is refused. The client is told 400.
var (
	ErrBackslash = errors.New("route: backslash in the path")
	ErrNUL       = errors.New("route: NUL in the path")
	ErrEncoding  = errors.New("route: malformed percent-encoding in the path")
	ErrByte      = errors.New("route: byte that is not allowed in a target")
)

// Normalise splits a request target in origin-form into path and query. The path is brought to the one spelling that
// both routing and the application get, so that it cannot mean one application here and another thing there
// (RFC 3986 6.2.2):
//
//   - bytes that need no percent-encoding (letters, digits, "-._~") are decoded, the rest keeps it, in upper case;
//     %2F in particular stays what it is, and is no separator;
//   - dot segments, also those that were encoded, are removed, never above the root;
//   - backslash and NUL, plain or encoded, are refused: some readers take the one for '/' and the other for the end.
//
// Empty segments stay. The query is returned verbatim with its '?', or empty. A target without a path has the path "/".
//
// A path that is normal already is returned as a view of target, without copying; otherwise it is appended to dst[:0].
func Normalise(dst, target []byte) (path, query []byte, err error) {
	path = target
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		path, query = target[:i], target[i:]
	}
	for _, c := range query {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return nil, nil, ErrByte
		}
	}
	if len(path) == 0 {
		return append(dst[:0], '/'), query, nil
	}
	if path[0] != '/' {
		return nil, nil, ErrByte
	}
	normal, err := scan(path)
	if err != nil {
		return nil, nil, err
	}
	if normal {
		return path, query, nil
	}
	return removeDots(decode(dst[:0], path)), query, nil
}

// scan checks every byte and says whether there is nothing to do.
func scan(path []byte) (normal bool, err error) {
	normal = true
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\':
			return false, ErrBackslash
		case c <= ' ' || c >= 0x7f || c == '#' || c == '?':
			return false, ErrByte
		case c == '.':
			normal = normal && path[i-1] != '/' // path[0] is '/'
		case c == '%':
			if i+2 >= len(path) || h1.HexValue(path[i+1]) < 0 || h1.HexValue(path[i+2]) < 0 {
				return false, ErrEncoding
			}
			switch h1.HexValue(path[i+1])<<4 | h1.HexValue(path[i+2]) {
			case 0:
				return false, ErrNUL
			case '\\':
				return false, ErrBackslash
			}
			normal = false
		}
	}
	return normal, nil
}

func decode(dst, path []byte) []byte {
	const digits = "0123456789ABCDEF"
	for i := 0; i < len(path); i++ {
		if path[i] != '%' {
			dst = append(dst, path[i])
			continue
		}
		c := byte(h1.HexValue(path[i+1])<<4 | h1.HexValue(path[i+2]))
		if i += 2; unreserved(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// removeDots removes dot segments in place (RFC 3986 5.2.4). The result never grows, so writing stays behind reading.
func removeDots(path []byte) []byte {
	out := path[:0]
	for len(path) > 0 { // path starts with '/'
		end := bytes.IndexByte(path[1:], '/') + 1
		last := end == 0
		if last {
			end = len(path)
		}
		segment := path[1:end]
		switch {
		case len(segment) == 1 && segment[0] == '.':
			if last {
				out = append(out, '/')
			}
		case len(segment) == 2 && segment[0] == '.' && segment[1] == '.':
			out = out[:max(bytes.LastIndexByte(out, '/'), 0)]
			if last {
				out = append(out, '/')
			}
		default:
			out = append(out, path[:end]...)
		}
		path = path[end:]
	}
	return out
}

func unreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '-' || c == '.' || c == '_' || c == '~'
}
