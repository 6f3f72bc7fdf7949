// Package policy reads agent.yaml, the host's last word: where applications may live, whom they may run as, and which
// addresses the names of listeners mean here (D12, D13).
package policy

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/ancora-fleet/ancora/dataplane"
)

// file is agent.yaml as it is written.
type file struct {
	Roots       []string            `yaml:"roots"`
	Users       []string            `yaml:"users,omitempty"`
	DefaultUser string              `yaml:"defaultUser,omitempty"`
	Dotnet      string              `yaml:"dotnet,omitempty"`
	Listeners   map[string]listener `yaml:"listeners"`
	Admin       string              `yaml:"admin,omitempty"`
}

// Policy is what the data plane may do, and what else the host says.
type Policy struct {
	dataplane.Policy
	// Admin is an address of the loopback interface on which the admin listener answers besides its socket; empty: none.
	Admin string
}

// DefaultRoots are the folders below which applications may live when the policy names none.
func DefaultRoots() []string { return []string{"/srv", "/var/www"} }

// DefaultListeners are those of a host whose policy names none.
func DefaultListeners() map[string]string { return map[string]string{"http": ":80", "https": ":443"} }

// Load reads a policy; what is not in it has its default. The error names file, line and column of all that is wrong.
func Load(path string) (Policy, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Policy{}, fmt.Errorf("policy: %w", err)
	}
	return Parse(path, content)
}

// Parse is Load for content that has been read.
func Parse(path string, content []byte) (Policy, error) {
	tree, err := parser.ParseBytes(content, 0)
	if err != nil {
		return Policy{}, shapeError(path, err)
	}
	c := &check{path: path, tree: tree}
	f := c.read()
	p := Policy{c.policy(f), f.Admin}
	c.admin(f.Admin)
	if len(c.problems) > 0 {
		return Policy{}, errors.Join(c.problems...)
	}
	return p, nil
}

// read decodes field by field, so that one of the wrong shape does not hide what is wrong with the others.
func (c *check) read() *file {
	f := &file{}
	if len(c.tree.Docs) > 1 {
		c.problems = append(c.problems, fmt.Errorf("%s: holds %d documents: a policy is one", c.path, len(c.tree.Docs)))
		return f
	}
	if len(c.tree.Docs) == 0 || c.tree.Docs[0].Body == nil {
		return f
	}
	root, ok := c.tree.Docs[0].Body.(ast.MapNode)
	if !ok {
		if c.tree.Docs[0].Body.Type() != ast.NullType && c.tree.Docs[0].Body.Type() != ast.CommentType {
			c.problems = append(c.problems, fmt.Errorf("%s:%s: a policy is a mapping of fields", c.path, position(c.tree.Docs[0].Body)))
		}
		return f
	}
	for fields := root.MapRange(); fields.Next(); {
		name := fields.Key().GetToken().Value
		switch name {
		case "roots":
			c.decode(fields.Value(), &f.Roots)
		case "users":
			c.decode(fields.Value(), &f.Users)
		case "defaultUser":
			c.decode(fields.Value(), &f.DefaultUser)
		case "dotnet":
			c.decode(fields.Value(), &f.Dotnet)
		case "listeners":
			c.listeners(fields.Value(), f)
		case "admin":
			c.decode(fields.Value(), &f.Admin)
		default:
			c.problems = append(c.problems, fmt.Errorf("%s:%s: field %q is not known: roots, users, defaultUser, dotnet, listeners, admin", c.path, position(fields.Key()), name))
		}
	}
	return f
}

// decode says whether the value has the shape of its field.
func (c *check) decode(value ast.Node, to any) bool {
	if tags := ast.Filter(ast.TagType, value); len(tags) > 0 { // one without a value is more than the decoder can bear
		c.problems = append(c.problems, fmt.Errorf("%s:%s: a tag (%s) means nothing in a policy", c.path, position(tags[0]), tags[0].GetToken().Value))
		return false
	}
	if err := yaml.NodeToValue(value, to, yaml.Strict()); err != nil {
		c.problems = append(c.problems, shapeError(c.path, err))
		return false
	}
	return true
}

func position(n ast.Node) string {
	at := n.GetToken().Position
	return fmt.Sprintf("%d:%d", at.Line, at.Column)
}

func shapeError(path string, err error) error {
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil {
		at := e.GetToken().Position
		return fmt.Errorf("%s:%d:%d: %s", path, at.Line, at.Column, e.GetMessage())
	}
	return fmt.Errorf("%s: %w", path, err)
}

