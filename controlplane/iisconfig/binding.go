package iisconfig

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// address is bindingInformation: ip:port:host, with `*`, nothing or 0.0.0.0 for every address.
type address struct {
	ip   string // empty for every one
	port uint16
	host string // empty for every one
}

func parseAddress(text string) (address, error) {
	wrong := fmt.Errorf("%q is no ip:port:host, as *:80:shop.example.com is", text)
	end := strings.IndexByte(text, ':')
	if strings.HasPrefix(text, "[") {
		if end = strings.IndexByte(text, ']') + 1; end == 0 || end == len(text) || text[end] != ':' {
			return address{}, wrong
		}
	}
	if end < 0 {
		return address{}, wrong
	}
	port, host, ok := strings.Cut(text[end+1:], ":")
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || n == 0 {
		return address{}, wrong
	}
	a := address{port: uint16(n)}
	if a.ip, err = parseIP(text[:end]); err != nil {
		return address{}, wrong
	}
	a.host, err = parseHost(host)
	return a, err
}

func parseIP(text string) (string, error) {
	switch text {
	case "", "*", "0.0.0.0", "[::]":
		return "", nil
	}
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	if err != nil || ip.Zone() != "" {
		return "", fmt.Errorf("%q is no address", text)
	}
	return ip.String(), nil
}

// errHost is for what IIS takes and DNS has not, as names with _.
var errHost = errors.New("no host name")

// parseHost gives a name as DNS has it; other alphabets become their xn-- form.
func parseHost(host string) (string, error) {
	if host == "" || host == "*" {
		return "", nil
	}
	pattern := ""
	if rest, ok := strings.CutPrefix(host, "*."); ok {
		pattern, host = "*.", rest
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", fmt.Errorf("%q is %w: %w", pattern+host, errHost, err)
	}
	return pattern + ascii, nil
}

// listener gives the name of the listener of an address: http and https for every address and the port they are known by.
func (a address) listener(protocol string) string {
	name := protocol
	if a.ip != "" {
		name += "-" + strings.Trim(strings.NewReplacer(".", "-", ":", "-").Replace(a.ip), "-")
	}
	if known := map[string]uint16{"http": 80, "https": 443}[protocol]; a.ip != "" || a.port != known {
		name += "-" + strconv.Itoa(int(a.port))
	}
	return name
}

// listen is what a policy says for the listener.
func (a address) listen() string {
	if strings.Contains(a.ip, ":") {
		return fmt.Sprintf("[%s]:%d", a.ip, a.port)
	}
	return fmt.Sprintf("%s:%d", a.ip, a.port)
}

// String is how IIS writes it.
func (a address) String() string {
	if a.ip == "" {
		return fmt.Sprintf(`"*:%d:%s"`, a.port, a.host)
	}
	return `"` + a.listen() + ":" + a.host + `"`
}

func (m *maker) bindings(s *site.Site) {
	listeners := map[string]bool{}
	for _, e := range (scope{child(m.e, "bindings"), child(m.siteDefaults, "bindings")}).collection() {
		if e.Name != "binding" {
			m.wrong(e.At, "<%s> is not known in bindings: binding is", e.Name)
			continue
		}
		protocol, _ := e.Attribute("protocol")
		information, ok := e.Attribute("bindingInformation")
		name := strings.ToLower(protocol.Value)
		switch {
		case name != "http" && name != "https":
			m.say(NoEquivalent, e.At, "binding %s %s: http and https only are served", protocol.Value, quote(information.Value))
			continue
		case !ok:
			m.wrong(e.At, "a binding of site %q has no bindingInformation", m.made.Name)
			continue
		}
		a, err := parseAddress(information.Value)
		if errors.Is(err, errHost) {
			m.say(NoEquivalent, information.At, "binding %s %s: %v: give the site another name", protocol.Value, quote(information.Value), err)
			continue
		}
		if err != nil {
			m.wrong(information.At, "bindingInformation: %v", err)
			continue
		}
		m.binding(s, e, a, name, listeners)
	}
	m.redirect(s)
}

