package forward

import (
	"strings"
	"testing"
)

// The fields of a trace (W3C Trace Context, W3C Baggage) reach the application as the client sent them: in its order and
// spelling, several lines as several, also those that are no valid trace. Nobody here takes part in it.
func TestTraceFieldsPass(t *testing.T) {
	const trace = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n" +
		"tracestate: rojo=00f067aa0ba902b7,congo=t61rcWkgMzE\r\n" +
		"TraceState: \r\n" +
		"tracestate: a=1 , b=2\r\n" +
		"Baggage: userId=alice,serverNode=DF%2028;p1=v1\r\n" +
		"baggage: isProduction=false\r\n" +
		"TraceParent: not one\r\n"
	for _, generic := range []bool{false, true} {
		got := make(chan string, 1)
		up := instance(t, func(_ int, c *peer) {
			got <- c.head()
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\ntraceresponse: 00-1-2-3\r\n\r\n")
		})
		r, err := parsed("GET / HTTP/1.1\r\nHost: x\r\n" + trace + "\r\n")
		if err != nil {
			t.Fatal(err)
		}
		r.Context = t.Context()
		var c client
		if err := Serve(r, &c, up, Options{Token: "t0ken", Generic: generic}); err != nil {
			t.Fatal(err)
		}
		// Space around a value is not part of it (RFC 9112 5.1).
		if head := strings.ReplaceAll(<-got, "\r\n", "\n"); !strings.Contains(head, strings.ReplaceAll(trace, "\r\n", "\n")) {
			t.Errorf("generic %v: the application got\n%s", generic, head)
		}
	}
}
