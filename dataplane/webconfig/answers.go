package webconfig

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// Initialization is applicationInitialization.
type Initialization struct {
	// Pages are asked for before visitors come, in their order; the root with doAppInitAfterRestart and no page.
	Pages []InitializationPage
}

// InitializationPage is a target that begins with a slash, and the host name that it is asked for by; empty: any.
type InitializationPage struct{ Target, Host string }

// httpProtocol is a section that has its headers in elements of their own.
func (r *reader) httpProtocol(at spot, e *element) {
	if len(e.attributes) > 0 || len(e.children) == 0 {
		r.ignored(e, e.name)
	}
	for _, s := range e.children {
		name := e.name + "/" + s.name
		if read := r.reader(e.name, s.name); read != nil {
			r.once(at, s, name, read)
		} else if !r.misspelt(s, e.name+"/", "customHeaders") {
			r.ignored(s, name)
		}
	}
}

// customHeaders reads the fields that every answer gets.
func (r *reader) customHeaders(at spot, e *element, path string) {
	r.honoured(at, e, path)
	r.take(e, nil)
	r.collection(at, e, collection{
		key: []string{"name"}, reset: func(rules *filter.Rules) { rules.Add = nil },
		drop: func(key []string) func(*filter.Rules) {
			return func(rules *filter.Rules) {
				rules.Add = without(rules.Add, func(h filter.Header) string { return h.Name }, key[0])
			}
		},
		add: func(e *element) func(*filter.Rules) {
			h := filter.Header{}
			r.take(e, map[string]read{"name": r.word(&h.Name), "value": r.loose(&h.Value)})
			h.Value = strings.Trim(h.Value, " \t")
			at, _ := e.attribute("name")
			value, _ := e.attribute("value")
			switch {
			case h.Name == "":
				return nil
			case !isToken(h.Name):
				r.wrong(at.at, "name", h.Name, "is no name of a header")
				return nil
			case strings.ContainsFunc(h.Value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
				r.wrong(value.at, "value", "", "holds a control character")
				return nil
			case framing(h.Name):
				r.say(Warning, at.at, "%s: %s is not added: it says how the answer is sent, and that is known only when it is", path, h.Name)
				return nil
			}
			return func(rules *filter.Rules) { rules.Add = append(rules.Add, h) }
		},
	})
}

// isToken checks the name of a field (RFC 9110 5.6.2).
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
	})
}

// framing are the fields that the proxy writes itself, or never lets through.
func framing(name string) bool {
	lower := strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	return slices.Contains([]string{"connection", "content-length", "date", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}, lower) ||
		strings.HasPrefix(lower, "ms-aspnetcore") || strings.HasPrefix(lower, "x-ancora-")
}

// httpErrors reads the pages that stand in for ours. An answer of the application is never replaced (FWD-20).
func (r *reader) httpErrors(at spot, e *element, path string) {
	r.honoured(at, e, path)
	mode, existing, base := "", "", ""
	r.take(e, map[string]read{
		"errorMode":                       r.oneOf(&mode, "DetailedLocalOnly", "Custom", "Detailed"),
		"existingResponse":                r.oneOf(&existing, "Auto", "Replace", "PassThrough"),
		"defaultResponseMode":             r.oneOf(&base, "File", "ExecuteURL", "Redirect"),
		"defaultPath":                     r.ignore(path),
		"detailedMoreInformationLink":     r.ignore(path),
		"allowAbsolutePathsWhenDelegated": r.ignore(path),
	})
	if existing == "Replace" {
		a, _ := e.attribute("existingResponse")
		r.say(Warning, a.at, "%s: existingResponse=\"%s\": answers of the application are never replaced", path, a.value)
	}
	if mode != "" || existing != "" {
		r.edit(at, func(rules *filter.Rules) { rules.NoPages = mode == "Detailed" || existing == "PassThrough" })
	}
	r.collection(at, e, collection{
		named: "error", key: []string{"statusCode", "subStatusCode"}, reset: func(rules *filter.Rules) { rules.Pages = nil },
		drop: func(key []string) func(*filter.Rules) {
			return func(rules *filter.Rules) {
				rules.Pages = without(rules.Pages, pageKey, key[0]+"."+orAny(key[1]))
			}
		},
		add: func(e *element) func(*filter.Rules) {
			page, ok := r.errorPage(e, path)
			if !ok {
				return nil
			}
			return func(rules *filter.Rules) { rules.Pages = append(rules.Pages, page) }
		},
	})
}

func pageKey(p filter.Page) string { return strconv.Itoa(p.Status) + "." + strconv.Itoa(p.Substatus) }

// orAny is the substatus of what is said of a whole status.
func orAny(substatus string) string {
	if substatus == "" {
		return "-1"
	}
	return substatus
}

