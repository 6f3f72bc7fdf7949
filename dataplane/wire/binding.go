package wire

import (
	"github.com/ancora-fleet/ancora/dataplane/site"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func binding(m *typesv1.Binding) (site.Binding, error) {
	b := site.Binding{Listener: m.GetListener(), Hostnames: m.GetHostnames()}
	var err error
	if b.Redirect, err = redirects().word("redirect", m.GetRedirect()); err != nil || m.GetTls() == nil {
		return b, err
	}
	b.TLS = &site.TLS{}
	for _, c := range m.GetTls().GetCertificates() {
		b.TLS.Certificates = append(b.TLS.Certificates, site.Certificate{Cert: c.GetCert(), Key: c.GetKey()})
	}
	a := m.GetTls().GetClientCertificate()
	if a == nil {
		return b, nil
	}
	b.TLS.ClientCert = &site.ClientCert{CA: a.GetCa()}
	b.TLS.ClientCert.Mode, err = clientCertModes().word("client certificate mode", a.GetMode())
	return b, err
}

func bindingMessage(b *site.Binding) *typesv1.Binding {
	m := &typesv1.Binding{Listener: b.Listener, Hostnames: b.Hostnames, Redirect: redirects().number(b.Redirect)}
	if b.TLS == nil {
		return m
	}
	m.Tls = &typesv1.Tls{}
	for _, c := range b.TLS.Certificates {
		m.Tls.Certificates = append(m.Tls.Certificates, &typesv1.Certificate{Cert: c.Cert, Key: c.Key})
	}
	if a := b.TLS.ClientCert; a != nil {
		m.Tls.ClientCertificate = &typesv1.ClientCertificate{Mode: clientCertModes().number(a.Mode), Ca: a.CA}
	}
	return m
}
