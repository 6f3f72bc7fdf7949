// Package h1 is HTTP/1.1 on the wire: heads and body framing, as pure functions over byte slices.
//
// It does no I/O and allocates nothing: what it returns are views of the caller's buffer. It is strict on purpose.
// Wherever two readers could understand different things, it refuses (RFC 9112 leaves most of these cases to the
// recipient): one Host, one Content-Length of digits only, Transfer-Encoding exactly "chunked", never both, lines ended
// by CRLF and nothing else, no folded fields, no control bytes in values, chunk lines to the letter.
package h1

// Field is one field line of a head. Name is spelled as it was sent, Value has no white space around it. Both are views
// of the buffer that was parsed.
type Field struct{ Name, Value []byte }
