// Package launch says what is started for an application: program, arguments and the whole environment, from its folder,
// its web.config and its site. It starts nothing.
package launch

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// Input is all that decides.
type Input struct {
	Application *site.Application
	// Root is the application's folder, symbolic links resolved.
	Root string
	// Site is the name of the site.
	Site string
	// Config is the folder's web.config; nil when there is none.
	Config *webconfig.Config
	// Inherited is what the application gets before anything else (D15), as Inherit makes it.
	Inherited []string
	// Environ is the agent's own environment: where .NET is searched for, and settings of the module. Nothing else of it reaches
	// the application.
	Environ []string
	// HTTPSPort is where visitors of the site find https: nil when there is none, empty when there are several (ENV-7).
	HTTPSPort *string
	// Dotnet is the policy's place of .NET; empty: searched for.
	Dotnet string
	// Roots are the folders that the policy opens to applications, as written.
	Roots []string
	// StackLimit is this host's limit of stacks in bytes; 0 is not known.
	StackLimit uint64
}

// Plan is what is started, and under which limits.
type Plan struct {
	// Program is an absolute path; Args follow it. Either may hold placeholders for the port.
	Program string
	Args    []string
	// Chosen says by what of the site, of web.config or of the folder the program was found.
	Chosen  string
	Profile site.Profile
	// Port is 0 for a drawn one, Token empty for a made one.
	Port     uint16
	Token    string
	Protocol site.Protocol
	// Unix says that an instance listens on a unix socket.
	Unix bool

	Startup, Shutdown, Drain, Request time.Duration
	// Pinned is disallowRotationOnConfigChange.
	Pinned bool
	// Alone says that an instance must end before the one that replaces it starts.
	Alone      bool
	RapidFails int
	// Retries is startupRetryCount: absent there is none, since the start-up limit is ten times that of httpPlatform.
	Retries                  int
	PlainErrors, Development bool
	// Instances is how many there are at once, at least 1; Least and Cookie say how they share the requests.
	Instances     int
	Least, Cookie bool
	// InProcess asks for the rules of the in-process model; Patient lets an instance live on that is late.
	InProcess, Patient bool
	// Warmup is what a new instance is asked for before it gets requests.
	Warmup []Warmup
	// Dir is the working directory.
	Dir string
	// Stack is the limit of the stacks in bytes; 0 is the host's.
	Stack uint64
	// ErrorLink is an address for pages about errors; empty: none.
	ErrorLink string
	// Handlers says which requests go to the application; nil: all.
	Handlers []webconfig.Handler
	// Everything is the handler that sends all requests to the application; nil: there is none.
	Everything *webconfig.Handler
	// BodyLimit is site.Unlimited or a number of bytes.
	BodyLimit          int64
	Concurrency, Queue int
	QueueTimeout       time.Duration
	// Stdout is where output goes as a file, without the ending of its name; StdoutTrouble why it does not although it should.
	Stdout        File
	StdoutTrouble string
	// Silent says that output goes nowhere (LOG-9).
	Silent bool
	Debug  Debug
	// Shadow says where copies go that instances run from; nil: they run from the folder.
	Shadow *Shadow
	// Exposes is the setting, if there is one, by which the application shows visitors what went wrong in it.
	Exposes string
	// Rules are those of web.config; what the site says itself is taken out of them.
	Rules []filter.Rules
	// Notes says what was read differently from how it is written, or has no effect.
	Notes []webconfig.Note

	root, path, dotnetRoot string
	written                string            // the root as the site spells it
	iis                    map[string]string // the variables of ENV-10 to ENV-16, where the site asks for them
	noWebSockets           bool
	inherited              []string
	httpsPort              *string
	env                    []site.Variable
}

