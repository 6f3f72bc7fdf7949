package launch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// Where each way to write the directory leads; what leads out of the folder is for the policy to open.
func TestShadowPlace(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(top, "srv/app")
	for _, dir := range []string{root + "/data", top + "/srv/other", top + "/etc"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{root + "/out": top + "/srv/other", root + "/in": "data", top + "/srv/away": top + "/etc", root + "/self": ".", top + "/srv/back": root} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ written, want, err string }{
		{"", "app|ShadowCopyDirectory", ""},
		{`copies\`, "app|copies", ""},
		{"./a/../copies", "app|copies", ""},
		{root + "/copies", "app|copies", ""},
		{"in/copies", "app|data/copies", ""},
		{"../ShadowCopyDirectory/", "srv|ShadowCopyDirectory", ""},
		{`..\other\copies`, "srv|other/copies", ""},
		{top + "/srv/other", "srv|other", ""},
		{"../back/copies", "app|copies", ""},
		{`C:\inetpub\copies`, "app|ShadowCopyDirectory", ""},
		{`\\server\share`, "app|ShadowCopyDirectory", ""},
		{"C:/copies", "app|ShadowCopyDirectory", ""},
		{"../../etc", "", "nor below one that this host's policy allows"},
		{"/var/copies", "", "nor below one that this host's policy allows"},
		{top + "/srvother", "", "nor below one that this host's policy allows"},
		{"../away/copies", "", "nor below one that this host's policy allows"},
		{"out/copies", "", "is behind a symbolic link out of the folder"},
		{".", "", "holds the folder that is to be copied"},
		{"..", "", "holds the folder that is to be copied"},
		{"/", "", "holds the folder that is to be copied"},
		{"self", "", "holds the folder that is to be copied"},
	} {
		p := &Plan{root: root}
		p.shadow(Input{Root: root, Roots: []string{top + "/srv"}}, &webconfig.Config{Settings: map[string]string{"enableshadowcopy": "TRUE", "shadowcopydirectory": c.written}})
		got := ""
		if p.Shadow != nil {
			got = filepath.Base(p.Shadow.Top) + "|" + p.Shadow.Path
		}
		said := p.Notes[len(p.Notes)-1]
		if got != c.want || !strings.Contains(said.Text, c.err) || (said.Kind == webconfig.Warning) != (c.want == "") {
			t.Errorf("%q: %s, %v; want %s, %s", c.written, got, said, c.want, c.err)
		}
	}
	if top, path, err := shadowPlace("../../etc/copies", root, nil); top != "/" || "/"+path != filepath.Join(filepath.Dir(filepath.Dir(root)), "etc/copies") || err != nil {
		t.Errorf("without roots: %s, %s, %v", top, path, err)
	}
}

// Either name of the setting switches it; without it the other ones are noted.
func TestShadowSwitch(t *testing.T) {
	for _, c := range []struct {
		settings map[string]string
		on       bool
		notes    int
	}{
		{nil, false, 0},
		{map[string]string{"enableshadowcopy": "false"}, false, 0},
		{map[string]string{"shadowcopydirectory": "x"}, false, 1},
		{map[string]string{"cleanshadowcopydirectory": "true"}, false, 1},
		{map[string]string{"experimentalenableshadowcopy": "1"}, true, 1},
	} {
		p := &Plan{root: "/srv/app"}
		p.shadow(Input{Root: "/srv/app"}, &webconfig.Config{Settings: c.settings})
		if (p.Shadow != nil) != c.on || len(p.Notes) != c.notes {
			t.Errorf("%v: %v, %v", c.settings, p.Shadow, p.Notes)
		}
	}
}

// An instance with a copy has the program, the assemblies and a script from there, and nothing else.
func TestCommandOfCopy(t *testing.T) {
	files := map[string]string{
		"App.dll": "text", "App.deps.json": "text", "App.runtimeconfig.json": "runtimeconfig", "App": "elf", "server.js": "text", "data.json": "text",
	}
	for _, c := range []struct {
		path, arguments string
		want, copied    []string
	}{
		{"dotnet", `.\App.dll data.json`, []string{"dotnet", "/copy/App.dll", "data.json"}, []string{"App.dll"}},
		{"dotnet", `exec --depsfile App.deps.json App.dll --x=App.dll other.dll`, []string{"dotnet", "exec", "--depsfile", "/copy/App.deps.json", "/copy/App.dll", "--x=App.dll", "other.dll"}, []string{"App.deps.json", "App.dll"}},
		{"App", `data.json --port=%ASPNETCORE_PORT%`, []string{"/copy/App", "data.json", "--port=12345"}, []string{"App"}},
		{"node", `server.js data.json`, []string{"node", "/copy/server.js", "data.json"}, []string{"server.js"}},
	} {
		root := folder(t, files)
		plan, err := Resolve(input(t, root, &webconfig.Config{Section: "aspNetCore", ProcessPath: c.path, Arguments: c.arguments}))
		if err != nil {
			t.Fatal(err)
		}
		argv := plan.Command(12345, "", "/copy")
		if !strings.HasPrefix(argv[0], "/copy/") {
			argv[0] = filepath.Base(argv[0])
		}
		if diff := cmp.Diff(c.want, argv); diff != "" {
			t.Errorf("%s %s: %s", c.path, c.arguments, diff)
		}
		if diff := cmp.Diff(c.copied, plan.Copied()); diff != "" {
			t.Errorf("%s %s: %s", c.path, c.arguments, diff)
		}
	}
}
