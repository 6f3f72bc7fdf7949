package check

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/launch"
)

// .NET reads comments and a comma before an end; what else is no JSON keeps an application from starting.
func TestSettings(t *testing.T) {
	for content, want := range map[string]string{
		"{}":                    "",
		"\ufeff{\"a\": [1, 2]}": "",
		"{ // why\n \"a\": \"//no,}\", /* , */ \"b\": [1, /**/ ], // }\n}": "",
		"\xff\xfe{\x00":                 "",
		"{ \"Logging\": {\n":            ":1:15 unexpected end of JSON input",
		"{\n  \"a\": 1\n  \"b\": 2\n}":  ":3:3 invalid character '\"' after object key:value pair",
		"{\"a\": \"C:\\data\"}":         ":1:11 invalid character 'd' in string escape code",
		"{\"a\": 1, , }":                ":1:12 invalid character '}' looking for beginning of object key string",
		"/* it does not end {\"a\": 1}": ":1:1 invalid character '/' looking for beginning of value",
		"":                              ":1:1 unexpected end of JSON input",
	} {
		dir := t.TempDir()
		file := put(t, dir, "appsettings.Staging.json", content)
		got := ""
		for _, trouble := range settingsTrouble(dir, "Staging") {
			got = trouble.Path[len(file):] + " " + trouble.Why
		}
		if got != want {
			t.Errorf("%q: %q, want %q", content, got, want)
		}
	}
}

// What a program of another kind is given to run is looked for where that program would.
func TestAbsent(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "there.js", "")
	if err := os.Symlink(filepath.Join(dir, "there.js"), filepath.Join(dir, "link.py")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		program string
		args    []string
		want    string
	}{
		{"/usr/bin/node", []string{"./there.js"}, ""},
		{"/usr/bin/node", []string{"dist/server.js", "x"}, `"dist/server.js"`},
		{"/usr/bin/node", []string{"dist"}, ""},
		{"/usr/bin/node", []string{"--import", "x", "no.js"}, ""},
		{"/usr/bin/node", nil, ""},
		{"/usr/bin/python3.11", []string{"link.py"}, ""},
		{"/usr/bin/python3", []string{"/no/app.py"}, `"/no/app.py"`},
		{"/usr/bin/python3", []string{"-m", "http.server"}, ""},
		{"/usr/bin/java", []string{"-Xmx1g", "-jar", "shop.jar"}, `"shop.jar"`},
		{"/usr/bin/java", []string{"-jar", "${HOME}/shop.jar"}, ""},
		{"/usr/bin/java", []string{"-cp", "x", "Main"}, ""},
		{"/srv/shop/server", []string{"no.js"}, ""},
	} {
		if got := absent(&launch.Plan{Program: c.program, Args: c.args, Dir: dir}); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.program, c.args, got, c.want)
		}
	}
}