// errorPage reads one page; false: nothing can be shown for it, and that has been said.
func (r *reader) errorPage(e *element, section string) (filter.Page, bool) {
	page, mode, text, prefix := filter.Page{Substatus: -1}, "File", "", ""
	before := len(r.problems)
	r.take(e, map[string]read{
		"statusCode": r.integer(&page.Status, 400, 999), "subStatusCode": r.integer(&page.Substatus, -1, 999),
		"responseMode": r.oneOf(&mode, "File", "ExecuteURL", "Redirect"), "path": r.word(&text), "prefixLanguageFilePath": r.loose(&prefix),
	})
	r.required(e, "path")
	if len(r.problems) > before {
		return page, false
	}
	at, _ := e.attribute("path")
	code := strconv.Itoa(page.Status)
	if page.Substatus >= 0 {
		code += "." + strconv.Itoa(page.Substatus)
	}
	switch mode {
	case "ExecuteURL":
		r.note(at.at, "%s: %s: ExecuteURL has no effect: the application is not asked for a page about an error that is not its own", section, code)
		return page, false
	case "Redirect":
		page.Location = text
		if strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
			r.wrong(at.at, "path", text, "is no address to redirect to")
			return page, false
		}
		return page, true
	}
	if prefix != "" {
		r.say(Warning, at.at, "%s: %s: a page for each language (prefixLanguageFilePath) is not looked for: our own page is shown", section, code)
		return page, false
	}
	file, ok := relative(text)
	if !ok {
		r.say(Warning, at.at, "%s: %s: \"%s\" is not below the application's folder: our own page is shown", section, code, text)
		return page, false
	}
	page.File = file
	return page, true
}

// relative spells a path of Windows as one below the root; false: it leads elsewhere.
func relative(text string) (string, bool) {
	slashed := strings.ReplaceAll(strings.TrimSpace(text), `\`, "/")
	file := path.Clean(slashed)
	if strings.ContainsAny(file, ":%\x00") || path.IsAbs(file) || file == "." || file == ".." || strings.HasPrefix(file, "../") {
		return "", false
	}
	return file, true
}

func (r *reader) webSocket(at spot, e *element, path string) {
	r.honoured(at, e, path)
	r.leaf(e)
	r.take(e, map[string]read{
		"enabled": r.boolean(func(_ attribute, on bool) {
			r.edit(at, func(rules *filter.Rules) { rules.NoWebSockets = !on })
		}),
		"receiveBufferLimit": r.ignore(path), "pingInterval": r.ignore(path),
	})
}

// mostPages is how many pages are asked for before visitors come, as many as a site file may name.
const mostPages = 64

// initialization reads what is to be asked for before visitors come. That holds for the application, not for a place in it.
func (r *reader) initialization(at spot, e *element, path string) {
	i, restart, listed := &Initialization{}, false, false
	if at.path == "" {
		r.honoured(at, e, path)
		r.config.Initialization = i
	} else {
		r.note(e.at, "%s of location path=\"%s\" has no effect: it is about the whole application", path, at.path)
	}
	r.take(e, map[string]read{
		"doAppInitAfterRestart": r.boolean(func(a attribute, on bool) {
			if restart = on; !on {
				r.note(a.at, "%s: doAppInitAfterRestart=\"%s\" has no effect: every new instance is asked before visitors come to it", path, a.value)
			}
		}),
		"skipManagedModules": r.ignore(path), "remapManagedRequestsTo": r.ignore(path),
	})
	r.holds(e, map[string]func(*element){
		"add": func(e *element) {
			listed = true
			if p, ok := r.page(e, path); ok {
				i.Pages = append(i.Pages, p)
			}
			if n := len(i.Pages); n > mostPages {
				i.Pages = i.Pages[:mostPages]
				r.say(Warning, e.at, "%s: there are more than %d pages: this one is not asked for", path, mostPages)
			}
		},
		"remove": func(e *element) {
			r.leaf(e)
			r.only(e, "initializationPage", "hostName")
		},
		"clear": func(e *element) {
			r.leaf(e)
			r.only(e)
			i.Pages, listed = nil, false
		},
	})
	if restart && !listed { // the documentation of IIS: the root is asked for where no page is named
		i.Pages = []InitializationPage{{Target: "/"}}
	}
}

// page reads one of them; false: it cannot be asked for.
func (r *reader) page(e *element, path string) (p InitializationPage, ok bool) {
	r.leaf(e)
	r.take(e, map[string]read{"initializationPage": r.word(&p.Target), "hostName": r.loose(&p.Host)})
	if !r.required(e, "initializationPage") {
		return p, false
	}
	if !strings.HasPrefix(p.Target, "/") {
		p.Target = "/" + p.Target
	}
	if err := site.ValidTarget(p.Target); err != nil {
		r.say(Warning, e.at, "%s: a page is not asked for: %v", path, err)
		return p, false
	}
	if strings.ContainsFunc(p.Host, func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune("/?#@\\", c) }) {
		r.say(Warning, e.at, "%s: hostName=%q is no name of a host: the site's own is used", path, p.Host)
		p.Host = ""
	}
	return p, true
}
