package cli

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/controlplane/iisconfig"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/sitefile"
)

type importOptions struct {
	out, report, format string
	maps                []string
	overwrite           bool
	options             iisconfig.Options
}

func (p *program) importCommand() *cobra.Command {
	var o importOptions
	c := &cobra.Command{
		Use:   "import FILE|FOLDER",
		Short: "Turn sites of IIS into site files",
		Long: `Turn sites of IIS into site files. It reads an applicationHost.config, the folder that IIS exports for a shared
configuration, or the web.config of one application. Site files go to stdout or to --out; what was carried over, what is left
to do, and what has no equivalent here goes to stderr or to --report, a line each with its place. No controller is asked.`,
		Example: `  ancora import applicationHost.config --map 'C:\inetpub=/srv' --out sites/
  ancora import '//nas/iis-export' --site Shop --map 'D:\sites=/srv' --hosts role=web > shop.yaml
  ancora import publish/web.config --map "$PWD/publish=/srv/shop"`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.importIIS(args[0], &o) },
	}
	f := c.Flags()
	f.StringVar(&o.out, "out", "", "site `file`, or a folder (it exists, or ends with /) that gets a file a site; default: stdout")
	f.StringVar(&o.report, "report", "", "`file` for the report; default: stderr")
	choiceFlag(c, &o.format, "output", "o", "text", []string{"text", "json"}, "form of the report")
	f.StringArrayVar(&o.maps, "map", nil, `where a folder is on the hosts, as 'C:\sites=/srv'; case is not looked at, the longest counts; may be given several times`)
	f.StringArrayVar(&o.options.Only, "site", nil, "only the site that has this `name` in IIS; may be given several times")
	f.StringVar(&o.options.Hosts, "hosts", "all", "placement: the hosts with these `labels`")
	f.StringVar(&o.options.Certificates, "certificates", "/etc/ssl/ancora", "`folder` of the hosts in which bindings name their certificates")
	f.BoolVar(&o.overwrite, "overwrite", false, "replace files that are there")
	return c
}

func (p *program) importIIS(from string, o *importOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	source, err := findSource(from)
	if err != nil {
		return err
	}
	content, err := p.read(source.file)
	if err != nil {
		return &fileError{source.file, err}
	}
	result, err := source.read(content, o.options)
	var unmapped iisconfig.Unmapped
	if errors.As(err, &unmapped) {
		return usagef("%w", err)
	}
	if err != nil {
		return err
	}
	report, err := o.reportOf(source, result)
	if err != nil {
		return err
	}
	if err := p.writeSites(result, o); err != nil {
		return err
	}
	if o.report != "" {
		if err := writeFile(o.report, report, true); err != nil {
			return err
		}
	} else if _, err := p.Err.Write(report); err != nil {
		return err
	}
	if !slices.ContainsFunc(result.Sites, func(s iisconfig.Site) bool { return s.Site != nil }) {
		return &exitError{code: exitFailed, err: errors.New("no site can be written: the report says why")}
	}
	return nil
}

func (o *importOptions) check() error {
	for _, text := range o.maps {
		m, err := iisconfig.ParseMap(text)
		if err != nil {
			return usagef("--map %w", err)
		}
		o.options.Maps = append(o.options.Maps, m)
	}
	if _, err := site.ParseSelector(o.options.Hosts); err != nil {
		return usagef("--hosts: %w", err)
	}
	if o.options.Certificates = path.Clean(o.options.Certificates); !path.IsAbs(o.options.Certificates) {
		return usagef("--certificates %q is no absolute folder", o.options.Certificates)
	}
	return nil
}

// source is the file that is read, and those beside it that are not.
type source struct {
	file   string
	beside []string
	read   func(content []byte, o iisconfig.Options) (*iisconfig.Import, error)
}