type check struct {
	path     string
	tree     *ast.File
	problems []error
}

// add notes a problem of the field at a YAML path.
func (c *check) add(field, format string, args ...any) {
	where := c.path
	if at, err := yaml.PathString("$." + field); err == nil {
		if n, err := at.FilterFile(c.tree); err == nil && n != nil && n.GetToken() != nil {
			where = fmt.Sprintf("%s:%d:%d", c.path, n.GetToken().Position.Line, n.GetToken().Position.Column)
		}
	}
	c.problems = append(c.problems, fmt.Errorf("%s: %s: %s", where, field, fmt.Sprintf(format, args...)))
}

// admin checks that nobody from outside reaches what answers there.
func (c *check) admin(address string) {
	if address == "" {
		return
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().IsLoopback() || at.Port() == 0 {
		c.add("admin", "%q is not 127.0.0.1:PORT or [::1]:PORT: the admin listener is for this host alone", address)
	}
}

func (c *check) policy(f *file) dataplane.Policy {
	p := dataplane.Policy{Roots: f.Roots, Users: f.Users, DefaultUser: f.DefaultUser, Dotnet: f.Dotnet, Listeners: map[string]string{}, Edges: map[string]dataplane.Edge{}}
	if p.Roots == nil {
		p.Roots = DefaultRoots()
	}
	for i, root := range f.Roots {
		if !filepath.IsAbs(root) {
			c.add(fmt.Sprintf("roots[%d]", i), "%q is not absolute", root)
		}
	}
	if f.Roots != nil && len(f.Roots) == 0 {
		c.add("roots", "is empty: no application could run here")
	}
	for i, user := range f.Users {
		if user == "root" || user == "0" {
			c.add(fmt.Sprintf("users[%d]", i), "applications do not run as root")
		}
	}
	if f.DefaultUser == "root" || f.DefaultUser == "0" {
		c.add("defaultUser", "applications do not run as root")
	}
	if f.Dotnet != "" && !filepath.IsAbs(f.Dotnet) {
		c.add("dotnet", "%q is not absolute", f.Dotnet)
	}
	if f.Listeners == nil {
		maps.Copy(p.Listeners, DefaultListeners())
	}
	for _, name := range slices.Sorted(maps.Keys(f.Listeners)) {
		c.listener(&p, name, f.Listeners[name])
	}
	return p
}

// Format writes a policy file with a word on each field.
func Format(p dataplane.Policy) []byte {
	var b strings.Builder
	b.WriteString("# What applications may do on this host. The host has the last word: what a site asks for beyond it is rejected.\n")
	write := func(comment, name string, value any) {
		text, err := yaml.MarshalWithOptions(map[string]any{name: value}, yaml.Flow(false))
		if err == nil {
			fmt.Fprintf(&b, "\n# %s\n%s", comment, text)
		}
	}
	roots := p.Roots
	if len(roots) == 0 {
		roots = DefaultRoots()
	}
	write("Folders below which applications may live.", "roots", roots)
	if len(p.Users) > 0 {
		write("Users that sites may name.", "users", p.Users)
	} else {
		b.WriteString("\n# Users that sites may name.\n# users: [shop]\n")
	}
	if p.DefaultUser != "" {
		write("Whom the applications of sites run as that name no user.", "defaultUser", p.DefaultUser)
	} else {
		b.WriteString("\n# Whom the applications of sites run as that name no user; without it such sites are rejected when the agent is root.\n# defaultUser: www-data\n")
	}
	listeners := map[string]listener{}
	for name, address := range p.Listeners {
		listeners[name] = written(address, p.Edges[name])
	}
	if len(listeners) == 0 {
		for name, address := range DefaultListeners() {
			listeners[name] = listener{Address: address}
		}
	}
	write("What the names of listeners mean here; port 0 is a free one, kept over restarts.", "listeners", listeners)
	b.WriteString("\n# Where counters for Prometheus (/metrics) are answered besides the admin socket; only the loopback interface.\n# admin: 127.0.0.1:9464\n")
	if p.Dotnet != "" {
		write("Where .NET is.", "dotnet", p.Dotnet)
	}
	return []byte(b.String())
}

// UserThatExists gives the first of some users that a passwd file has; empty: none.
func UserThatExists(passwd string, names ...string) string {
	for _, name := range names {
		if strings.HasPrefix(passwd, name+":") || strings.Contains(passwd, "\n"+name+":") {
			return name
		}
	}
	return ""
}
