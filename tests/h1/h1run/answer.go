package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

type resp struct {
	Status  int
	Headers []hdr
	Body    string
	Full    bool
	Flags   []string
}

func (r *resp) get(n string) (v []string) {
	for _, h := range r.Headers {
		if strings.EqualFold(h.Name, n) {
			v = append(v, h.Value)
		}
	}
	return
}

// parseResp reads responses strictly; closed says whether the peer closed.
func parseResp(raw []byte, methods []string, closed bool) (finals []*resp, interim int, rest []byte, flags []string) {
	i := 0
	for len(raw) > 0 {
		he, be := headEnd(raw)
		if he < 0 {
			return finals, interim, raw, flags
		}
		head := string(raw[:he])
		if !strings.HasPrefix(head, "HTTP/1.") {
			return finals, interim, raw, flags
		}
		r := &resp{}
		if !bytes.HasSuffix(raw[:be], []byte("\r\n\r\n")) {
			r.Flags = append(r.Flags, "head ends with bare LF")
		}
		lines := strings.Split(strings.TrimSuffix(head, "\n"), "\n")
		for k, l := range lines {
			if !strings.HasSuffix(l, "\r") {
				r.Flags = append(r.Flags, "bare LF in head")
			}
			lines[k] = strings.TrimSuffix(l, "\r")
		}
		p := strings.SplitN(lines[0], " ", 3)
		if len(p) > 1 {
			if len(p[1]) != 3 || !digits.MatchString(p[1]) {
				r.Flags = append(r.Flags, "status "+p[1])
			}
			r.Status, _ = strconv.Atoi(p[1])
		}
		if x := badBytes(lines[0]); x != "" {
			r.Flags = append(r.Flags, x+" in status line")
		}
		for _, l := range lines[1:] {
			if l == "" {
				continue
			}
			k, v, ok := strings.Cut(l, ":")
			if !ok || strings.HasSuffix(k, " ") || strings.HasSuffix(k, "\t") || k == "" || k[0] == ' ' || k[0] == '\t' {
				r.Flags = append(r.Flags, fmt.Sprintf("field line %q", trunc([]byte(l), 40)))
			} else if !tokenRE.MatchString(k) {
				r.Flags = append(r.Flags, fmt.Sprintf("~field name %q", trunc([]byte(k), 40)))
			}
			if x := badBytes(v); x != "" {
				r.Flags = append(r.Flags, x+" in value of "+k)
			}
			r.Headers = append(r.Headers, hdr{strings.TrimSpace(k), strings.Trim(v, " \t")})
		}
		raw = raw[be:]
		if r.Status >= 100 && r.Status < 200 && r.Status != 101 {
			interim++
			if len(r.get("Content-Length")) > 0 || len(r.get("Transfer-Encoding")) > 0 {
				flags = append(flags, "framing field on a 1xx")
			}
			flags = append(flags, r.Flags...)
			continue
		}
		method := "GET"
		if i < len(methods) {
			method = methods[i]
		}
		i++
		te, cl := r.get("Transfer-Encoding"), r.get("Content-Length")
		if len(te) > 0 && len(cl) > 0 {
			r.Flags = append(r.Flags, "both CL and TE")
		}
		if len(cl) > 1 {
			r.Flags = append(r.Flags, "several CL")
		}
		if len(cl) == 1 && !digits.MatchString(cl[0]) {
			r.Flags = append(r.Flags, "CL "+cl[0])
		}
		if r.Status == 204 && (len(cl) > 0 || len(te) > 0) {
			r.Flags = append(r.Flags, "~framing field on a 204")
		}
		finals = append(finals, r)
		switch {
		case r.Status == 101:
			r.Full = true
			return finals, interim, raw, flags
		case method == "HEAD" || r.Status == 204 || r.Status == 304:
			r.Full = true
		case len(te) > 0:
			if !strings.EqualFold(te[len(te)-1], "chunked") {
				r.Flags = append(r.Flags, "TE "+strings.Join(te, ","))
				r.Body, r.Full, raw = string(raw), closed, nil
				break
			}
			var sb strings.Builder
			for {
				j := bytes.Index(raw, []byte("\r\n"))
				if j < 0 {
					break
				}
				sz, _, _ := strings.Cut(string(raw[:j]), ";")
				n, err := strconv.ParseUint(sz, 16, 40)
				if err != nil || !chunkRE.MatchString(sz) {
					r.Flags = append(r.Flags, fmt.Sprintf("chunk-size %q", trunc(raw[:j], 30)))
					break
				}
				if n == 0 {
					t := raw[j:]
					if k := bytes.Index(t, []byte("\r\n\r\n")); k >= 0 {
						raw, r.Full = t[k+4:], true
					}
					break
				}
				if uint64(len(raw)) < uint64(j)+2+n+2 {
					break
				}
				sb.Write(raw[j+2 : uint64(j)+2+n])
				if string(raw[uint64(j)+2+n:uint64(j)+4+n]) != "\r\n" {
					r.Flags = append(r.Flags, "chunk data without CRLF")
					break
				}
				raw = raw[uint64(j)+4+n:]
			}
			r.Body = sb.String()
			if !r.Full {
				return finals, interim, nil, flags
			}
		case len(cl) > 0:
			n, err := strconv.Atoi(strings.TrimSpace(cl[0]))
			if err != nil || n > len(raw) || n < 0 {
				r.Body = string(raw)
				return finals, interim, nil, flags
			}
			r.Body, raw, r.Full = string(raw[:n]), raw[n:], true
		default:
			r.Body, raw, r.Full = string(raw), nil, closed
			if !closed {
				return finals, interim, nil, flags
			}
		}
	}
	return finals, interim, nil, flags
}