// findSource finds out what an argument is: a folder of a shared configuration or of an application, or either's file.
func findSource(from string) (*source, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, &fileError{from, errors.Unwrap(err)}
	}
	if !info.IsDir() {
		return sourceOf(from)
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil, &fileError{from, errors.Unwrap(err)}
	}
	for _, wanted := range []string{"applicationHost.config", "web.config"} {
		for i, e := range entries {
			if !strings.EqualFold(e.Name(), wanted) {
				continue
			}
			s, err := sourceOf(filepath.Join(from, e.Name()))
			if wanted == "applicationHost.config" && err == nil {
				err = redirected(from, entries)
			}
			for j, other := range entries {
				if i != j && wanted == "applicationHost.config" && err == nil {
					s.beside = append(s.beside, other.Name())
				}
			}
			return s, err
		}
	}
	return nil, &fileError{from, errors.New("holds neither applicationHost.config nor web.config")}
}

// redirected refuses the folder of a server whose configuration is a shared one: what lies there is what it had before.
func redirected(folder string, entries []os.DirEntry) error {
	for _, e := range entries {
		if !strings.EqualFold(e.Name(), "redirection.config") {
			continue
		}
		file := filepath.Join(folder, e.Name())
		content, err := os.ReadFile(file)
		if err != nil {
			return &fileError{file, errors.Unwrap(err)}
		}
		return iisconfig.Redirected(file, content)
	}
	return nil
}

func sourceOf(file string) (*source, error) {
	s := &source{file: file}
	if !strings.EqualFold(filepath.Base(file), "web.config") {
		s.read = func(content []byte, o iisconfig.Options) (*iisconfig.Import, error) {
			return iisconfig.Read(file, content, o)
		}
		return s, nil
	}
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, &fileError{file, err}
	}
	s.read = func(content []byte, o iisconfig.Options) (*iisconfig.Import, error) {
		return iisconfig.ReadWebConfig(file, content, folder, o)
	}
	return s, nil
}

// writeSites writes all or nothing: what would be replaced, or could not be applied, is found first.
func (p *program) writeSites(result *iisconfig.Import, o *importOptions) error {
	var sites []*site.Site
	for _, s := range result.Sites {
		if s.Site != nil {
			sites = append(sites, s.Site)
		}
	}
	info, err := os.Stat(o.out)
	folder := strings.HasSuffix(o.out, "/") || o.out != "" && err == nil && info.IsDir()
	files := map[string][]byte{}
	if folder {
		for _, s := range sites {
			files[filepath.Join(o.out, s.Name+".yaml")] = sitefile.Format(s)
		}
	} else if len(sites) > 0 {
		files[o.out] = documents(sites)
	}
	if err := o.writable(files); err != nil {
		return err
	}
	if folder {
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return &fileError{o.out, errors.Unwrap(err)}
		}
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if file == "" {
			return p.writeText(files[file])
		}
		if err := writeFile(file, files[file], o.overwrite); err != nil {
			return err
		}
	}
	return nil
}

// writable says of all files what is against writing them.
func (o *importOptions) writable(files map[string][]byte) error {
	var problems sitefile.Errors
	for _, file := range slices.Sorted(maps.Keys(files)) {
		_, err := sitefile.Parse(cmp.Or(file, "stdout"), files[file])
		var wrong sitefile.Errors
		if errors.As(err, &wrong) {
			problems = append(problems, wrong...)
		}
		if _, err := os.Lstat(file); err == nil && file != "" && !o.overwrite {
			problems = append(problems, sitefile.Error{File: file, Message: "is there already: --overwrite replaces it; nothing was written"})
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

func documents(sites []*site.Site) []byte {
	var all [][]byte
	for _, s := range sites {
		all = append(all, sitefile.Format(s))
	}
	return bytes.Join(all, []byte("---\n"))
}

// writeFile makes a file that only its owner can read: environment variables of a pool may be secrets.
func writeFile(file string, text []byte, overwrite bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if overwrite {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(file, flags, 0o600)
	if err != nil {
		return &fileError{file, errors.Unwrap(err)}
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return &fileError{file, err}
	}
	return nil
}
