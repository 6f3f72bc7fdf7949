package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/sitefile"
)

const hostConfig = `<configuration><system.applicationHost>
<applicationPools><add name="p"><processModel userName="A\b" password="plain"/></add></applicationPools>
<sites>
<site name="Shop"><application path="/" applicationPool="p"><virtualDirectory path="/" physicalPath="D:\Sites\Shop"/></application>
<bindings><binding protocol="http" bindingInformation="*:80:shop.example.com"/></bindings></site>
<site name="Blog"><application path="/" applicationPool="p"><virtualDirectory path="/" physicalPath="E:\blog"/></application>
<bindings><binding protocol="http" bindingInformation="*:80:blog.example.com"/></bindings></site>
</sites></system.applicationHost></configuration>`

var mapped = []string{"--map", `d:\sites=/srv`, "--map", `E:=/mnt/e`}

func TestImport(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "applicationHost.config", hostConfig)
	code, out, report := call(t, nil, "", append([]string{"import", file}, mapped...)...)
	sites, err := sitefile.Parse("out", []byte(out))
	if code != exitOK || err != nil || len(sites) != 2 || sites[0].Applications[0].Root != "/srv/Shop" || sites[1].Applications[0].Root != "/mnt/e/blog" {
		t.Fatalf("code %d, %v\n%s%s", code, err, out, report)
	}
	for _, says := range []string{"site shop, \"Shop\" in IIS: 1 to do, ", "site blog, ", file + ":4: carried over: application /: D:\\Sites\\Shop is /srv/Shop\n"} {
		if !strings.Contains(report, says) {
			t.Errorf("%q is not told:\n%s", says, report)
		}
	}
	for line := range strings.Lines(report) {
		if !strings.HasPrefix(line, "site ") && !strings.HasPrefix(line, "  "+file+":") {
			t.Errorf("a line without its place: %q", line)
		}
	}
	if strings.Contains(out+report, "plain") {
		t.Error("a password is passed on")
	}
}

// Folders that are nowhere are told at once, with flags that are enough, and nothing is written.
func TestImportUnmapped(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "applicationHost.config", hostConfig)
	to := filepath.Join(dir, "out.yaml")
	code, out, errors := call(t, nil, "", "import", file, "--out", to)
	if _, err := os.Stat(to); code != exitUsage || out != "" || err == nil {
		t.Errorf("code %d, stdout %q, %v", code, out, err)
	}
	args := []string{"import", file}
	for line := range strings.Lines(errors) {
		if flag, ok := strings.CutPrefix(strings.TrimSpace(line), "--map '"); ok {
			args = append(args, "--map", strings.TrimSuffix(flag, "'"))
		}
	}
	if len(args) != 6 || !strings.Contains(errors, file+`:4: D:\Sites\Shop (site Shop)`) {
		t.Errorf("%q\n%s", args, errors)
	}
	if code, _, errors := call(t, nil, "", args...); code != exitOK {
		t.Errorf("the flags it asks for: code %d\n%s", code, errors)
	}
}

// The folder that IIS exports: one file of it is read. A folder gets a file a site, and no file is replaced unasked.
func TestImportFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "applicationhost.config", hostConfig)
	write(t, dir, "administration.config", "not read")
	write(t, dir, "configEncKey.key", "not read")
	to, report := filepath.Join(dir, "sites")+"/", filepath.Join(dir, "report.json")
	args := append([]string{"import", dir, "--out", to, "--report", report, "-o", "json"}, mapped...)
	if code, out, errors := call(t, nil, "", args...); code != exitOK || out != "" || errors != "" {
		t.Fatalf("code %d, %s%s", code, out, errors)
	}
	for _, name := range []string{"shop", "blog"} {
		content, err := os.ReadFile(to + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		if sites, err := sitefile.Parse(name, content); err != nil || sites[0].Name != name {
			t.Errorf("%v %v", sites, err)
		}
	}
	if info, err := os.Stat(to + "shop.yaml"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read it: %v %v", info, err)
	}
	content, err := os.ReadFile(report)
	var got reportJSON
	if err != nil || json.Unmarshal(content, &got) != nil || len(got.Sites) != 2 || got.Sites[0].NameInIIS != "Shop" || len(got.Sites[0].Lines) < 5 || len(got.NotRead) != 2 {
		t.Errorf("%v %+v\n%s", err, got, content)
	}
	code, _, errors := call(t, nil, "", args...)
	if code != exitUsage || strings.Count(errors, "is there already: --overwrite") != 2 {
		t.Errorf("code %d, %s", code, errors)
	}
	if code, _, errors := call(t, nil, "", append(args, "--overwrite", "--site", "shop", "--hosts", "role=web")...); code != exitOK {
		t.Errorf("code %d, %s", code, errors)
	}
	if content, err := os.ReadFile(to + "shop.yaml"); err != nil || !strings.Contains(string(content), `{hosts: role=web}`) {
		t.Errorf("%s %v", content, err)
	}
}