// Resolve decides what is started. Its error, joined of all there are, says what the operator has to change. The plan beside an
// error has no program: it only says how requests are judged and errors answered (Rules, PlainErrors, Development, ErrorLink).
func Resolve(in Input) (*Plan, error) {
	p := &Plan{root: in.Root, written: in.Application.Root, iis: iisVariables(in), path: in.Application.Path, inherited: in.Inherited, Profile: in.Application.Profile, httpsPort: in.HTTPSPort}
	p.merge(in)
	p.placeholder(in)
	f := finder{root: in.Root, lookup: p.lookup, path: p.variable("PATH"), dotnet: dotnetAt(in.Dotnet, in.Environ), note: p.note, choose: p.choose}
	wrong := p.settings(in, f.packaged(in))
	p.logs(in)
	program, args, err := f.find(in)
	if err != nil {
		wrong = errors.Join(wrong, in.placed(err))
	}
	if wrong != nil {
		return p, wrong
	}
	if p.Chosen == "" {
		p.Chosen = in.says()
	}
	p.Program, p.Args, p.dotnetRoot = program, p.fromElsewhere(args), f.dotnetRoot()
	return p, nil
}

// choose remembers by what of the folder the program was found, and notes why it was looked for there.
func (p *Plan) choose(what, by, why string) {
	p.Chosen = by
	p.note("%s: %s is started (%s)", why, what, by)
}

func (p *Plan) note(format string, args ...any) {
	p.Notes = append(p.Notes, webconfig.Note{Text: fmt.Sprintf(format, args...)})
}

// warn is for what likely is not as somebody meant it.
func (p *Plan) warn(format string, args ...any) {
	p.Notes = append(p.Notes, webconfig.Note{Kind: webconfig.Warning, Text: fmt.Sprintf(format, args...)})
}

// settings takes each limit from the site, else from web.config, else from the defaults. packaged says that package.json is what
// names the program.
func (p *Plan) settings(in Input, packaged bool) error {
	limits, a, c := site.TheLimits(), in.Application, in.Config
	if c == nil {
		c = &webconfig.Config{}
	}
	p.Notes = append(p.Notes, c.Notes...)
	p.Startup = first(limits.StartupTimeLimit, a.StartupTimeLimit, c.StartupTimeLimit)
	p.Shutdown = first(limits.ShutdownTimeLimit, a.ShutdownTimeLimit, c.ShutdownTimeLimit)
	p.Pinned = isOn(c.Settings["disallowrotationonconfigchange"])
	p.Drain = first(limits.Drain, a.Drain)
	p.Request = first(limits.RequestTimeout, a.RequestTimeout, c.RequestTimeout)
	p.RapidFails = count(limits.RapidFailsPerMinute, a.RapidFailsPerMinute, c.RapidFailsPerMinute)
	if c.StartupRetryCount != nil && len(a.Command) == 0 {
		p.Retries = int(*c.StartupRetryCount)
	}
	if plain := either(a.DisableStartUpErrorPage, c.DisableStartUpErrorPage); plain != nil {
		p.PlainErrors = *plain
	}
	p.Handlers, p.Everything = c.Mapping(), c.Everything()
	p.BodyLimit = limits.Body.Default
	if a.BodyLimit != nil {
		p.BodyLimit = *a.BodyLimit
	}
	p.rules(a, c)
	p.Concurrency, p.Queue = count(limits.Concurrency, a.Concurrency), count(limits.Queue, a.Queue)
	p.Protocol = a.Protocol
	p.warmup(a, c)
	p.Unix = a.Socket == site.SocketUnix
	p.QueueTimeout = first(limits.QueueTimeout, a.QueueTimeout)
	if p.Profile == "" {
		p.Profile = site.ProfileASPNETCore
		if packaged || c.Section == "httpPlatform" && len(a.Command) == 0 {
			p.Profile = site.ProfileGeneric
		}
	}
	p.errors(in.Environ)
	p.model(in, c)
	if err := p.fixed(in); err != nil {
		return err
	}
	if a.Overlap != nil && *a.Overlap && p.Port != 0 {
		return fmt.Errorf("overlap: true cannot be with a port of its own: %d is fixed, so the old instance must end before the next one starts", p.Port)
	}
	p.shadow(in, c)
	p.Alone = p.Port != 0 || a.Overlap != nil && !*a.Overlap
	return p.instances(a, c)
}

