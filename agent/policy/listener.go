package policy

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// shortestIdle and longestIdle are the limits of idleTimeout.
const (
	shortestIdle = time.Second
	longestIdle  = time.Hour
)

// mostConnections is the limit of maxConnections and maxConnectionsPerSource; the least is 1.
const mostConnections = 1_000_000

// listener is an address, or an address and how those are treated who connect to it.
type listener struct {
	Address                 string   `yaml:"address"`
	Protocols               []string `yaml:"protocols,omitempty,flow"`
	TrustedProxies          []string `yaml:"trustedProxies,omitempty,flow"`
	ProxyProtocol           bool     `yaml:"proxyProtocol,omitempty"`
	IdleTimeout             string   `yaml:"idleTimeout,omitempty"`
	MaxConnections          *int     `yaml:"maxConnections,omitempty"`
	MaxConnectionsPerSource *int     `yaml:"maxConnectionsPerSource,omitempty"`
}

// MarshalYAML writes the short form where it says all.
func (l listener) MarshalYAML() (any, error) {
	type long listener
	if reflect.DeepEqual(l, listener{Address: l.Address}) {
		return l.Address, nil
	}
	return long(l), nil
}

// written is a listener as Format writes it.
func written(address string, e dataplane.Edge) listener {
	l := listener{Address: address, ProxyProtocol: e.ProxyProtocol}
	if e.H2C {
		l.Protocols = []string{"http/1.1", "h2c"}
	}
	for _, network := range e.TrustedProxies {
		l.TrustedProxies = append(l.TrustedProxies, network.String())
	}
	if e.IdleTimeout != 0 {
		l.IdleTimeout = e.IdleTimeout.String()
	}
	if e.MaxConnections != 0 {
		l.MaxConnections = &e.MaxConnections
	}
	if e.MaxConnectionsPerSource != 0 {
		l.MaxConnectionsPerSource = &e.MaxConnectionsPerSource
	}
	return l
}

func (c *check) listeners(value ast.Node, f *file) {
	entries, ok := value.(ast.MapNode)
	if !ok {
		c.decode(value, &f.Listeners)
		return
	}
	f.Listeners = map[string]listener{}
	for each := entries.MapRange(); each.Next(); {
		l, good := listener{}, true
		switch v := each.Value().(type) {
		case ast.ScalarNode:
			l.Address = v.GetToken().Value
		case ast.MapNode:
			l, good = c.long(v)
		default:
			good = c.decode(v, &l)
		}
		if good {
			f.Listeners[each.Key().GetToken().Value] = l
		}
	}
}

// long reads the long form field by field, for the same reason as read. It is good when there is more to say of it.
func (c *check) long(fields ast.MapNode) (l listener, good bool) {
	before := len(c.problems)
	for each := fields.MapRange(); each.Next(); {
		var to any
		switch name := each.Key().GetToken().Value; name {
		case "address":
			to = &l.Address
		case "protocols":
			to = &l.Protocols
		case "trustedProxies":
			to = &l.TrustedProxies
		case "proxyProtocol":
			to = &l.ProxyProtocol
		case "idleTimeout":
			to = &l.IdleTimeout
		case "maxConnections":
			l.MaxConnections = c.number(each.Value())
			continue
		case "maxConnectionsPerSource":
			l.MaxConnectionsPerSource = c.number(each.Value())
			continue
		default:
			c.problems = append(c.problems, fmt.Errorf("%s:%s: field %q is not known: address, protocols, trustedProxies, proxyProtocol, idleTimeout, maxConnections, maxConnectionsPerSource", c.path, position(each.Key()), name))
			continue
		}
		c.decode(each.Value(), to)
	}
	return l, l.Address != "" || len(c.problems) == before
}

func (c *check) listener(p *dataplane.Policy, name string, l listener) {
	field := "listeners." + name
	if err := site.ValidLabel(name); err != nil {
		c.add(field, "%v", err)
	}
	c.address(p, name, field, l.Address)
	p.Listeners[name] = l.Address
	e := dataplane.Edge{
		TrustedProxies: c.networks(field+".trustedProxies", l.TrustedProxies),
		ProxyProtocol:  l.ProxyProtocol,
		IdleTimeout:    c.idle(field+".idleTimeout", l.IdleTimeout),

		MaxConnections:          c.connections(field+".maxConnections", l.MaxConnections),
		MaxConnectionsPerSource: c.connections(field+".maxConnectionsPerSource", l.MaxConnectionsPerSource),
	}
	for i, protocol := range l.Protocols {
		switch protocol {
		case "http/1.1":
		case "h2c":
			e.H2C = true
		default:
			c.add(fmt.Sprintf("%s.protocols[%d]", field, i), "%q is not known: http/1.1 and h2c", protocol)
		}
	}
	if !e.Same(dataplane.Edge{}) {
		p.Edges[name] = e
	}
}

func (c *check) address(p *dataplane.Policy, name, field, address string) {
	host, port, err := net.SplitHostPort(address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil || portErr != nil:
		c.add(field, "%q is not HOST:PORT, with a port from 0 (a free one) to 65535", address)
	case host != "" && net.ParseIP(host) == nil:
		c.add(field, "%q: the host is an IP address, or empty for all", address)
	}
	for _, other := range slices.Sorted(maps.Keys(p.Listeners)) {
		if n != 0 && p.Listeners[other] == address {
			c.add(field, "%q is the address of %s already", address, other)
		}
	}
}

// networks reads a list of networks and addresses.
func (c *check) networks(field string, texts []string) []netip.Prefix {
	var all []netip.Prefix
	for i, text := range texts {
		network, err := Network(text)
		if err != nil {
			c.add(fmt.Sprintf("%s[%d]", field, i), "%v", err)
			continue
		}
		all = append(all, network)
	}
	return all
}

// Network reads a network, or an address as the network that has no other: 10.0.0.0/8, 192.0.2.7, 2001:db8::/32.
func Network(text string) (netip.Prefix, error) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		addr, addrErr := netip.ParseAddr(text)
		if addrErr != nil || addr.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is not a network like 10.0.0.0/8 or an IP address", text)
		}
		network = netip.PrefixFrom(addr, addr.BitLen())
	}
	if network.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 network in an IPv6 one: write it as IPv4", text)
	}
	if network != network.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits behind its length: the network is %v", text, network.Masked())
	}
	return network, nil
}

func (c *check) idle(field, text string) time.Duration {
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < shortestIdle || d > longestIdle {
		c.add(field, "%q is not a time from %v to %v, like 30s or 2m", text, shortestIdle, longestIdle)
		return 0
	}
	return d
}

// number is nil where there is none.
func (c *check) number(value ast.Node) *int {
	n := new(int)
	if !c.decode(value, n) {
		return nil
	}
	return n
}

// connections gives 0 for what is not said.
func (c *check) connections(field string, n *int) int {
	if n == nil {
		return 0
	}
	if *n < 1 || *n > mostConnections {
		c.add(field, "%d is not from 1 to %d", *n, mostConnections)
	}
	return *n
}