// binding adds a hostname to the binding of its listener and certificate, or a binding of its own.
func (m *maker) binding(s *site.Site, e *xmltree.Element, a address, protocol string, listeners map[string]bool) {
	b := site.Binding{Listener: a.listener(protocol)}
	if protocol == "https" {
		b.TLS = m.certificate(s, e, a)
	}
	shown := fmt.Sprintf("binding %s %s", protocol, a)
	if !listeners[b.Listener] && b.Listener != protocol {
		m.say(ToDo, e.At, "%s: each host's policy has to say which address listener %s is: listeners: {%s: %q}", shown, b.Listener, b.Listener, a.listen())
	}
	listeners[b.Listener] = true
	if slices.ContainsFunc(s.Bindings, func(have site.Binding) bool { return have.Listener == b.Listener && has(have, a.host) }) {
		m.say(NotNeeded, e.At, "%s stands twice", shown)
		return
	}
	m.say(Carried, e.At, "%s: listener %s%s", shown, b.Listener, hostText(a.host))
	if a.host == "" {
		s.Bindings = append(s.Bindings, b)
		return
	}
	for i := range s.Bindings {
		if have := &s.Bindings[i]; have.Listener == b.Listener && len(have.Hostnames) > 0 && sameFiles(have.TLS, b.TLS) {
			have.Hostnames = append(have.Hostnames, a.host)
			return
		}
	}
	b.Hostnames = []string{a.host}
	s.Bindings = append(s.Bindings, b)
}

func has(b site.Binding, host string) bool {
	if host == "" {
		return len(b.Hostnames) == 0
	}
	return slices.ContainsFunc(b.Hostnames, func(h string) bool { return strings.EqualFold(h, host) })
}

func sameFiles(a, b *site.TLS) bool {
	return a == nil && b == nil || a != nil && b != nil && slices.Equal(a.Certificates, b.Certificates)
}

func hostText(host string) string {
	if host == "" {
		return ", every hostname"
	}
	return ", hostname " + host
}

// The bits of a binding's sslFlags.
const (
	flagSNI          = 1
	flagCentralStore = 2
)

// certificate names the files that the binding's certificate has to be put into. A binding by name has its own, the others of
// a site share one, as they do in IIS.
func (m *maker) certificate(s *site.Site, e *xmltree.Element, a address) *site.TLS {
	flags := uint64(0)
	if f, ok := e.Attribute("sslFlags"); ok {
		n, err := strconv.ParseUint(f.Value, 10, 16)
		if err != nil {
			m.wrong(f.At, "sslFlags=%q is no number", f.Value)
		}
		flags = n
		m.otherFlags(f, flags)
	}
	name := s.Name
	if flags&(flagSNI|flagCentralStore) != 0 && a.host != "" {
		name = strings.Replace(a.host, "*", "_", 1)
	}
	pair := site.Certificate{Cert: m.options.Certificates + "/" + name + ".crt", Key: m.options.Certificates + "/" + name + ".key"}
	where := "it is in the certificate store of Windows: export it with its key"
	if flags&flagCentralStore != 0 {
		where = fmt.Sprintf("take %s.pfx of the central certificate store", name)
	}
	m.say(ToDo, e.At, "certificate of binding https %s: %s, and put it on the hosts as PEM: %s and %s", a, where, pair.Cert, pair.Key)
	return &site.TLS{Certificates: []site.Certificate{pair}}
}

// otherFlags says what the further bits of sslFlags switch off.
func (m *maker) otherFlags(f xmltree.Attribute, flags uint64) {
	for bit, what := range []string{2: "HTTP/2 is off in IIS", 3: "OCSP stapling is off in IIS", 4: "QUIC is off in IIS", 5: "TLS 1.3 is off in IIS", 6: "TLS below 1.2 is off in IIS"} {
		if what != "" && flags&(1<<bit) != 0 {
			m.say(NoEquivalent, f.At, "sslFlags=%s: %s: here a listener with TLS has TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2, no QUIC and no stapling", quote(f.Value), what)
		}
	}
}

// redirect is that of hsts, which IIS does before the application sees a request.
func (m *maker) redirect(s *site.Site) {
	hsts := scope{m.e, m.siteDefaults}.child("hsts")
	_, enabled := hsts.on("enabled")
	at, redirect := hsts.on("redirectHttpToHttps")
	if !redirect || !enabled {
		return
	}
	for i := range s.Bindings {
		b := &s.Bindings[i]
		if b.TLS != nil {
			continue
		}
		hosts := b.Hostnames
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		if slices.ContainsFunc(hosts, func(h string) bool { return site.Target(s.Bindings, h) == nil }) {
			m.say(NoEquivalent, at.At, "hsts redirectHttpToHttps: a hostname of listener %s has no binding of https to go to: add one with redirect: https", b.Listener)
			continue
		}
		b.Redirect = site.RedirectHTTPS
		m.say(Carried, at.At, "hsts redirectHttpToHttps: redirect: https for listener %s", b.Listener)
	}
}
