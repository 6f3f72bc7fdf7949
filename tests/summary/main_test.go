package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestSummarise(t *testing.T) {
	const (
		pass = `{"Action":"pass","Package":"github.com/ancora-fleet/ancora/a","Elapsed":1}` + "\n"
		fail = `{"Action":"output","Package":"b","Test":"TestX","Output":"x_test.go:1: broken\n"}` + "\n" + `{"Action":"fail","Package":"b","Test":"TestX"}` + "\n"
		hung = `{"Action":"output","Package":"b","Test":"TestH","Output":"panic: test timed out\n"}` + "\n" + `{"Action":"fail","Package":"b"}` + "\n"
		skip = `{"Action":"output","Package":"github.com/ancora-fleet/ancora/a","Test":"TestY","Output":"    y_test.go:1: no runtime\n"}` + "\n" +
			`{"Action":"skip","Package":"github.com/ancora-fleet/ancora/a","Test":"TestY"}` + "\n"
	)
	for name, c := range map[string]struct {
		in      string
		allowed map[string]bool
		strict  bool
		says    string
		err     string
	}{
		"pass":         {in: pass, says: "ok    github.com/ancora-fleet/ancora/a"},
		"figure":       {in: `{"Action":"output","Package":"a","Test":"TestZ","Output":"    z_test.go:1: figure: 7 of 7\n"}` + "\n" + pass, says: "TestZ: 7 of 7"},
		"nothing":      {err: "no package was tested"},
		"fail":         {in: pass + fail, says: "x_test.go:1: broken", err: "FAILED: b TestX"},
		"hung":         {in: pass + hung, says: "panic: test timed out", err: "FAILED: b, b TestH"},
		"skip":         {in: skip + pass, says: "skip  github.com/ancora-fleet/ancora/a TestY: no runtime"},
		"strict skip":  {in: skip + pass, strict: true, err: "not named in tests/skips.txt: github.com/ancora-fleet/ancora/a TestY"},
		"allowed skip": {in: skip + pass, strict: true, allowed: map[string]bool{"a TestY": true}},
	} {
		var out bytes.Buffer
		err := summarise(strings.NewReader(c.in), &out, c.allowed, c.strict)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
		if !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: %q does not say %q", name, out.String(), c.says)
		}
	}
}
