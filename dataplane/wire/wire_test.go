package wire

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

func full() *site.Site {
	limit, timeout, fails, plain := 30*time.Second, time.Duration(0), uint32(0), true
	body, concurrency := int64(0), uint32(2)
	return &site.Site{
		Name: "shop", Labels: map[string]string{"team": "web", "env": "prod"}, Placement: site.Placement{Hosts: "role=web"},
		Bindings: []site.Binding{{Listener: "http", Hostnames: []string{"shop.example.com"}, Redirect: site.RedirectHTTPS}, {Listener: "https", TLS: &site.TLS{
			Certificates: []site.Certificate{{Cert: "/a.crt", Key: "/a.key"}, {Cert: "/b.crt", Key: "/b.key"}},
			ClientCert:   &site.ClientCert{Mode: site.ClientCertRequest, CA: "/ca.crt"},
		}}},
		CreateTime: time.Unix(1000, 5).UTC(), Revision: 7, AccessLog: site.AccessLogW3C,
		Applications: []site.Application{{
			Path: "/", Root: "/srv/shop", User: "shop", IISEnvironment: true, Profile: site.ProfileGeneric, Socket: site.SocketUnix, Protocol: site.ProtocolH2C, Command: []string{"./api", "--x"},
			Env: []site.Variable{{Name: "A", Value: ""}}, Start: site.StartAlways, StartupTimeLimit: &limit,
			ShutdownTimeLimit: &limit, Drain: &limit, Overlap: &plain, Instances: &fails, Balance: site.BalanceLeastOutstanding, Affinity: site.AffinityCookie, RequestTimeout: &timeout, RapidFailsPerMinute: &fails, DisableStartUpErrorPage: &plain,
			BodyLimit: &body, Concurrency: &concurrency, Queue: &fails, QueueTimeout: &timeout,
			Open: []string{"authorization"}, Idle: &timeout, Warmup: []string{},
			Recycle: site.Recycle{Memory: &body, Requests: &fails, Age: &limit, Schedule: []string{"03:00"}},
		}, {
			Path: "/api", Root: "/srv/api", Warmup: []string{"/"},
		}},
	}
}

// Zeros that are set survive: rapidFailsPerMinute 0 is not the default, nor is a body of 0 bytes.
func TestRoundTrip(t *testing.T) {
	want := full()
	got, err := Site(SiteMessage(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDocumentIsTheSameForTheSameSite(t *testing.T) {
	m := SiteMessage(full())
	first, digest, err := Document(m)
	if err != nil {
		t.Fatal(err)
	}
	m.Revision, m.Etag = 8, "x"
	second, again, err := Document(m)
	if err != nil || string(first) != string(second) || string(digest) != string(again) {
		t.Errorf("revision and etag change the document, %v", err)
	}
	parsed, err := ParseDocument(first)
	if err != nil || parsed.GetRevision() != 0 || parsed.GetCreateTime() == nil {
		t.Errorf("%v, %v", parsed, err)
	}
}

func TestUnknownIsRefusedAtAnyDepth(t *testing.T) {
	unknown := protowire.AppendVarint(protowire.AppendTag(nil, 1000, protowire.VarintType), 1)
	for name, change := range map[string]func(*typesv1.Site){
		"site":       func(m *typesv1.Site) { m.ProtoReflect().SetUnknown(unknown) },
		"placement":  func(m *typesv1.Site) { m.GetPlacement().GetHosts().ProtoReflect().SetUnknown(unknown) },
		"variable":   func(m *typesv1.Site) { m.Applications[0].Process.Env[0].ProtoReflect().SetUnknown(unknown) },
		"redirect":   func(m *typesv1.Site) { m.Bindings[0].Redirect = 99 },
		"mode":       func(m *typesv1.Site) { m.Bindings[1].Tls.ClientCertificate.Mode = 99 },
		"key":        func(m *typesv1.Site) { m.Bindings[1].Tls.Certificates[0].ProtoReflect().SetUnknown(unknown) },
		"access log": func(m *typesv1.Site) { m.AccessLog = 99 },
		"enum":       func(m *typesv1.Site) { m.Applications[0].Profile = 99 },
	} {
		m := SiteMessage(full())
		change(m)
		content, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseDocument(content); err == nil || !strings.Contains(err.Error(), "does not know") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseDocument(f *testing.F) {
	content, _, _ := Document(SiteMessage(full()))
	f.Add(content)
	f.Add([]byte{0x08, 0x01})
	f.Fuzz(func(t *testing.T, content []byte) {
		m, err := ParseDocument(content)
		if err != nil {
			return
		}
		if s, err := Site(m); err == nil {
			_ = s.Validate()
		}
	})
}
