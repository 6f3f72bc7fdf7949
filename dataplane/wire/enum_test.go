package wire

import (
	"strings"
	"testing"

	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// every sees that each number of the proto has a word, and gets its number back.
func every[W ~string, N ~int32](t *testing.T, e enum[W, N], names map[int32]string) {
	t.Helper()
	for n, name := range names {
		w, err := e.word("it", N(n))
		if err != nil || (w == "") != (n == 0) || e.number(w) != N(n) {
			t.Errorf("%s: %q, %v, back %d", name, w, err, e.number(w))
		}
	}
}

func TestEnumsAreWhole(t *testing.T) {
	every(t, accessLogs(), typesv1.AccessLog_name)
	every(t, profiles(), typesv1.Profile_name)
	every(t, protocols(), typesv1.Protocol_name)
	every(t, sockets(), typesv1.Socket_name)
	every(t, startModes(), typesv1.StartMode_name)
	every(t, redirects(), typesv1.Redirect_name)
	every(t, clientCertModes(), typesv1.ClientCertificateMode_name)
}

// What a newer version says is refused by name, all of it at once.
func TestUnknownEnums(t *testing.T) {
	_, err := Site(&typesv1.Site{Applications: []*typesv1.Application{{
		Profile: 99, Forward: &typesv1.ForwardSpec{Protocol: 99}, Process: &typesv1.ProcessSpec{Socket: 99, Start: 99},
	}}})
	for _, field := range []string{"profile", "protocol", "socket", "start"} {
		if err == nil || !strings.Contains(err.Error(), field+" 99 is not known to this version") {
			t.Errorf("no word of %s in %v", field, err)
		}
	}
	for _, m := range []*typesv1.Site{
		{AccessLog: 99},
		{Bindings: []*typesv1.Binding{{Redirect: 99}}},
		{Bindings: []*typesv1.Binding{{Tls: &typesv1.Tls{ClientCertificate: &typesv1.ClientCertificate{Mode: 99}}}}},
	} {
		if _, err := Site(m); err == nil || !strings.Contains(err.Error(), "99 is not known to this version") {
			t.Errorf("%v: %v", m, err)
		}
	}
}
