package secure

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/secure/securetest"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

func TestRead(t *testing.T) {
	dir, ca := t.TempDir(), securetest.NewAuthority(t)
	cert, key := securetest.Write(t, dir, "a", ca.Issue(time.Hour, "a.test"))
	other, otherKey := securetest.Write(t, dir, "b", ca.IssueRSA(2*time.Hour, "a.test"))
	authority, secret, pipe, large := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "secret"), filepath.Join(dir, "pipe"), filepath.Join(dir, "large")
	for file, content := range map[string]string{authority: string(ca.PEM()), secret: "root:hunter2:\n", large: strings.Repeat("x", fileLimit+1)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	probe, err := NewProbe()
	if err != nil {
		t.Fatal(err)
	}
	good := &site.TLS{
		Certificates: []site.Certificate{{Cert: cert, Key: key}, {Cert: other, Key: otherKey}},
		ClientCert:   &site.ClientCert{Mode: site.ClientCertRequire, CA: authority},
	}
	first, err := Read(good, probe)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Certificates) != 2 || first.Certificates[1].File != other || !first.Certificates[0].NotAfter.Before(first.Certificates[1].NotAfter) || len(first.Exposed) != 0 {
		t.Errorf("%+v", first)
	}
	if again, err := Read(good, probe); err != nil || again.Digest != first.Digest {
		t.Error("the same files have another digest", err)
	}
	if err := os.WriteFile(authority, securetest.NewAuthority(t).PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := Read(good, probe); err != nil || again.Binding.Identity == first.Binding.Identity {
		t.Error("other authorities have the same identity", err)
	}
	if err := os.WriteFile(authority, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	securetest.Write(t, dir, "b", ca.Issue(time.Hour, "a.test"))
	if again, err := Read(good, probe); err != nil || again.Digest == first.Digest || again.Binding.Identity != first.Binding.Identity || len(again.Exposed) != 1 {
		t.Error("other files have the same digest, or the open key is not told", err)
	}
	for what, tt := range map[string]struct {
		tls  site.TLS
		want []string
	}{
		"missing":     {site.TLS{Certificates: []site.Certificate{{Cert: dir + "/no.crt", Key: dir + "/no.key"}}}, []string{"no.crt: no such file", "no.key: no such file"}},
		"swapped":     {site.TLS{Certificates: []site.Certificate{{Cert: key, Key: cert}}}, []string{"certificate " + key}},
		"mismatch":    {site.TLS{Certificates: []site.Certificate{{Cert: cert, Key: otherKey}}}, []string{"does not match"}},
		"pipe":        {site.TLS{Certificates: []site.Certificate{{Cert: pipe, Key: dir}}}, []string{"pipe: is no regular file", dir + ": is no regular file"}},
		"size":        {site.TLS{Certificates: []site.Certificate{{Cert: large, Key: key}}}, []string{"at most"}},
		"other files": {site.TLS{Certificates: []site.Certificate{{Cert: secret, Key: secret}}, ClientCert: &site.ClientCert{Mode: site.ClientCertRequest, CA: secret}}, []string{"certificate " + secret, "holds no certificate"}},
	} {
		_, err := Read(&tt.tls, probe)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v, want %q", what, err, want)
			}
		}
	}
}
