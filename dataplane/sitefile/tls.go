package sitefile

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// tls reads one certificate in its short form, or a list.
func (r *reader) tls(n ast.Node, path string) *site.TLS {
	t := &site.TLS{}
	var one site.Certificate
	r.fields(n, path, map[string]field{
		"cert": r.text(&one.Cert), "key": r.text(&one.Key),
		"certificates": func(n ast.Node, path string) {
			r.list(n, path, func(n ast.Node, path string) {
				var c site.Certificate
				r.fields(n, path, map[string]field{"cert": r.text(&c.Cert), "key": r.text(&c.Key)})
				t.Certificates = append(t.Certificates, c)
			})
		},
		"clientCert": func(n ast.Node, path string) {
			t.ClientCert = &site.ClientCert{}
			var mode string
			r.fields(n, path, map[string]field{"mode": r.text(&mode), "ca": r.text(&t.ClientCert.CA)})
			t.ClientCert.Mode = site.ClientCertMode(mode)
		},
	})
	if one == (site.Certificate{}) {
		return t
	}
	if t.Certificates != nil {
		r.wrong(n, path, "has cert and key beside certificates: put them into the list")
		return t
	}
	t.Certificates = []site.Certificate{one}
	return t
}

func (w *writer) tls(t *site.TLS) {
	if t == nil {
		return
	}
	w.line(2, "tls:")
	if len(t.Certificates) == 1 {
		w.line(3, "cert: %s", quote(t.Certificates[0].Cert))
		w.line(3, "key: %s", quote(t.Certificates[0].Key))
	} else {
		w.line(3, "certificates:")
		for _, c := range t.Certificates {
			w.line(4, "- cert: %s", quote(c.Cert))
			w.line(5, "key: %s", quote(c.Key))
		}
	}
	if a := t.ClientCert; a != nil {
		w.line(3, "clientCert:")
		w.line(4, "mode: %s", quote(string(a.Mode)))
		w.line(4, "ca: %s", quote(a.CA))
	}
}
