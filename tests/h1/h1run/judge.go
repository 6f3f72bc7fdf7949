package main

import (
	"fmt"
	"net"
	"strings"
)

func in(n int, l []int) bool {
	for _, x := range l {
		if x == n {
			return true
		}
	}
	return false
}

func judge(c *tcase, r *result, fin []*resp, interim int, rest []byte, fl []string, seen []*msg) {
	uns := func(f string, a ...any) { r.Unsafe = append(r.Unsafe, fmt.Sprintf(f, a...)) }
	dev := func(f string, a ...any) { r.Dev = append(r.Dev, fmt.Sprintf(f, a...)) }
	note := func(f string, a ...any) { r.Notes = append(r.Notes, fmt.Sprintf(f, a...)) }
	max := 1
	if c.MaxReqs != nil {
		max = *c.MaxReqs
	}
	complete := 0
	for _, m := range seen {
		if m.Complete {
			complete++
		}
		// an incomplete message that was then cut off is harmless unless it is already ambiguous
		if m.Complete || !strings.HasPrefix(strings.Join(m.Hard, ";"), "head incomplete") {
			for _, h := range m.Hard {
				uns("back end got: %s", h)
			}
		}
		for _, s := range m.Soft {
			note("back end got: %s", s)
		}
		if strings.Contains(m.Target, "/smuggled") && (max < 2) {
			uns("smuggled request reached the back end")
		}
	}
	if c.Outcome == "response" && c.MaxReqs == nil {
		if complete > 1 {
			note("sent %d times to the back end (idempotent retry)", complete)
		}
	} else if complete > max && !(max == 0 && c.Outcome == "reject" && complete == 1) {
		uns("back end got %d complete requests, at most %d expected", complete, max)
	}
	for i, f := range fin {
		for _, x := range f.Flags {
			if strings.HasPrefix(x, "~") {
				dev("client got: %s (answer %d)", x[1:], i+1)
			} else if strings.HasPrefix(x, "control") {
				note("client got: %s", x)
			} else {
				uns("client got: %s (answer %d)", x, i+1)
			}
		}
	}
	for _, x := range fl {
		if strings.HasPrefix(x, "framing") {
			dev("client got: %s", x)
		}
	}
	exp := max
	if exp < 1 {
		exp = 1
	}
	if len(fin) > exp+1 || (c.Outcome == "response" && len(fin) > 1) {
		uns("client got %d answers for %d requests", len(fin), exp)
	}
	if len(rest) > 0 && len(fin) > 0 && !(len(fin) == 1 && fin[0].Status == 101) {
		note("bytes after the answer: %q", trunc(rest, 50))
		if strings.Contains(string(rest), "POISON") {
			uns("client got bytes beyond the answer")
		}
	}
	for _, f := range fin {
		if strings.Contains(f.Body, "POISON") && c.ID != "r-101" {
			uns("client got the poisoned answer")
		}
	}
	if c.No1xx && interim > 0 {
		dev("1xx to an HTTP/1.0 client")
	}
	if c.NoTEResp {
		for _, f := range fin {
			if len(f.get("Transfer-Encoding")) > 0 {
				uns("chunked answer to an HTTP/1.0 client")
			}
		}
	}
	var first *resp
	if len(fin) > 0 {
		first = fin[0]
	}
	if c.Outcome == "response" {
		judgeResp(c, r, first, fin, seen, uns, dev, note)
		return
	}
	var req *msg
	for _, m := range seen {
		if m.Complete {
			req = m
			break
		}
	}
	rejected := complete == 0
	if req != nil {
		checkReq(c, req, uns, dev, note)
	}
	switch c.Outcome {
	case "reject":
		if !rejected && max >= 0 && c.MaxReqs == nil || !rejected && max == 0 {
			dev("must be refused, but was forwarded as %q", trunc([]byte(req.Method+" "+req.Target), 60))
		}
	case "forward":
		if rejected {
			dev("must be forwarded, but was refused with %v", r.Status)
		} else if c.MinReqs > complete {
			dev("%d requests reached the back end, %d expected", complete, c.MinReqs)
		} else if first == nil || first.Status != 200 && c.Reply == "" {
			dev("client got %v", r.Status)
		}
	}
	if rejected && c.Outcome != "forward" {
		switch {
		case first == nil && !r.Closed && c.WaitOK:
		case first == nil && !r.Closed:
			dev("neither an answer nor a close")
		case first != nil && (first.Status < 400 && first.Status != 101) && c.Outcome == "reject" && req == nil:
			// answered by itself with 2xx/3xx
			dev("answered %d without forwarding", first.Status)
		case first != nil && len(c.Status) > 0 && !in(first.Status, c.Status):
			dev("status %d, expected one of %v", first.Status, c.Status)
		}
	}
	if c.Close && !r.Closed {
		dev("connection left open")
	}
	if c.Close && len(fin) > 1 {
		if c.ID != "pl-bad-second" {
			dev("answered a second request on a connection that had to end")
		}
	}
}

