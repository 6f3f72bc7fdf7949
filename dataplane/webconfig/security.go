package webconfig

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/filter"
)

// security reads a group of sections; it may stand twice, they may not.
func (r *reader) security(at spot, e *element) {
	r.noText(e)
	if len(e.children) == 0 {
		r.ignored(e, e.name)
	}
	for _, s := range e.children {
		name := "security/" + s.name
		if read := r.reader("security", s.name); read != nil {
			r.once(at, s, name, read)
			continue
		}
		switch s.name {
		case "authentication":
			r.authentication(s, name)
		case "authorization":
			r.authorization(s, name)
		case "dynamicIpSecurity":
			r.dynamicIPSecurity(s, name)
		default:
			if !r.misspelt(s, "security/", "requestFiltering", "ipSecurity", "access", "authentication", "authorization", "dynamicIpSecurity") {
				r.ignored(s, name)
			}
		}
	}
}

// ipSecurity reads which clients may come in. The first entry that holds an address decides; those of a place come before
// those it inherits.
func (r *reader) ipSecurity(at spot, e *element, path string) {
	r.honoured(at, e, path)
	action := ""
	r.take(e, map[string]read{
		"allowUnlisted": r.boolean(func(_ attribute, on bool) {
			r.edit(at, func(rules *filter.Rules) { rules.Clients.DenyUnlisted = !on })
		}),
		"denyAction":       r.oneOf(&action, "Forbidden", "Unauthorized", "NotFound", "AbortRequest"),
		"enableReverseDns": r.ignore(path),
		"enableProxyMode": func(a attribute) {
			if strings.EqualFold(a.value, "true") {
				r.say(Warning, a.at, "%s: enableProxyMode has no effect: whose X-Forwarded-For is believed is said by the host's policy", path)
				return
			}
			r.flag(new(bool))(a)
		},
	})
	if action != "" {
		status := map[string]int{"Unauthorized": 401, "NotFound": 404, "AbortRequest": filter.Abort}[action]
		r.edit(at, func(rules *filter.Rules) { rules.Clients.Status = status })
	}
	var own []filter.Range
	dropped := func(rules *filter.Rules, network netip.Prefix) {
		rules.Clients.Ranges = slices.DeleteFunc(slices.Clone(rules.Clients.Ranges), func(one filter.Range) bool { return one.Network == network })
	}
	r.holds(e, map[string]func(*element){
		"add": func(e *element) {
			r.leaf(e)
			one := filter.Range{}
			network, ok := r.network(e, map[string]read{"allowed": r.flag(&one.Allowed)})
			if one.Network = network; ok {
				own = append(own, one)
			}
		},
		"remove": func(e *element) {
			r.leaf(e)
			if network, ok := r.network(e, nil); ok {
				own = slices.DeleteFunc(own, func(one filter.Range) bool { return one.Network == network })
				r.edit(at, func(rules *filter.Rules) { dropped(rules, network) })
			}
		},
		"clear": func(e *element) {
			r.leaf(e)
			r.only(e)
			own = nil
			r.edit(at, func(rules *filter.Rules) { rules.Clients.Ranges = nil })
		},
	})
	if len(own) > 0 {
		r.edit(at, func(rules *filter.Rules) {
			rules.Clients.Ranges = slices.Concat(own, rules.Clients.Ranges)
		})
	}
}

// network reads the address of an entry. A name would have to be looked up for every visitor: it is refused.
func (r *reader) network(e *element, more map[string]read) (netip.Prefix, bool) {
	var address, mask attribute
	number := func(to *attribute) read {
		return func(a attribute) {
			*to = a
			r.described(a, Attribute{Kind: Address})
		}
	}
	known := map[string]read{
		"ipAddress": number(&address), "subnetMask": number(&mask),
		"domainName": func(a attribute) {
			if !r.described(a, Attribute{Kind: Nothing}) && a.value != "" {
				r.wrong(a.at, a.name, a.value, "is not looked up: ipAddress and subnetMask say who may come in")
			}
		},
	}
	for name, read := range more {
		known[name] = read
	}
	r.take(e, known)
	if name, _ := e.attribute("domainName"); name.value != "" || !r.required(e, "ipAddress") {
		return netip.Prefix{}, false
	}
	ip, err := netip.ParseAddr(strings.TrimSpace(address.value))
	if err != nil || ip.Zone() != "" {
		r.wrong(address.at, address.name, address.value, "is no address: 10.20.0.0 or 2001:db8:: are")
		return netip.Prefix{}, false
	}
	ip = ip.Unmap()
	bits, err := maskBits(strings.TrimSpace(mask.value), ip.BitLen())
	if err != nil {
		r.wrong(mask.at, mask.name, mask.value, "%v", err)
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(ip, bits).Masked(), true
}

// maskBits reads a mask, or the number of its bits; none is a single address.
func maskBits(mask string, most int) (int, error) {
	if mask == "" {
		return most, nil
	}
	if n, err := strconv.Atoi(mask); err == nil {
		if n < 0 || n > most {
			return 0, fmt.Errorf("is not in 0 to %d", most)
		}
		return n, nil
	}
	m, err := netip.ParseAddr(mask)
	if err != nil || m.BitLen() != most {
		return 0, fmt.Errorf("is no mask: 255.255.0.0, or a number of bits up to %d, are", most)
	}
	bits, rest := 0, false
	for _, b := range m.AsSlice() {
		for i := 7; i >= 0; i-- {
			one := b>>i&1 == 1
			if one && rest {
				return 0, fmt.Errorf("has a gap: a mask of a network is ones, then zeros")
			}
			if rest = rest || !one; one {
				bits++
			}
		}
	}
	return bits, nil
}

// access reads sslFlags.
func (r *reader) access(at spot, e *element, path string) {
	r.honoured(at, e, path)
	r.leaf(e)
	r.take(e, map[string]read{"sslFlags": func(a attribute) {
		if r.described(a, Attribute{Kind: Words, Choices: []string{"None", "Ssl", "SslNegotiateCert", "SslRequireCert", "SslMapCert", "Ssl128"}}) {
			return
		}
		var tls, certificate bool
		for flag := range strings.SplitSeq(a.value, ",") {
			switch strings.ToLower(strings.TrimSpace(flag)) {
			case "", "none", "sslnegotiatecert":
			case "ssl", "ssl128": // what is accepted at all has more than 128 bits
				tls = true
			case "sslrequirecert":
				certificate = true
				r.say(Warning, a.at, "%s: SslRequireCert: clients are asked for a certificate where the site's binding says so (tls: clientCert), and nowhere else", path)
			case "sslmapcert":
				r.note(a.at, "%s: SslMapCert has no effect", path)
			default:
				r.wrong(a.at, a.name, a.value, "%q is not known: None, Ssl, SslNegotiateCert, SslRequireCert, SslMapCert, Ssl128", strings.TrimSpace(flag))
			}
		}
		r.edit(at, func(rules *filter.Rules) { rules.TLS, rules.Certificate = tls, certificate })
	}})
}