// A server that takes its configuration from a share has an old one beside the file that says so.
func TestImportRedirected(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "applicationHost.config", hostConfig)
	file := write(t, dir, "redirection.config", `<configuration><configurationRedirection enabled="true" path="\\nas\iis" /></configuration>`)
	for _, from := range []string{dir, file} {
		code, out, errors := call(t, nil, "", append([]string{"import", from}, mapped...)...)
		if code != exitUsage || out != "" || !strings.Contains(errors, file+`:1:42: configurationRedirection: the configuration of this server is in \\nas\iis,`) {
			t.Errorf("%s: code %d, %s%s", from, code, out, errors)
		}
	}
	write(t, dir, "redirection.config", `<configuration><configurationRedirection /></configuration>`)
	if code, _, errors := call(t, nil, "", append([]string{"import", dir}, mapped...)...); code != exitOK {
		t.Errorf("code %d, %s", code, errors)
	}
}

// The web.config of a published folder is a site of its own; its folder is where it stands unless a map says otherwise.
func TestImportWebConfig(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Publish")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	file := write(t, dir, "Web.Config", `<configuration><system.webServer><aspNetCore processPath="dotnet" arguments="a.dll"/></system.webServer></configuration>`)
	for root, args := range map[string][]string{dir: {file}, "/srv/shop": {dir, "--map", dir + "=/srv/shop"}} {
		code, out, report := call(t, nil, "", append([]string{"import"}, args...)...)
		sites, err := sitefile.Parse("out", []byte(out))
		if code != exitOK || err != nil || len(sites) != 1 || sites[0].Name != "publish" || sites[0].Applications[0].Root != root || len(sites[0].Applications[0].Command) > 0 {
			t.Errorf("%q: code %d, %v\n%s%s", args, code, err, out, report)
		}
		if !strings.HasPrefix(report, "site publish: ") || !strings.Contains(report, "  "+file+":1: ") {
			t.Errorf("%q says:\n%s", args, report)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "applicationHost.config", hostConfig)
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	web := write(t, empty, "Web.config", `<configuration><system.webServer><aspNetCore procesPath="x"/></system.webServer></configuration>`)
	other := filepath.Join(dir, "other")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	ftp := write(t, dir, "ftp.config", strings.ReplaceAll(hostConfig, `protocol="http"`, `protocol="ftp"`))
	broken := write(t, dir, "broken.config", strings.Replace(hostConfig, "*:80:shop", "*:x:shop", 1))
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{filepath.Join(dir, "none")}, exitUsage, "none: no such file or directory"},
		{[]string{other}, exitUsage, "other: holds neither applicationHost.config nor web.config"},
		{[]string{empty}, exitUsage, web + ":1:46: procesPath"},
		{[]string{file, "--map", `D:\Sites`}, exitUsage, `--map "D:\Sites" is no FROM=TO`},
		{[]string{file, "--hosts", "="}, exitUsage, "--hosts: "},
		{[]string{file, "--certificates", "etc"}, exitUsage, `--certificates "etc" is no absolute folder`},
		{[]string{file, "-o", "xml"}, exitUsage, "is none of text, json"},
		{[]string{file, "--site", "x"}, exitUsage, `has no site "x": ["Shop" "Blog"] are there`},
		{[]string{broken}, exitUsage, broken + ":5:36: bindingInformation: "},
		{[]string{ftp}, exitFailed, "no site can be written"},
	} {
		code, out, errors := call(t, nil, "", append([]string{"import"}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(errors, c.says) {
			t.Errorf("import %q: code %d, %s%s; want %q", c.args, code, out, errors, c.says)
		}
	}
}
