package proctree

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListeningAt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b")
	if found, err := ListeningAt(path); len(found) > 0 || err != nil {
		t.Errorf("before anybody listens: %v, %v", found, err)
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	found, err := ListeningAt(path)
	if len(found) != 1 || err != nil {
		t.Fatalf("%v, %v: want the one that listens, not what it has accepted", found, err)
	}
	if owned := OwnedBy(found, []int{os.Getpid()}); len(owned) != 1 {
		t.Errorf("it is not found among our own: %v", owned)
	}
	if found, _ := ListeningAt("b"); len(found) > 0 {
		t.Error("the end of a path is taken for the path")
	}
}

func TestParseUnix(t *testing.T) {
	const text = "Num       RefCount Protocol Flags    Type St Inode Path\n" +
		"0: 00000002 00000000 00010000 0001 01 11 /run/a\n" +
		"0: 00000003 00000000 00000000 0001 03 12 /run/a\n" +
		"0: 00000002 00000000 00010000 0001 01 13\n" +
		"0: 00000002 00000000 00010000 0001 01 14 /run/ab\n" + "short /run/a\n"
	if got := parseUnix(strings.NewReader(text), "/run/a"); len(got) != 1 || got[0].inode != "11" {
		t.Errorf("%v", got)
	}
}
