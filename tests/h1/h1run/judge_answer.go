package main

func judgeResp(c *tcase, r *result, first *resp, fin []*resp, seen []*msg, uns, dev, note func(string, ...any)) {
	if first == nil {
		if !r.Closed {
			dev("no answer and no close")
		} else if !in(502, c.Want) {
			dev("closed without an answer")
		} else {
			note("closed without an answer")
		}
		return
	}
	ok := in(first.Status, c.Want) || in(first.Status, c.Lenient)
	if first.Status == 504 && in(502, c.Want) || first.Status == 500 && in(502, c.Want) || first.Status == 503 && in(502, c.Want) {
		ok = true
	}
	if !ok && c.TruncOK && first.Status == 200 {
		if first.Full && !c.FullOK {
			uns("cut-off or malformed answer looks complete to the client (%q)", trunc([]byte(first.Body), 30))
		} else if !first.Full && !r.Closed {
			dev("incomplete answer, connection left open")
		}
		ok = true
	}
	if !ok {
		dev("client got %d, expected one of %v", first.Status, c.Want)
	}
	if c.WantBody != nil && first.Status < 400 && first.Full && first.Body != *c.WantBody {
		uns("client got body %q, expected %q", trunc([]byte(first.Body), 40), *c.WantBody)
	}
	if c.WantBody != nil && first.Status < 400 && !first.Full && !c.TruncOK {
		dev("answer incomplete")
	}
	for _, k := range c.ClientAbsent {
		if len(first.get(k)) > 0 {
			dev("%s reached the client", k)
		}
	}
	for _, k := range c.ClientProd {
		if len(first.get(k)) > 0 {
			if *product {
				uns("%s reached the client", k)
			} else {
				note("product rule: %s reached the client", k)
			}
		}
	}
}
