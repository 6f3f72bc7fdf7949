package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const shopFile = `apiVersion: ancora/v1
kind: Site
name: shop
placement: {hosts: role=web}
bindings:
  - listener: http
applications:
  - root: /srv/shop
`

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// All that is wrong in all files is told at once, each with its place, before a controller is asked for.
func TestApplyInvalid(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "a.yaml", strings.Replace(shopFile, "kind: Site\n", "kind: Site\ncolour: red\n", 1))
	b := write(t, dir, "b.yaml", strings.Replace(shopFile, "root: /srv/shop", "root: srv", 1)+"    release: {every: 24h}\n")
	write(t, dir, "c.txt", "not a site file")
	code, out, errors := call(t, nil, "", "apply", "-f", dir)
	if code != exitUsage || out != "" {
		t.Errorf("code %d, stdout %q", code, out)
	}
	for _, says := range []string{a + ":3:", "colour", b + ":8:", "srv", b + ":9:", "release"} {
		if !strings.Contains(errors, says) {
			t.Errorf("%q is not told:\n%s", says, errors)
		}
	}
	for line := range strings.Lines(errors) {
		if !strings.HasPrefix(line, dir) {
			t.Errorf("a line does not begin with its file: %q", line)
		}
	}
}

func TestApplyFiles(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	shop := write(t, dir, "shop.yaml", shopFile)
	for _, c := range []struct{ args, in, says string }{
		{"-f " + filepath.Join(dir, "none.yaml"), "", "none.yaml: no such file or directory"},
		{"-f " + empty, "", "empty: holds no .yaml file"},
		{"-f " + shop + " -f -", shopFile, `"shop" stands in ` + shop + " already"},
		{"-f " + dir + " -f - --if-revision 1", strings.Replace(shopFile, "shop", "blog", 1), "--if-revision is for one site, not for 2"},
		{"-f -", shopFile, "no controller is named"},
	} {
		code, _, errors := call(t, nil, c.in, append([]string{"apply"}, strings.Fields(c.args)...)...)
		if code != exitUsage || !strings.Contains(errors, c.says) {
			t.Errorf("apply %s: code %d, %s; want %q", c.args, code, errors, c.says)
		}
	}
}
