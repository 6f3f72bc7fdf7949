package dataplane

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// Who shows visitors what goes wrong is warned of, unless only this host's users are visitors.
func TestExposed(t *testing.T) {
	policy := &Policy{Listeners: map[string]string{
		"all": ":80", "six": "[::]:80", "lan": "10.0.0.1:80", "here": "127.0.0.1:80", "six-here": "[::1]:80", "name": "localhost:80",
	}}
	for listener, want := range map[string]bool{"all": true, "six": true, "lan": true, "here": false, "six-here": false, "name": false, "unknown": false} {
		w := &site.Site{Bindings: []site.Binding{{Listener: "here"}, {Listener: listener}}}
		for _, exposes := range []string{"", "ASPNETCORE_ENVIRONMENT=Development"} {
			got := fmt.Sprint(policy.exposed(w, &launch.Plan{Exposes: exposes}))
			if said := strings.Contains(got, string(webconfig.Warning)) && strings.Contains(got, exposes) && strings.Contains(got, listener); said != (want && exposes != "") {
				t.Errorf("%s, %q: %q", listener, exposes, got)
			}
		}
	}
}
