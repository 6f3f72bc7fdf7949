package cli

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// call runs a command line with nothing in the environment but env.
func call(t *testing.T, env map[string]string, in string, args ...string) (code int, out, errors string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), Env{In: strings.NewReader(in), Out: &o, Err: &e, Getenv: func(k string) string { return env[k] }, Version: "v1"}, args)
	return code, o.String(), e.String()
}

const secret = "ancora-operator.verysecret"

// contextFor writes a context that names address.
func contextFor(t *testing.T, address string) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "admin.yaml")
	text := "address: " + address + "\nca_sha256: " + strings.Repeat("ab", 32) + "\ntoken: " + secret + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{"ANCORA_CONTEXT": file}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		says string
	}{
		{"aply", `unknown command "aply" for "ancora"`},
		{"get", ""},
		{"get sits", `unknown command "sits" for "ancora get"`},
		{"get sites -o xml", "is none of table, wide, json, yaml, name"},
		{"get notices x", "unknown command"},
		{"get sites a b", "accepts at most 1 arg(s), received 2"},
		{"logs", "accepts 1 arg(s), received 0"},
		{"logs shop -f --previous", "-f has no meaning"},
		{"logs shop --stream sterr", `--stream "sterr": stdout, stderr, event or access`},
		{"logs shop --hosts role=", "no controller is named"},
		{"logs shop --hosts =", "--hosts: "},
		{"apply", "-f is missing"},
		{"offline", "which sites? name them, or say --all"},
		{"offline shop --all", "either sites or --all"},
		{"online", "which sites?"},
		{"label host web1 role", `"role" is neither KEY=VALUE nor KEY-`},
		{"token create --label role-", "a token sets labels"},
		{"dev --hosts 0", "--hosts 0 is not 1 to 20"},
		{"version --color blue", "auto, always or never"},
		{"get sites --nonsense", "unknown flag: --nonsense"},
		{"completion tcsh", "invalid argument"},
	} {
		want := exitUsage
		if c.says == "" {
			want = exitOK // help
		}
		code, out, errors := call(t, nil, "", strings.Fields(c.args)...)
		if code != want || !strings.Contains(errors, c.says) {
			t.Errorf("ancora %s: code %d, stderr %q; want %d and %q", c.args, code, errors, want, c.says)
		}
		if c.says != "" && out != "" {
			t.Errorf("ancora %s: an error, but stdout is %q", c.args, out)
		}
	}
}

func TestHelpNamesEveryVerb(t *testing.T) {
	_, out, _ := call(t, nil, "", "--help")
	for _, verb := range strings.Fields("apply get describe delete label logs offline online recycle token dev version completion") {
		if !strings.Contains(out, "\n  "+verb+" ") {
			t.Errorf("%s is not in the help:\n%s", verb, out)
		}
	}
}

func TestNoController(t *testing.T) {
	code, _, errors := call(t, map[string]string{"HOME": "/nowhere"}, "", "get", "sites")
	if code != exitUsage || !strings.Contains(errors, "/nowhere/.config/ancora/context.yaml does not exist") || !strings.Contains(errors, "ancora dev") {
		t.Errorf("code %d: %s", code, errors)
	}
	code, _, errors = call(t, nil, "", "get", "sites")
	if code != exitUsage || !strings.Contains(errors, "neither --context, ANCORA_CONTEXT") {
		t.Errorf("code %d: %s", code, errors)
	}
}

// A controller that is not there: code 8 and its address, whichever verb asks.
func TestUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	env := contextFor(t, address)
	file := filepath.Join(t.TempDir(), "shop.yaml")
	if err := os.WriteFile(file, []byte(shopFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"get sites", "get hosts", "get instances", "get notices", "get tokens", "describe site shop", "describe host web1", "delete site shop",
		"delete host web1", "delete notice n-1", "delete token x", "label host web1 a=b", "label site shop a-", "logs shop", "offline shop",
		"online --all", "recycle shop", "token create", "apply -f " + file,
	} {
		code, out, errors := call(t, env, "", strings.Fields(line)...)
		if code != exitUnreachable || !strings.Contains(errors, address) || out != "" {
			t.Errorf("ancora %s: code %d, stdout %q, stderr %q", line, code, out, errors)
		}
		if strings.Contains(errors, secret) {
			t.Errorf("ancora %s shows the token: %s", line, errors)
		}
	}
}

