package main

import (
	"path/filepath"
	"testing"
)

// The agent of this host is found where run and serve put its socket.
func TestExplainFindsTheSocket(t *testing.T) {
	home := t.TempDir()
	env := environment{Getenv: func(name string) string { return map[string]string{"HOME": home}[name] }}
	for what, c := range map[string]struct {
		o    explainOptions
		env  environment
		want string
	}{
		"run":             {explainOptions{}, env, dataDir(env) + "/run/admin.sock"},
		"run of root":     {explainOptions{}, environment{Root: true}, "/run/ancora-agent/admin.sock"},
		"named":           {explainOptions{run: "/x"}, env, "/x/admin.sock"},
		"serve":           {explainOptions{served: home}, env, stateDir(env, home) + "/admin.sock"},
		"serve, relative": {explainOptions{served: "."}, env, stateDir(env, absolute(t, ".")) + "/admin.sock"},
	} {
		if got, err := c.o.socket(c.env); err != nil || got != c.want {
			t.Errorf("%s: %s, %v, want %s", what, got, err, c.want)
		}
	}
	both := explainOptions{run: "/x", served: "/y"}
	if _, err := both.socket(env); err == nil {
		t.Error("two agents are one")
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}
