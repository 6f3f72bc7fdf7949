package iisconfig

import (
	"fmt"
	"path"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// ReadWebConfig makes a site of one application by its web.config, which stands in an absolute folder. Nothing of the file is
// copied: hosts read it in the application's root, live. Its error is a webconfig.Errors, or an Errors.
func ReadWebConfig(file string, content []byte, folder string, o Options) (*Import, error) {
	config, err := webconfig.Parse(file, content)
	if err != nil {
		return nil, err
	}
	s := &site.Site{
		Name: label(path.Base(folder)), Placement: site.Placement{Hosts: o.Hosts}, Bindings: []site.Binding{{Listener: "http"}},
		Applications: []site.Application{{Path: "/", Root: folder}},
	}
	made := Site{Line: 1, Site: s}
	say := func(kind Kind, line int, format string, args ...any) {
		made.Lines = append(made.Lines, Line{line, kind, fmt.Sprintf(format, args...)})
	}
	if config.Section == "" {
		say(NoEquivalent, 1, "there is neither aspNetCore nor httpPlatform: what is started is found in the folder, or give the application a command")
	}
	root, mapped := o.folder(folder)
	if mapped {
		s.Applications[0].Root = root
		say(Carried, 1, "the application: its root is %s, where hosts read this file, live; nothing of it is copied", root)
	} else {
		say(ToDo, 1, "the application: its root is %s, the folder where this file stands; on the hosts it has to be there too, or give --map '%s=/srv/%s'", folder, folder, s.Name)
	}
	say(ToDo, 1, "bindings stand in applicationHost.config: the site takes every hostname of listener http until it names its own")
	for _, n := range config.Notes {
		kind := map[webconfig.Kind]Kind{webconfig.Honoured: Carried, webconfig.Ignored: NoEquivalent, webconfig.Warning: ToDo}[n.Kind]
		say(kind, n.Line, "%s", n.Text)
	}
	var problems Errors
	for _, p := range s.Validate() {
		problems = append(problems, Error{File: file, Message: p.String()})
	}
	if problems != nil {
		return nil, problems
	}
	return &Import{Sites: []Site{made}}, nil
}