// says tells what names the program, where something does.
func (in Input) says() string {
	if len(in.Application.Command) > 0 {
		return "command of the site"
	}
	return in.Config.Section + " of web.config"
}

// placed says where in web.config the program is named that cannot be started, if it is named there.
func (in Input) placed(err error) error {
	c := in.Config
	if c == nil || c.File == "" || len(in.Application.Command) > 0 {
		return err
	}
	return c.Unusable("processPath", err.Error())
}

// isOn reads a handlerSetting or a variable of the module that is a switch.
func isOn(value string) bool { return strings.EqualFold(value, "true") || value == "1" }

// fixed takes port and token where the application's settings name them (ENV-1, ENV-3).
func (p *Plan) fixed(in Input) error {
	name := "ASPNETCORE_PORT"
	if p.Profile == site.ProfileGeneric {
		name = "PORT"
	} else {
		p.Token = p.variable("ASPNETCORE_TOKEN")
	}
	text := p.variable(name)
	if text == "" || text != withPort(text, 1) {
		return nil
	}
	port, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil || port < 1025 || port > 48000 {
		err = fmt.Errorf("%s=%q is no port for an application: 1025 to 48000, or leave it out and one is drawn", name, text)
		if c := in.Config; c != nil && c.File != "" && !names(in.Application.Env, name) {
			return c.Unusable(strings.ToLower(name)+"=", err.Error())
		}
		return err
	}
	p.Port = uint16(port)
	return nil
}

// Command gives argv for an instance that listens on port, or on the unix socket with this path when that is not empty. Files of the
// application are those of copy, which is one of its folder, when that is not empty.
func (p *Plan) Command(port uint16, socket, copy string) []string {
	argv := make([]string, 0, 1+len(p.Args))
	argv = append(argv, p.Program)
	if rest, below := relative(p.root, filepath.Clean(p.Program)); below && copy != "" {
		argv[0] = filepath.Join(copy, rest)
	}
	for n, a := range p.Args {
		if copy != "" {
			if rest := p.fromCopy(n); rest != "" {
				argv = append(argv, filepath.Join(copy, rest))
				continue
			}
		}
		argv = append(argv, withSocket(withPort(a, port), socket))
	}
	return argv
}

// withPort puts the port where a placeholder for it stands: as site files spell it, as httpPlatform and aspNetCore do.
func withPort(s string, port uint16) string {
	if !strings.ContainsAny(s, "%$") {
		return s
	}
	n := strconv.Itoa(int(port))
	s = strings.ReplaceAll(s, "${PORT}", n)
	return expand(s, func(name string) (string, bool) {
		return n, strings.EqualFold(name, "HTTP_PLATFORM_PORT") || strings.EqualFold(name, "ASPNETCORE_PORT")
	})
}

// withSocket does the same for the path of a unix socket.
func withSocket(s, socket string) string {
	if socket == "" {
		return s
	}
	return strings.ReplaceAll(s, "${SOCKET}", socket)
}

// Fingerprint differs when a running instance must be replaced; it holds no secret in clear.
func (p *Plan) Fingerprint() string {
	return digest(slices.Concat(p.Command(0, "", ""), []string{"\x00env"}, p.Environ(0, "", p.Token), []string{
		"\x00limits", p.Startup.String(), p.Shutdown.String(), p.root, string(p.Profile), strconv.Itoa(int(p.Port)), strconv.FormatBool(p.Unix), string(p.Protocol),
	}, p.logPrint(), p.inProcess(), p.several(), p.shadowPrint(), p.warm()))
}

func first(limit site.Limit, values ...*time.Duration) time.Duration {
	if d := either(values...); d != nil {
		return *d
	}
	return limit.Duration()
}

func count(limit site.Limit, values ...*uint32) int {
	if n := either(values...); n != nil {
		return int(*n)
	}
	return int(limit.Default)
}

func either[T any](values ...*T) *T {
	for _, v := range values {
		if v != nil {
			return v
		}
	}
	return nil
}
