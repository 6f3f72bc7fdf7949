package launch

import (
	"os"
	"path/filepath"
	"strings"
)

// dotnetAt gives the dotnet program, by the order of D15: the policy's place, DOTNET_ROOT, PATH, the place its installer
// notes, the places of packages. Empty: there is none.
func dotnetAt(policy string, environ []string) string {
	if policy != "" {
		if info, err := os.Stat(policy); err == nil && !info.IsDir() {
			return resolved(policy)
		}
		return executable(filepath.Join(policy, "dotnet"))
	}
	var root, path string
	for _, v := range environ {
		if value, ok := strings.CutPrefix(v, "DOTNET_ROOT="); ok {
			root = value
		}
		if value, ok := strings.CutPrefix(v, "PATH="); ok {
			path = value
		}
	}
	places := []string{root}
	places = append(places, filepath.SplitList(path)...)
	if installed, err := os.ReadFile("/etc/dotnet/install_location"); err == nil {
		places = append(places, strings.TrimSpace(string(installed)))
	}
	for _, place := range append(places, "/usr/share/dotnet", "/usr/lib/dotnet") {
		if !filepath.IsAbs(place) {
			continue
		}
		if found := executable(filepath.Join(place, "dotnet")); found != "" {
			return found
		}
	}
	return ""
}

// executable gives the file itself behind links, if it is one that can be executed.
func executable(path string) string {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return ""
	}
	return resolved(path)
}

func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
