package turnstile

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
)

// What is foreseen is what Enter does then, and asking lets nobody in and sends nobody away.
func TestOutlook(t *testing.T) { synctest.Test(t, testOutlook) }

func testOutlook(t *testing.T) {
	one := New(Limits{Places: 1, Line: 1})
	party := func(n byte) Party { return Party{Client: netip.AddrFrom4([4]byte{192, 0, 2, n})} }
	see := func(what string, p Party, waits bool, err error) {
		t.Helper()
		before := one.Load()
		if o := one.Outlook(p); o.Waits != waits || !errors.Is(o.Err, err) || o.Limits.Places != 1 {
			t.Errorf("%s: %+v", what, o)
		}
		if one.Load() != before {
			t.Errorf("%s: asking has an effect: %+v", what, one.Load())
		}
	}
	see("empty", party(1), false, nil)
	if err := one.Enter(t.Context(), party(1)); err != nil {
		t.Fatal(err)
	}
	see("taken", party(2), true, nil)
	ctx, cancel := context.WithCancel(t.Context())
	waits := make(chan error, 1)
	one.Set(Limits{Places: 1, Line: 1, Patience: 1 << 40})
	go func() { waits <- one.Enter(ctx, party(2)) }()
	synctest.Wait()
	see("full", party(3), false, ErrFull)
	if err := one.Enter(t.Context(), party(3)); !errors.Is(err, ErrFull) {
		t.Errorf("what was foreseen as full: %v", err)
	}
	cancel()
	<-waits
	one.Close()
	see("closed", party(3), false, ErrClosed)
	one.Leave()
	see("closed, with a place", party(3), false, nil)
}
