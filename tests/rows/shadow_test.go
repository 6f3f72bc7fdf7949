package rows

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// telling is a program that says which version of it answers, and from where it runs.
func telling(version string) string {
	return `var app = WebApplication.CreateBuilder(args).Build();
app.MapGet("/", () => "` + version + ` pid " + Environment.ProcessId);
app.MapGet("/where", () => AppContext.BaseDirectory + "|" + app.Environment.ContentRootPath + "|" + Environment.CurrentDirectory);
app.Run();`
}

// shadowed publishes the first version, to run from copies; pairs are more handler settings.
func shadowed(r *recorder, pairs ...string) string {
	r.Helper()
	return compile(r, telling("one"), appConfig(inProcess, settings(append([]string{"enableShadowCopy", "true"}, pairs...)...)))
}

// beginning answers from a copy in dir, whose number it gives.
func (s *served) beginning(dir string) string {
	s.r.Helper()
	a := s.get("/")
	if a.status != 200 || !strings.HasPrefix(a.body, "one ") {
		s.r.Fatalf("GET /: %v", a)
	}
	return s.copied(dir)
}

// copied gives the number of the copy in dir that the application says it runs from; everything else it has from its folder.
func (s *served) copied(dir string) string {
	s.r.Helper()
	where := strings.Split(s.get("/where").body, "|")
	if len(where) != 3 {
		s.r.Fatalf("where: %q", where)
	}
	number, ok := strings.CutPrefix(strings.TrimSuffix(where[0], "/"), dir+"/")
	if !ok || strings.Contains(number, "/") {
		s.r.Fatalf("it runs from %s, not from a copy in %s", where[0], dir)
	}
	for _, folder := range where[1:] {
		want(s.r, "its folder", strings.TrimSuffix(folder, "/"), s.root)
	}
	s.r.saw(process, "it runs from %s, its folder is %s", where[0], where[1])
	return number
}

// deploy writes the assembly of another version over the one that is there, byte for byte as copying tools do.
func (s *served) deploy(version string) {
	s.r.Helper()
	dll, err := os.ReadFile(filepath.Join(compiled(s.r, telling(version)), "App.dll"))
	if err != nil {
		s.r.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.root, "App.dll"), dll, 0o644); err != nil {
		s.r.Fatal(err)
	}
}

// becomes waits until version answers.
func (s *served) becomes(version string) {
	s.r.Helper()
	lab.Eventually(s.r, func() string {
		if a, err := s.try("GET", "/", ""); err != nil || a.status != 200 || !strings.HasPrefix(a.body, version+" ") {
			return fmt.Sprintf("%s does not answer: %v %v", version, a, err)
		}
		return ""
	})
}

// holds waits until a directory for copies has these in it.
func (s *served) holds(dir, want string) {
	s.r.Helper()
	lab.Eventually(s.r, func() string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err.Error()
		}
		var names []string
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), ".") {
				names = append(names, e.Name())
			}
		}
		if got := strings.Join(names, " "); got != want {
			return fmt.Sprintf("%s holds %s, want %s", dir, got, want)
		}
		return ""
	})
	s.r.saw(file, "%s holds %s", dir, want)
}

// older makes folders with these numbers, each with an application in it.
func older(r *recorder, root, dir string, numbers ...string) {
	r.Helper()
	for _, n := range numbers {
		lab.Folder(r, filepath.Join(root, dir), n, map[string]string{"App.dll": "an old one"})
	}
}

// I: instances that run from copies of their folder. The module does so in-process; here it is the same in both models.
func TestShadowCopy(t *testing.T) {
	t.Parallel()
	const usual = "ShadowCopyDirectory"
	row(t, "I02 the directory is relative, below the folder or beside it", func(r *recorder) {
		for _, written := range []string{"", `copies`, `.\deep\copies\`, `..\copies`, "../ShadowCopyDirectory/"} {
			root := shadowed(r, "shadowCopyDirectory", written)
			dir := filepath.Join(root, strings.ReplaceAll(written, `\`, "/"))
			if written == "" {
				dir = filepath.Join(root, usual)
			}
			s := serve(r, root)
			want(r, "the copy", s.beginning(dir), "0")
			s.holds(dir, "0")
			s.Stop(r)
		}
	})
	row(t, "I03 a dll is replaced under load", func(r *recorder) {
		for _, model := range []string{inProcess, outOfProcess} {
			s := serve(r, compile(r, telling("one"), appConfig(model, settings("enableShadowCopy", "true"))))
			dir := filepath.Join(s.root, usual)
			want(r, "the copy", s.beginning(dir), "0")
			before := s.pid()
			l := s.load(2)
			l.until(20)
			s.deploy("two")
			s.becomes("two")
			if now := s.pid(); now == before {
				r.Errorf("process %d still", now)
			}
			l.until(l.good.Load() + 20)
			l.end(40)
			want(r, "the copy", s.copied(dir), "1")
			s.event(1012, "App.dll has changed")
			s.gone(before)
			s.holds(dir, "1")
			s.Stop(r)
		}
	})
	row(t, "I04 a copy is there before", func(r *recorder) {
		root := shadowed(r)
		older(r, root, usual, "0")
		s := serve(r, root)
		want(r, "the copy", s.beginning(filepath.Join(root, usual)), "1")
	})
	row(t, "I05 copies are there before, and a dll is replaced", func(r *recorder) {
		root := shadowed(r)
		older(r, root, usual, "0", "3")
		s := serve(r, root)
		dir := filepath.Join(root, usual)
		want(r, "the copy", s.beginning(dir), "4")
		l := s.load(2)
		l.until(20)
		s.deploy("two")
		s.becomes("two")
		l.end(20)
		want(r, "the copy", s.copied(dir), "5")
	})
	row(t, "I06 older copies are deleted", func(r *recorder) {
		root := shadowed(r, "shadowCopyDirectory", "../copies")
		dir := filepath.Join(filepath.Dir(root), "copies")
		older(r, filepath.Dir(root), "copies", "1", "3", "10")
		s := serve(r, root)
		want(r, "the copy", s.beginning(dir), "11")
		s.holds(dir, "11")
	})
	row(t, "I07 the directory of the copies is not copied", func(r *recorder) {
		for _, written := range []string{usual, "../www/" + usual} {
			root := shadowed(r, "shadowCopyDirectory", written)
			older(r, root, usual, "0")
			s := serve(r, root)
			dir := filepath.Join(root, usual)
			n := s.beginning(dir)
			entries, err := os.ReadDir(filepath.Join(dir, n))
			if err != nil || len(entries) == 0 || slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == usual }) {
				r.Errorf("the copy holds %v, %v", entries, err)
			}
			r.saw(file, "copy %s holds %v", n, entries)
			s.Stop(r)
		}
	})
	row(t, "I08 the directory is emptied at the start", func(r *recorder) {
		root := shadowed(r, "cleanShadowCopyDirectory", "true")
		older(r, root, usual, "3", "old")
		lab.Write(r, filepath.Join(root, usual), "stray.txt", "")
		s := serve(r, root)
		want(r, "the copy", s.beginning(filepath.Join(root, usual)), "0")
		s.holds(filepath.Join(root, usual), "0")
	})
}
