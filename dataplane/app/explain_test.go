package app

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/explain"
	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
	"github.com/ancora-fleet/ancora/dataplane/turnstile"
)

func asked(a *App) *explain.Trail {
	t := &explain.Trail{}
	a.Explain(&forward.Request{Method: []byte("GET"), Path: []byte("/"), Client: netip.MustParseAddrPort("192.0.2.1:0")}, t)
	return t
}

func last(t *explain.Trail) explain.Step { return t.Steps[len(t.Steps)-1] }

// An application that has too much to do says so, and how much it has.
func TestExplainTheQueue(t *testing.T) {
	a := New("shop", "/", t.TempDir(), nil, nil)
	a.Update(&Spec{Pool: supervise.Config{Instances: 1}, Limits: turnstile.Limits{Places: 1, Line: 2}})
	if got := asked(a); got.Answer != (explain.Answer{Instance: 1, Starts: true}) {
		t.Errorf("%+v", got)
	}
	if err := a.turnstile.Enter(t.Context(), turnstile.Party{}); err != nil {
		t.Fatal(err)
	}
	if got := asked(a); got.Steps[0].Kind != explain.Queue || got.Steps[0].Outcome != explain.Warns || got.Answer.Instance != 1 {
		t.Errorf("%+v", got)
	}
	a.turnstile.Set(turnstile.Limits{Places: 1})
	if got := asked(a); got.Answer.Code() != "503" || last(got).Kind != explain.Queue || last(got).Detail != "1 requests in flight, 0 wait" {
		t.Errorf("%+v", got)
	}
	a.turnstile.Leave()
}

// One that is going away, or of which nothing is known, says 503.
func TestExplainDoorsThatRunNothing(t *testing.T) {
	a := New("shop", "/", t.TempDir(), nil, nil)
	if got := asked(a); got.Answer.Code() != "503" || last(got).Kind != explain.Config {
		t.Errorf("unknown: %+v", got)
	}
	a.Close(0)
	if got := asked(a); got.Answer.Code() != "503" || last(got).Kind != explain.Application {
		t.Errorf("closed: %+v", got)
	}
}

// A page that is taken away lets the next request in, and asking before it comes says so without letting it in.
func TestExplainBehindAPageThatIsGone(t *testing.T) {
	root := t.TempDir()
	page := filepath.Join(root, "app_offline.htm")
	if err := os.WriteFile(page, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a := New("shop", "/", root, nil, nil)
	a.Update(&Spec{Pool: supervise.Config{Instances: 1}, Limits: turnstile.Limits{Places: 1}})
	if got := asked(a); got.Answer.Code() != "503" || last(got).Kind != explain.Offline {
		t.Errorf("%+v", got)
	}
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	if got := asked(a); got.Answer != (explain.Answer{Instance: 1, Starts: true}) || got.Steps[0].Kind != explain.Offline {
		t.Errorf("%+v", got)
	}
	if len(a.Offline()) == 0 {
		t.Error("asking has let it in")
	}
}