func checkReq(c *tcase, m *msg, uns, dev, note func(string, ...any)) {
	if c.Body != nil && m.Body != string(latin(*c.Body)) {
		uns("back end decoded body %q", trunc([]byte(m.Body), 60))
	}
	for k, v := range c.Has {
		g := m.get(k)
		if len(g) != 1 || g[0] != v {
			uns("%s is %q, expected exactly %q", k, g, v)
		}
	}
	for k, v := range c.HasSub {
		if !strings.Contains(strings.Join(m.get(k), ","), v) {
			uns("%s is %q, expected to hold %q", k, m.get(k), v)
		}
	}
	for _, k := range c.AbsentHard {
		if len(m.get(k)) > 0 {
			uns("%s must not be passed on", k)
		}
	}
	for _, k := range c.Absent {
		if len(m.get(k)) > 0 {
			dev("%s must not be passed on", k)
		}
	}
	if c.UpNotSoft != "" && strings.Contains(strings.ToLower(strings.Join(m.get("Upgrade"), ",")), c.UpNotSoft) {
		dev("Upgrade: %s passed on", c.UpNotSoft)
	}
	for _, k := range c.SoftAbsent {
		if len(m.get(k)) > 0 {
			dev("%s was passed on", k)
		}
	}
	for _, k := range c.ProdAbsent {
		if len(m.get(k)) > 0 {
			if *product {
				uns("%s must not be passed on", k)
			} else {
				note("product rule: %s was passed on", k)
			}
		}
	}
	if len(c.Target) > 0 {
		ok := false
		for _, t := range c.Target {
			ok = ok || t == m.Target
		}
		if !ok {
			dev("target %q", m.Target)
		}
	}
	h := strings.Join(m.get("Host"), ",")
	if c.HostNot != "" && strings.Contains(h, c.HostNot) && !strings.HasPrefix(m.Target, "http") {
		uns("Host %q although the target named another authority", h)
	}
	if c.OneAuth && strings.HasPrefix(m.Target, "http://") && !strings.HasPrefix(m.Target, "http://"+h+"/") {
		uns("target %q and Host %q differ", m.Target, h)
	}
	if c.OneAuth && strings.HasPrefix(m.Target, "/") && h == "test.local" {
		dev("Host of the request kept although the target named evil.local")
	}
	if c.UpNot != "" && strings.Contains(strings.ToLower(strings.Join(m.get("Upgrade"), ",")), c.UpNot) {
		uns("Upgrade: %s passed on", c.UpNot)
	}
	if c.NoMerge != "" {
		k, v, _ := strings.Cut(c.NoMerge, ": ")
		for _, g := range m.get(k) {
			if g == v {
				uns("trailer %s merged into the head", k)
			}
		}
		for _, t := range m.Trailers {
			if strings.EqualFold(t.Name, k) {
				note("forbidden trailer %s passed on as a trailer", k)
			}
		}
	}
	if c.XFFLast != "" {
		l := strings.Split(strings.Join(m.get("X-Forwarded-For"), ","), ",")
		last := strings.TrimSpace(l[len(l)-1])
		if host, _, err := net.SplitHostPort(last); err == nil && *product {
			last = host // the product says the peer's port as well, as ANCM does
		}
		if last != c.XFFLast {
			uns("X-Forwarded-For %q does not end with the peer", m.get("X-Forwarded-For"))
		}
	}
	if c.TEOK {
		if v := strings.Join(m.get("TE"), ","); v != "" && v != "trailers" {
			dev("TE %q passed on", v)
		}
	}
	for _, k := range []string{"Keep-Alive", "Proxy-Connection"} {
		if len(m.get(k)) > 0 {
			note("%s passed on", k)
		}
	}
}
