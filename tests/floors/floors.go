// Package floors holds the rules of the house as tests: which plane may import which, one comment a package, no file too
// long to read. The rules are plain data and pure functions, so that planted violations can be tested too.
package floors

import (
	"fmt"
	"slices"
	"strings"
)

// Module is the path every import inside the project begins with.
const Module = "github.com/ancora-fleet/ancora"

// Package is what `go list -json` says of one package, as far as the rules need it. Paths are below the module.
type Package struct {
	Path    string
	Imports []string
	Doc     bool
}

// rule forbids some imports to the packages below a path.
type rule struct {
	below  string
	except func(path string) bool
	forbid func(imported string) bool
	reason string
}

// rules are the floors: imports go down only.
func rules() []rule {
	return []rule{
		{below: "proto", forbid: inside("agent", "controlplane", "dataplane", "tests"),
			reason: "the wire knows nothing of who speaks over it"},
		{below: "dataplane", forbid: inside("agent", "controlplane"),
			reason: "the data plane must run without agent and controller"},
		{below: "dataplane", forbid: module("google.golang.org/grpc"),
			reason: "the data plane knows nothing of gRPC"},
		{below: "dataplane", except: exactly("dataplane/wire"), forbid: either(inside("proto"), module("google.golang.org/protobuf")),
			reason: "protobuf stops at dataplane/wire"},
		{below: "dataplane", except: either(exactly("dataplane/ingress"), exactly("dataplane/h2c")), forbid: module("net/http"),
			reason: "HTTP/1.1 is the engine's own; net/http is for HTTP/2 only, in ingress and h2c"},
		{below: "dataplane/keeper", forbid: inside("dataplane/launch", "dataplane/site", "dataplane/webconfig", "dataplane/sitefile", "dataplane/h1"),
			reason: "the keeper knows no HTTP and no config"},
		{below: "agent", except: either(exactly("agent/admin"), exactly("agent/cmd/ancora-agent")), forbid: module("net/http"),
			reason: "in the agent net/http is for the admin listener, and for the demo application, which no visitor of a site meets"},
		{below: "agent", forbid: inside("controlplane"),
			reason: "the agent stands beside customers' processes and carries only what it needs"},
		{below: "controlplane", forbid: inside("agent"),
			reason: "controller and agent meet on the wire only"},
		{below: "controlplane", forbid: func(imported string) bool {
			return inside("dataplane")(imported) &&
				!slices.Contains([]string{"dataplane/site", "dataplane/webconfig", "dataplane/sitefile", "dataplane/wire", "dataplane/xmltree", "dataplane/explain"}, imported)
		}, reason: "the controller knows the site model, the pure leaves that read its files and the words of explanations, not the proxy"},
		{below: "dataplane/xmltree", forbid: inside("dataplane"),
			reason: "a leaf that both planes read files with: it knows none of what it reads"},
		{below: "dataplane/explain", forbid: inside("dataplane"),
			reason: "a leaf with words for all who decide: it decides nothing"},
		{below: "controlplane/cli", forbid: inside("controlplane/store", "controlplane/api", "controlplane/dispatch", "controlplane/logbroker", "controlplane/pki", "controlplane/auth"),
			reason: "the operators' command line asks a controller, it is none"},
		{below: "controlplane/cli", forbid: module("go.etcd.io"),
			reason: "the operators' command line asks a controller, it is none"},
	}
}

// Check gives one sentence for each import that breaks a floor and each package without a comment.
func Check(packages []Package) []string {
	var broken []string
	for _, p := range packages {
		if !p.Doc && !strings.HasPrefix(p.Path, "proto/") {
			broken = append(broken, fmt.Sprintf("%s: no package comment: say what the room is for", p.Path))
		}
		for _, r := range rules() {
			if !below(p.Path, r.below) || r.except != nil && r.except(p.Path) {
				continue
			}
			for _, imported := range p.Imports {
				if r.forbid(strings.TrimPrefix(imported, Module+"/")) {
					broken = append(broken, fmt.Sprintf("%s imports %s: %s", p.Path, imported, r.reason))
				}
			}
		}
	}
	return broken
}

func below(path, top string) bool { return path == top || strings.HasPrefix(path, top+"/") }

func inside(tops ...string) func(string) bool {
	return func(path string) bool {
		return slices.ContainsFunc(tops, func(top string) bool { return below(path, top) })
	}
}

func module(path string) func(string) bool { return inside(path) }

func exactly(path string) func(string) bool { return func(p string) bool { return p == path } }

func either(rules ...func(string) bool) func(string) bool {
	return func(path string) bool {
		return slices.ContainsFunc(rules, func(f func(string) bool) bool { return f(path) })
	}
}
