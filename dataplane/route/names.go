package route

import "strings"

// Names finds what belongs to the host name of a request or of a TLS handshake. Keys are as Fold gives them: a DNS name,
// `*.` before one, or "", which is for every name that nothing else is for.
type Names[T any] map[string]T

// Fold is the spelling of a host name, or of a pattern, that Names has as its key.
func Fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Lookup finds the entry of a host name, without regard to case, port and a trailing dot: the name's own, else the one of
// the pattern for names one label below the rest of it, else that of "". A name that has an entry never falls back. It
// folds the name on the stack, so that it costs no allocation; host names have at most 253 bytes.
func (n Names[T]) Lookup(host []byte) (found T, ok bool) {
	var buf [256]byte
	_, found, ok = n.lookup(&buf, host)
	return found, ok
}

// Key gives the key of the entry that Lookup finds.
func (n Names[T]) Key(host []byte) (key string, ok bool) {
	var buf [256]byte
	found, _, ok := n.lookup(&buf, host)
	return string(found), ok
}

// lookup gives the key as a view of buf.
func (n Names[T]) lookup(buf *[256]byte, host []byte) (key []byte, found T, ok bool) {
	host = trimPort(host)
	if len(host) > 0 && len(host) <= len(buf) {
		dot := -1
		for i, c := range host {
			if buf[i] = lower(c); c == '.' && dot < 0 {
				dot = i
			}
		}
		if found, ok = n[string(buf[:len(host)])]; ok {
			return buf[:len(host)], found, true
		}
		if dot > 0 {
			buf[dot-1] = '*'
			if found, ok = n[string(buf[dot-1:len(host)])]; ok {
				return buf[dot-1 : len(host)], found, true
			}
		}
	}
	found, ok = n[""]
	return nil, found, ok
}
