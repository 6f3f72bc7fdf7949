package pki_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/ancora-fleet/ancora/controlplane/pki"
)

func TestTheAuthorityIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	first, err := pki.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := pki.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Digest(), again.Digest()) {
		t.Error("a second CA was made")
	}
	info, err := os.Stat(filepath.Join(dir, "ca.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the key: %v %v", info.Mode(), err)
	}
}

func TestHalfAnAuthorityIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(dir string) error
		ok   bool
	}{
		{"key lost", func(dir string) error { return os.Remove(filepath.Join(dir, "ca.key")) }, false},
		{"key broken", func(dir string) error { return os.WriteFile(filepath.Join(dir, "ca.key"), []byte("x"), 0o600) }, false},
		{"certificate broken", func(dir string) error { return os.WriteFile(filepath.Join(dir, "ca.crt"), nil, 0o600) }, false},
		// As after a crash between the two files of the first start.
		{"certificate not yet made", func(dir string) error { return os.Remove(filepath.Join(dir, "ca.crt")) }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := pki.Open(dir); err != nil {
				t.Fatal(err)
			}
			if err := c.harm(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := pki.Open(dir); (err == nil) != c.ok {
				t.Errorf("opening gives %v", err)
			}
		})
	}
}
