package launch

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/shadow"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// shadowDefault is the directory that the module's documentation names (SHC-1).
const shadowDefault = "ShadowCopyDirectory"

// Shadow says where copies of the folder go that instances run from.
type Shadow struct {
	// Top is the folder that the copies must not leave: the application's, or one that the policy opens. Path lies below it.
	Top, Path string
	// Clean empties the directory at the start.
	Clean bool
}

// shadow reads what web.config says of shadow copies. Where a copy may not go, instances run from the folder, with a warning: the module's
// documentation shows a path outside the folder, and everybody copies that.
func (p *Plan) shadow(in Input, c *webconfig.Config) {
	on := isOn(c.Settings["enableshadowcopy"]) || isOn(c.Settings["experimentalenableshadowcopy"])
	written, named := c.Settings["shadowcopydirectory"]
	if !on {
		if named || isOn(c.Settings["cleanshadowcopydirectory"]) {
			p.note("shadowCopyDirectory and cleanShadowCopyDirectory have an effect with enableShadowCopy only")
		}
		return
	}
	text := strings.TrimSpace(written)
	if windowsPath(text) || strings.HasPrefix(text, `\`) || len(text) > 1 && text[1] == ':' {
		p.warn("shadowCopyDirectory=\"%s\" is a Windows path: the copies go to %s below the folder", written, shadowDefault)
		text = ""
	}
	if text = slashes(text); text == "" {
		text = shadowDefault
	}
	top, path, err := shadowPlace(text, in.Root, in.Roots)
	if err != nil {
		p.warn("shadowCopyDirectory=\"%s\" %v: instances run from the folder itself, without copies", written, err)
		return
	}
	p.Shadow = &Shadow{top, path, isOn(c.Settings["cleanshadowcopydirectory"])}
	p.note("enableShadowCopy, shadowCopyDirectory=\"%s\": instances run from copies in %s. AppContext.BaseDirectory is the copy, "+
		"which is not to be written to; the content root stays the folder", written, filepath.Join(top, path))
}

// shadowPlace finds the folder that a directory for copies must not leave, and the directory below it. Outside the application's
// folder it is one that the policy opens; a policy without roots opens all.
func shadowPlace(text, root string, roots []string) (top, path string, err error) {
	wanted := filepath.Clean(text)
	if !filepath.IsAbs(wanted) {
		wanted = filepath.Join(root, wanted)
	}
	if _, holds := relative(wanted, root); holds {
		return "", "", fmt.Errorf("holds the folder that is to be copied")
	}
	real := trueAsFarAs(wanted)
	if _, holds := relative(real, root); holds {
		return "", "", fmt.Errorf("leads to %s, which holds the folder that is to be copied", real)
	}
	if rest, inside := relative(root, real); inside {
		return root, rest, nil
	}
	if _, inside := relative(root, wanted); inside {
		return "", "", fmt.Errorf("is behind a symbolic link out of the folder, to %s", real)
	}
	if len(roots) == 0 {
		return "/", strings.TrimPrefix(real, "/"), nil
	}
	for _, allowed := range roots {
		top := truePath(allowed)
		if rest, below := relative(top, real); below && rest != "" {
			return top, rest, nil
		}
	}
	return "", "", fmt.Errorf("is %s, neither in the application's folder nor below one that this host's policy allows (roots: %s)", real, strings.Join(roots, ", "))
}

// trueAsFarAs resolves the symbolic links of the part of a path that exists.
func trueAsFarAs(path string) string {
	for at, rest := path, ""; ; at, rest = filepath.Dir(at), filepath.Join(filepath.Base(at), rest) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if at == "/" {
			return path
		}
	}
}

// Copied gives the files below the folder that an instance with a copy has from there: the program, assemblies among the arguments, and
// the script that is the first argument of a program from elsewhere.
func (p *Plan) Copied() []string {
	var files []string
	if rest, below := relative(p.root, filepath.Clean(p.Program)); below {
		files = append(files, rest)
	}
	for n := range p.Args {
		if rest := p.fromCopy(n); rest != "" {
			files = append(files, rest)
		}
	}
	return files
}

// fromCopy gives the file below the folder that an argument names, if an instance is to have it from its copy.
func (p *Plan) fromCopy(n int) string {
	file := p.Args[n]
	if !filepath.IsAbs(file) {
		file = filepath.Join(p.root, file)
	}
	rest, below := relative(p.root, filepath.Clean(file))
	_, own := relative(p.root, p.Program)
	if !below || !isFile(file) || !shadow.Code(rest) && (n > 0 || own) {
		return ""
	}
	return rest
}

// shadowPrint is what the fingerprint of an application with shadow copies has beside that of others.
func (p *Plan) shadowPrint() []string {
	if p.Shadow == nil {
		return nil
	}
	return []string{"\x00shadow", p.Shadow.Top, p.Shadow.Path}
}
