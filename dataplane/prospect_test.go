package dataplane

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// All that stands in the way is told at once, for each application, and nothing is made.
func TestForesee(t *testing.T) {
	top, err := os.MkdirTemp("", "ancora-foresee-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	root, data := filepath.Join(top, "www"), filepath.Join(top, "data")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "web.config"), []byte(`<configuration><system.webServer><aspNetCore processPath="dotnet" nothing="1"/></system.webServer></configuration>`), 0o644); err != nil {
		t.Fatal(err)
	}
	w := &site.Site{
		Name: "shop", Bindings: []site.Binding{{Listener: "other"}, {Listener: "http", TLS: &site.TLS{Certificates: []site.Certificate{{Cert: "/nowhere.crt", Key: "/nowhere.key"}}}}},
		Applications: []site.Application{{Path: "/a", Root: root, User: "no-such-user"}, {Path: "/gone", Root: filepath.Join(top, "gone")}, {Path: "/sh", Root: top, Command: []string{"/bin/sh"}}},
	}
	config := Config{Policy: Policy{DefaultUser: "65534", Listeners: map[string]string{"http": "127.0.0.1:80"}}, DataDir: data}
	all, problems := Foresee(config, w)
	for _, want := range []string{"listener other is not declared in this host's policy (http)", "bindings[1].tls: ", "/nowhere.crt"} {
		if !strings.Contains(fmt.Sprint(problems), want) {
			t.Errorf("no %q in %v", want, problems)
		}
	}
	first := fmt.Sprint(all[0].Problems)
	if len(all) != 3 || !strings.Contains(first, "no-such-user") || !strings.Contains(first, `nothing="1": is no attribute of aspNetCore`) || !strings.Contains(fmt.Sprint(all[1].Problems), "no such file") {
		t.Fatalf("%v %v", all[0].Problems, all[1].Problems)
	}
	third := all[2]
	if third.Plan == nil || third.Plan.Program != "/bin/sh" || third.Plan.Chosen != "command of the site" {
		t.Errorf("%+v", third)
	}
	if os.Geteuid() == 0 { // the folder of the test is for everybody's eyes only where it says so
		if said := fmt.Sprint(third.Problems); !strings.Contains(said, top+" is in the way") {
			t.Errorf("%s", said)
		}
	}
	if _, err := os.Stat(data); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was made: %v", data, err)
	}
}

// HOME that the agent would make is told of without making it, and so is what would be in the way of it.
func TestForeseenHome(t *testing.T) {
	top, err := os.MkdirTemp("", "ancora-foresee-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	h := host{dataDir: filepath.Join(top, "data")}
	who := account{name: "somebody", uid: 65534, groups: []uint32{65534}}
	if _, own, err := h.home("shop", "/", who); !own || err == nil || !strings.Contains(err.Error(), top+" is in the way") {
		t.Errorf("%v %v", own, err)
	}
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	if dir, own, err := h.home("shop", "/", who); !own || err != nil || dir != filepath.Join(top, "data/homes/shop~") {
		t.Errorf("%s %v %v", dir, own, err)
	}
	if _, err := os.Stat(h.dataDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
}

// Visitors are told of a web.config that cannot be used only where nothing else is wrong: else nothing of the site runs.
func TestRefuse(t *testing.T) {
	s := &Server{}
	a := &site.Application{Path: "/", Root: t.TempDir()}
	faults := webconfig.Errors{{File: "web.config", Message: "wrong", Code: "500.0"}}
	more := webconfig.Errors{{File: "web.config", Message: "more"}}
	other := errors.New("the user cannot reach it")
	for want, err := range map[string]error{"500.0": faults, "500.19": errors.Join(faults, more), "": errors.Join(faults, other)} {
		got := ""
		if r := s.refuse(a, &Prospect{}, err); r != nil {
			got = r.Code
		}
		if got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
	if s.refuse(a, &Prospect{}, other) != nil {
		t.Error("it is not about web.config")
	}
}
