package webconfig

import (
	"fmt"
	"slices"
	"strings"
)

// Handler sends a part of an application's requests to it.
type Handler struct {
	// Name is compared without case.
	Name string
	// Path holds * and ? for any run of characters and any one; with a slash it is compared with the whole path below the
	// application, else with its last segment (SCH-6).
	Path string
	// Verbs are methods; none is every one.
	Verbs []string
	// Module is the one of IIS that the file names, one of ours.
	Module string
	// At is where it is added.
	At Place
}

// everything says that a handler leaves nothing out.
func (h Handler) everything() bool { return h.Path == "*" && len(h.Verbs) == 0 }

func (h Handler) String() string {
	if len(h.Verbs) == 0 {
		return fmt.Sprintf("path=%q", h.Path)
	}
	return fmt.Sprintf("path=%q verb=%q", h.Path, strings.Join(h.Verbs, ","))
}

// readHandlers takes the handlers of ours; those of other modules are said to have no effect.
func (r *reader) readHandlers(e *element) {
	r.take(e, map[string]read{"accessPolicy": func(attribute) {}})
	r.holds(e, map[string]func(*element){
		"add": func(h *element) {
			r.only(h, "name", "path", "verb", "modules", "resourceType", "requireAccess", "preCondition", "type", "scriptProcessor", "allowPathInfo", "responseBufferLimit")
			r.leaf(h)
			r.addHandler(h)
		},
		"remove": func(h *element) {
			r.only(h, "name")
			r.leaf(h)
			if r.required(h, "name") {
				name, _ := h.attribute("name")
				r.removeHandler(name.value)
			}
		},
		"clear": func(h *element) {
			r.only(h)
			r.leaf(h)
			r.config.Handlers = []Handler{}
			clear(r.handlerNames)
		},
	})
}

func (r *reader) addHandler(h *element) {
	name, _ := h.attribute("name")
	if !r.required(h, "path") {
		return
	}
	path, _ := h.attribute("path")
	if path.value == "" {
		r.wrong(h.at, "path", "", "is missing: * is every address")
		return
	}
	if first, twice := r.handlerNames[strings.ToLower(name.value)]; twice && name.value != "" {
		r.wrong(h.at, "handlers", name.value, "stands twice: line %d has it already, and names differ without regard to case", first)
		return
	}
	r.removeHandler(name.value) // that of an application above
	r.handlerNames[strings.ToLower(name.value)] = h.at.line
	modules, _ := h.attribute("modules")
	if !isOurs(modules.value) {
		r.foreignHandler(h, path.value, modules.value)
		return
	}
	r.mapped = true
	handler := Handler{Name: name.value, Path: path.value, Module: modules.value, At: Place{r.file, h.at.line, h.at.column}}
	if verb, ok := h.attribute("verb"); ok && !slices.Contains(verbs(verb.value), "*") {
		if handler.Verbs = verbs(verb.value); len(handler.Verbs) == 0 {
			r.wrong(verb.at, verb.name, verb.value, "names no method: * is every one")
			return
		}
	}
	r.config.Handlers = append(r.config.Handlers, handler)
	if kind, ok := h.attribute("resourceType"); ok && !strings.EqualFold(kind.value, "Unspecified") {
		r.say(Warning, kind.at, "handlers: resourceType=%q of %q is not honoured: requests go to the application whatever files there are", kind.value, name.value)
	}
}

// verbs divides a list of methods.
func verbs(list string) []string {
	var all []string
	for verb := range strings.SplitSeq(list, ",") {
		if verb = strings.ToUpper(strings.TrimSpace(verb)); verb != "" {
			all = append(all, verb)
		}
	}
	return all
}

// removeHandler takes out one of ours; of others nothing is known, so nothing is to be done.
func (r *reader) removeHandler(name string) {
	delete(r.handlerNames, strings.ToLower(name))
	r.config.Handlers = slices.DeleteFunc(r.config.Handlers, func(h Handler) bool { return strings.EqualFold(h.Name, name) })
}

func (r *reader) foreignHandler(h *element, path, module string) {
	switch {
	case strings.EqualFold(module, "iisnode") && r.foreign == nil:
		r.foreignTo(h.at, "handlers", module, "this application was written for iisnode: give the site a command, or write an httpPlatform section")
	case strings.EqualFold(module, "FastCgiModule") && r.foreign == nil:
		r.foreignTo(h.at, "handlers", module, "this application was written for FastCGI: give the site a command that speaks HTTP, as [php, -S, \"127.0.0.1:${PORT}\"] does")
	default:
		kind, _ := h.attribute("type")
		r.note(h.at, "handler for %q by %s is not honoured: such requests are the application's, if a handler sends them there, and IIS would have answered them itself", path, strings.TrimSpace(module+" "+kind.value))
	}
}

func isOurs(module string) bool {
	return slices.ContainsFunc([]string{"AspNetCoreModuleV2", "AspNetCoreModule", "httpPlatformHandler"}, func(own string) bool {
		return strings.EqualFold(own, module)
	})
}

// Mapping gives the handlers that say which requests go to the application; nil: all do.
func (c *Config) Mapping() []Handler {
	if slices.ContainsFunc(c.Handlers, Handler.everything) {
		return nil
	}
	return c.Handlers
}

// Everything gives the handler that sends all requests to the application; nil: there is none.
func (c *Config) Everything() *Handler {
	if i := slices.IndexFunc(c.Handlers, Handler.everything); i >= 0 {
		return &c.Handlers[i]
	}
	return nil
}

// mapping says, when all is read, what does not go to the application.
func (r *reader) mapping(at place) {
	c := r.config
	if len(c.Handlers) == 0 && c.Section == "" && !r.mapped {
		c.Handlers = nil // a file that only switches off what IIS would have done
	}
	all := c.Mapping()
	if all != nil && len(all) == 0 {
		r.say(Warning, at, "no handler sends anything to the application: every request is answered with 404")
	}
	for _, h := range all {
		r.say(Honoured, at, "handlers: %v goes to the application; what no handler sends there is answered with 404", h)
	}
}
