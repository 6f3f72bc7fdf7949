package page

import (
	"strings"
	"testing"
)

func TestPagesEscapeWhatTheyShow(t *testing.T) {
	for name, body := range map[string][]byte{
		"detail":  StartFailure("502.5", "<script>alert(1)</script>", "").Body,
		"link":    BadGateway("502.3", "", `http://x/"><script>alert(1)</script>`).Body,
		"message": Offline("<script>alert(1)</script>"),
	} {
		if strings.Contains(string(body), "<script>") {
			t.Errorf("%s: %s", name, body)
		}
	}
}

func TestCodes(t *testing.T) {
	for code, status := range map[string]int{"502.5": 502, "500.30": 500, "500.37": 500} {
		p := StartFailure(code, "", "")
		if p.Status != status || !strings.Contains(string(p.Body), "HTTP Error "+code) {
			t.Errorf("%s: %d %s", code, p.Status, p.Body)
		}
		if strings.Contains(string(p.Body), "<pre>") || strings.Contains(string(p.Body), "<a ") {
			t.Errorf("%s: an empty detail or link is shown", code)
		}
		plain := Plain(code)
		if plain.Status != status || plain.Code != code || plain.Substatus != p.Substatus || strings.Contains(string(plain.Body), code) || strings.Contains(string(plain.Body), "start") {
			t.Errorf("%s: plain is %+v %s", code, plain, plain.Body)
		}
	}
}
