package secure

import (
	"crypto/tls"
	"testing"
)

func TestServes(t *testing.T) {
	table := New([]Entry{{"a.test", NewBinding(Config{Identity: "a"})}, {"*.a.test", NewBinding(Config{Identity: "b"})}, {"A.test", NewBinding(Config{Identity: "c"})}})
	session, err := table.Session(tls.ConnectionState{ServerName: "a.test"})
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"a.test": true, "A.test.:443": true, "x.a.test": false, "nobody.test": true} {
		if table.Serves(session, []byte(host)) != want || table.Serves(nil, []byte(host)) || !(*Table)(nil).Serves(session, []byte(host)) {
			t.Error(host)
		}
	}
	if _, err := table.Session(tls.ConnectionState{ServerName: "nobody.test"}); err != ErrNoName {
		t.Error(err)
	}
	host := []byte("X.a.test:443")
	if n := testing.AllocsPerRun(100, func() { table.Serves(session, host) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
