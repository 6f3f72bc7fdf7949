package lab

import (
	"os"
	"path/filepath"
	"testing"
)

// Dotnet gives the directory with a .NET runtime and published applications; without one the test is skipped by name.
func Dotnet(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ANCORA_DOTNET")
	if dir == "" {
		t.Skip("ANCORA_DOTNET is not set: no .NET runtime and applications at hand")
	}
	dir, err := filepath.EvalSymlinks(dir) // applications are told the folder itself
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
