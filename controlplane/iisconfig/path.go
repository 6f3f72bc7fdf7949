package iisconfig

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Map says where a folder of Windows is on the hosts: From without regard to case, To an absolute path.
type Map struct{ From, To string }

// ParseMap reads FROM=TO.
func ParseMap(text string) (Map, error) {
	from, to, ok := strings.Cut(text, "=")
	from, to = windows(from), strings.TrimSpace(to)
	switch {
	case !ok || from == "":
		return Map{}, fmt.Errorf(`%s is no FROM=TO: C:\sites=/srv is one`, quote(text))
	case !path.IsAbs(to) || strings.ContainsRune(to, 0):
		return Map{}, fmt.Errorf("%s: %s is no absolute path of a host", quote(text), quote(to))
	}
	return Map{from, path.Clean(to)}, nil
}

// Folder is a folder that no Map reaches.
type Folder struct {
	File string
	Line int
	// Site is the name in IIS, Path as it stands there.
	Site, Path string
}

// Unmapped is every folder that needs a Map.
type Unmapped []Folder

// Error says which maps are needed, all of them at once, as flags to copy.
func (u Unmapped) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "it is not said where %d of the folders are on the hosts:\n", len(u))
	for _, f := range u {
		fmt.Fprintf(&b, "  %s:%d: %s (site %s)\n", f.File, f.Line, f.Path, f.Site)
	}
	b.WriteString("nothing was written; give these with the right folders behind the =:")
	for _, m := range u.Maps() {
		fmt.Fprintf(&b, "\n  --map '%s=%s'", strings.ReplaceAll(m.From, "'", `'\''`), m.To)
	}
	return b.String()
}

// Maps gives few maps of folders above that would do.
func (u Unmapped) Maps() []Map {
	var all []Map
	for _, f := range u {
		from := windows(f.Path)
		if i := strings.LastIndexByte(from, '\\'); i > 0 && above(from[:i]) {
			from = from[:i]
		}
		all = append(all, Map{from, "/srv/" + label(from[strings.LastIndexByte(from, '\\')+1:])})
	}
	slices.SortStableFunc(all, func(a, b Map) int { return len(a.From) - len(b.From) })
	var few []Map
	for _, m := range all {
		if !slices.ContainsFunc(few, func(have Map) bool { _, ok := below(m.From, have.From); return ok }) {
			few = append(few, m)
		}
	}
	return few
}

// above says whether a folder is worth a map of its own: neither a drive nor a server.
func above(folder string) bool {
	rest, unc := strings.CutPrefix(folder, `\\`)
	if unc {
		return strings.Contains(rest, `\`)
	}
	return strings.Contains(folder, `\`)
}

// windows gives a path with the slashes of Windows and none at its end.
func windows(p string) string {
	return strings.TrimRight(strings.ReplaceAll(strings.TrimSpace(p), "/", `\`), `\`)
}

// folder gives where a folder of Windows is on the hosts, by the longest map that is above it.
func (o *Options) folder(physical string) (string, bool) {
	best, to := -1, ""
	for _, spelled := range spellings(windows(physical)) {
		for _, m := range o.Maps {
			rest, ok := below(spelled, m.From)
			if !ok || len(m.From) <= best {
				continue
			}
			best, to = len(m.From), path.Join(m.To, path.Clean("/"+strings.ReplaceAll(rest, `\`, "/")))
		}
	}
	return to, best >= 0
}

// spellings are the path as it stands and with the one variable whose value is as good as certain.
func spellings(p string) []string {
	const drive = "%SystemDrive%"
	if len(p) >= len(drive) && strings.EqualFold(p[:len(drive)], drive) {
		return []string{p, "C:" + p[len(drive):]}
	}
	return []string{p}
}

// below gives the rest of a path under a folder; names are compared as Windows does.
func below(p, folder string) (string, bool) {
	if len(p) < len(folder) || !strings.EqualFold(p[:len(folder)], folder) {
		return "", false
	}
	rest := p[len(folder):]
	return rest, rest == "" || rest[0] == '\\'
}

// label makes a name of ours of a name of Windows: a-z, 0-9 and -, at most 63.
func label(name string) string {
	var b strings.Builder
	for _, ch := range strings.ToLower(name) {
		if ch >= 'a' && ch <= 'z' || ch >= '0' && ch <= '9' {
			b.WriteRune(ch)
		} else if s := b.String(); s != "" && !strings.HasSuffix(s, "-") {
			b.WriteByte('-')
		}
	}
	s := b.String()
	if s = strings.Trim(s[:min(len(s), 63)], "-"); s == "" {
		return "site"
	}
	return s
}
