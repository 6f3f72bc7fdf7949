package sitefile

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// site reads a document; what the model says against it is added with the places of the fields.
func (r *reader) site(n ast.Node) *site.Site {
	s := &site.Site{}
	switch n.(type) {
	case nil, *ast.MappingNode, *ast.MappingValueNode: // nil: the fields are described
	default:
		r.wrong(n, "", "%s is no mapping of fields", describe(n))
		return s
	}
	var version, kind, access string
	r.fields(n, "", map[string]field{
		"apiVersion": r.text(&version), "kind": r.text(&kind), "name": r.text(&s.Name), "accessLog": r.text(&access),
		"labels": func(n ast.Node, path string) { s.Labels = r.labels(n, path) },
		"placement": func(n ast.Node, path string) {
			r.fields(n, path, map[string]field{"hosts": r.text(&s.Placement.Hosts)})
		},
		"bindings": func(n ast.Node, path string) {
			r.list(n, path, func(n ast.Node, path string) { s.Bindings = append(s.Bindings, r.binding(n, path)) })
		},
		"applications": func(n ast.Node, path string) {
			r.list(n, path, func(n ast.Node, path string) { s.Applications = append(s.Applications, r.application(n, path)) })
		},
	}, "rollout")
	if n == nil {
		return s
	}
	s.AccessLog = site.AccessLog(access)
	at := placeOf(n)
	r.header(at, "apiVersion", version, APIVersion)
	r.header(at, "kind", kind, Kind)
	broken := len(r.problems) > 0
	for _, p := range s.Validate() {
		// A field that could not be read is not missing as well.
		if !broken || !r.told(p.Path) {
			r.add(r.nearest(p.Path, at), p.Path, "%s", p.Message)
		}
	}
	slices.SortStableFunc(r.problems, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return s
}

func (r *reader) header(at place, name, got, want string) {
	switch where, there := r.places[name]; {
	case !there:
		r.add(at, name, "is missing: %s", want)
	case got != want && !r.told(name):
		r.add(where, name, "%q is not known: %s", got, want)
	}
}

// told says whether something was said of a field, or of what it stands in, already.
func (r *reader) told(path string) bool {
	return slices.ContainsFunc(r.problems, func(e Error) bool {
		return e.Field == path || strings.HasPrefix(path, e.Field+".") || strings.HasPrefix(path, e.Field+"[")
	})
}

// nearest gives the place of a field, or of the closest thing around it.
func (r *reader) nearest(path string, top place) place {
	for path != "" {
		if at, ok := r.places[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return top
}

func (r *reader) labels(n ast.Node, path string) map[string]string {
	labels := map[string]string{}
	for _, p := range r.pairs(n, path) {
		var value string
		r.text(&value)(p.value, join(path, p.name))
		labels[p.name] = value
	}
	return labels
}

func (r *reader) binding(n ast.Node, path string) site.Binding {
	var b site.Binding
	var redirect string
	r.fields(n, path, map[string]field{
		"listener": r.text(&b.Listener), "hostnames": r.texts(&b.Hostnames), "redirect": r.text(&redirect),
		"tls": func(n ast.Node, path string) { b.TLS = r.tls(n, path) },
	})
	b.Redirect = site.Redirect(redirect)
	return b
}

func (r *reader) application(n ast.Node, path string) site.Application {
	a := site.Application{Path: "/"}
	var profile, start, socket, protocol, balance, affinity string
	var iis *bool
	r.fields(n, path, map[string]field{
		"path": r.text(&a.Path), "root": r.text(&a.Root), "user": r.text(&a.User),
		"profile": r.text(&profile), "start": r.text(&start), "socket": r.text(&socket), "protocol": r.text(&protocol), "command": r.texts(&a.Command),
		"iisEnvironment": r.boolean(&iis),
		"env":            func(n ast.Node, path string) { a.Env = r.variables(n, path) },
		"ready": func(n ast.Node, path string) {
			r.fields(n, path, map[string]field{"timeout": r.duration(&a.StartupTimeLimit)}, "http")
		},
		"stop": func(n ast.Node, path string) {
			r.fields(n, path, map[string]field{"timeout": r.duration(&a.ShutdownTimeLimit)}, "signal")
		},
		"drain":     r.duration(&a.Drain),
		"overlap":   r.boolean(&a.Overlap),
		"instances": r.number(&a.Instances),
		"balance":   r.text(&balance),
		"affinity":  r.text(&affinity),
		"idle":      r.duration(&a.Idle),
		"recycle": func(n ast.Node, path string) {
			r.fields(n, path, map[string]field{
				"memory": r.size(&a.Recycle.Memory), "requests": r.number(&a.Recycle.Requests), "age": r.duration(&a.Recycle.Age),
				"schedule": func(n ast.Node, path string) {
					r.list(n, path, func(n ast.Node, path string) { r.clock(n, path, &a.Recycle.Schedule) })
				},
			})
		},
		"warmup": func(n ast.Node, path string) {
			r.fields(n, path, map[string]field{"requests": r.texts(&a.Warmup)})
		},
		"requestTimeout":          r.duration(&a.RequestTimeout),
		"rapidFailsPerMinute":     r.number(&a.RapidFailsPerMinute),
		"disableStartUpErrorPage": r.boolean(&a.DisableStartUpErrorPage),
		"limits": func(n ast.Node, path string) {
			r.fields(n, path, map[string]field{
				"body": r.size(&a.BodyLimit), "concurrency": r.number(&a.Concurrency), "queue": r.number(&a.Queue),
				"queueTimeout": r.duration(&a.QueueTimeout),
			}, "memory", "cpu", "pids")
		},
		"webConfig": func(n ast.Node, path string) {
			r.fields(n, path, map[string]field{"open": r.texts(&a.Open)})
		},
	}, "prefix", "release")
	if r.folder != "" && !filepath.IsAbs(a.Root) {
		a.Root = filepath.Join(r.folder, a.Root)
	}
	a.Profile, a.Start, a.Socket, a.Protocol = site.Profile(profile), site.StartMode(start), site.Socket(socket), site.Protocol(protocol)
	a.Balance, a.Affinity = site.Balance(balance), site.Affinity(affinity)
	a.IISEnvironment = iis != nil && *iis
	return a
}

// clock takes a time of day, which has to stand in quotes: without them YAML makes numbers and mappings of it.
func (r *reader) clock(n ast.Node, path string, to *[]string) {
	if r.described(path, Text) {
		return
	}
	if s, ok := n.(*ast.StringNode); ok {
		*to = append(*to, s.Value)
		return
	}
	r.wrong(n, path, "%s is no time of day: write it in quotes, as \"03:00\"", describe(n))
}

func (r *reader) variables(n ast.Node, path string) []site.Variable {
	var all []site.Variable
	for _, p := range r.pairs(n, path) {
		v := site.Variable{Name: p.name}
		where := join(path, p.name)
		switch value := p.value.(type) {
		case *ast.NullNode:
			r.wrong(p.key, where, `has no value; an empty one is ""`)
		case *ast.MappingNode:
			r.fields(value, where, map[string]field{}, "fromFile")
		default:
			r.text(&v.Value)(value, where)
		}
		all = append(all, v)
	}
	return all
}