// What makes a wait end from outside is Ctrl-C.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var o, e bytes.Buffer
	env := contextFor(t, "127.0.0.1:1")
	code := Run(ctx, Env{In: strings.NewReader(""), Out: &o, Err: &e, Getenv: func(k string) string { return env[k] }}, []string{"get", "sites"})
	if code != exitInterrupted || !strings.Contains(e.String(), "interrupted") {
		t.Errorf("code %d: %s", code, e.String())
	}
}

// Verbs that serve come from outside, and share flags and exit codes.
func TestMoreVerbs(t *testing.T) {
	var e bytes.Buffer
	more := &cobra.Command{Use: "controller", RunE: func(*cobra.Command, []string) error { return notFoundf("one\nbad \x1b[2J two") }}
	code := Run(t.Context(), Env{Err: &e, Getenv: func(string) string { return "" }}, []string{"controller"}, more)
	if want := "ancora: one\nbad \\x1b[2J two\n"; code != exitNotFound || e.String() != want {
		t.Errorf("code %d, %q; want %q", code, e.String(), want)
	}
}

func TestVersionAndCompletion(t *testing.T) {
	if code, out, _ := call(t, nil, "", "version"); code != 0 || !strings.HasPrefix(out, "ancora v1 go") {
		t.Errorf("%d %q", code, out)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if code, out, _ := call(t, nil, "", "completion", shell); code != 0 || !strings.Contains(out, "ancora") {
			t.Errorf("%s: %d, %d bytes", shell, code, len(out))
		}
	}
	// A shell gets names of verbs and values without a controller, and no error in the way.
	if code, out, _ := call(t, nil, "", "__complete", "get", "sites", "-o", ""); code != 0 || !strings.Contains(out, "yaml") {
		t.Errorf("%d %q", code, out)
	}
}

func TestContext(t *testing.T) {
	good := "address: 127.0.0.1:7400\nca_sha256: " + strings.Repeat("0f", 32) + "\ntoken: t\n"
	c, err := parseContext([]byte(good))
	if err != nil || c.agents() != "127.0.0.1:7401" {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = parseContext([]byte(good + "agent_address: 10.0.0.1:9\n")); err != nil || c.agents() != "10.0.0.1:9" {
		t.Errorf("%+v, %v", c, err)
	}
	for text, says := range map[string]string{
		"address: x\nca_sha256: y\ntoken: z":                          "want host:port",
		strings.Replace(good, "0f", "0", 1):                           "64 hexadecimal digits",
		strings.Replace(good, "token: t", "", 1):                      "token: is missing",
		"token: " + secret + ": [":                                    "is no YAML",
		"address: 127.0.0.1:1\ntoken: [" + secret + "]\nca_sha256: 0": "is no YAML",
		strings.Replace(good, "127.0.0.1:7400", "127.0.0.1", 1):       `address "127.0.0.1"`,
	} {
		if _, err := parseContext([]byte(text)); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

func TestColor(t *testing.T) {
	for _, c := range []struct {
		mode string
		env  map[string]string
		want bool
	}{
		{"always", map[string]string{"NO_COLOR": "1"}, true},
		{"never", nil, false},
		{"auto", nil, false}, // not a terminal
	} {
		p := &program{Env: Env{Getenv: func(k string) string { return c.env[k] }}, colorMode: c.mode}
		if got := p.color(&bytes.Buffer{}); got != c.want {
			t.Errorf("%s %v: %v", c.mode, c.env, got)
		}
	}
}
