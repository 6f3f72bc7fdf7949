package wire

import (
	"fmt"

	"github.com/ancora-fleet/ancora/dataplane/site"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func binding(m *typesv1.Binding) (site.Binding, error) {
	b := site.Binding{Listener: m.GetListener(), Hostnames: m.GetHostnames()}
	switch m.GetRedirect() {
	case typesv1.Redirect_REDIRECT_UNSPECIFIED:
	case typesv1.Redirect_REDIRECT_HTTPS:
		b.Redirect = site.RedirectHTTPS
	default:
		return b, fmt.Errorf("redirect %d is not known to this version", m.GetRedirect())
	}
	if m.GetTls() == nil {
		return b, nil
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
	switch a.GetMode() {
	case typesv1.ClientCertificateMode_CLIENT_CERTIFICATE_MODE_UNSPECIFIED: // Validate says that it is missing
	case typesv1.ClientCertificateMode_CLIENT_CERTIFICATE_MODE_REQUEST:
		b.TLS.ClientCert.Mode = site.ClientCertRequest
	case typesv1.ClientCertificateMode_CLIENT_CERTIFICATE_MODE_REQUIRE:
		b.TLS.ClientCert.Mode = site.ClientCertRequire
	default:
		return b, fmt.Errorf("client certificate mode %d is not known to this version", a.GetMode())
	}
	return b, nil
}

func bindingMessage(b *site.Binding) *typesv1.Binding {
	m := &typesv1.Binding{Listener: b.Listener, Hostnames: b.Hostnames}
	if b.Redirect == site.RedirectHTTPS {
		m.Redirect = typesv1.Redirect_REDIRECT_HTTPS
	}
	if b.TLS == nil {
		return m
	}
	m.Tls = &typesv1.Tls{}
	for _, c := range b.TLS.Certificates {
		m.Tls.Certificates = append(m.Tls.Certificates, &typesv1.Certificate{Cert: c.Cert, Key: c.Key})
	}
	if a := b.TLS.ClientCert; a != nil {
		mode := map[site.ClientCertMode]typesv1.ClientCertificateMode{
			site.ClientCertRequest: typesv1.ClientCertificateMode_CLIENT_CERTIFICATE_MODE_REQUEST,
			site.ClientCertRequire: typesv1.ClientCertificateMode_CLIENT_CERTIFICATE_MODE_REQUIRE,
		}
		m.Tls.ClientCertificate = &typesv1.ClientCertificate{Mode: mode[a.Mode], Ca: a.CA}
	}
	return m
}
