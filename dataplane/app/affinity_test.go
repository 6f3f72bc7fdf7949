package app

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

func cookies(values ...string) *forward.Request {
	r := &forward.Request{Fields: []forward.Field{field("Accept", "*/*")}}
	for _, v := range values {
		r.Fields = append(r.Fields, field("cOOKIE", v))
	}
	return r
}

// pair is the name and value of the cookie of a slot.
func pair(t *testing.T, a *affinity, slot uint32) string {
	text, _, ok := strings.Cut(a.cookie(slot, false), ";")
	if !ok {
		t.Fatalf("no cookie for slot %d", slot)
	}
	return text
}

func TestAffinityComesBack(t *testing.T) {
	a := newAffinity("shop", "/", 3)
	second := pair(t, a, 2)
	for _, c := range []struct {
		want    uint32
		cookies []string
	}{
		{2, []string{second}},
		{2, []string{"a=1; " + second + ";b=2"}},
		{2, []string{"a=1", second}}, // HTTP/2 may divide them
		{0, nil},
		{0, []string{"x" + second, second + "0", strings.ToUpper(second), strings.Replace(second, "=", "x=", 1)}},
		{0, []string{pair(t, newAffinity("shop", "/api", 3), 2), pair(t, newAffinity("other", "/", 3), 2)}},
		{2, []string{string(a.name) + "=gone; " + second}},
	} {
		if got := a.wanted(cookies(c.cookies...)); got != c.want {
			t.Errorf("%q: slot %d, want %d", c.cookies, got, c.want)
		}
	}
	// Made anew, with another number of instances, it means the same; a slot that is gone means none.
	if got := newAffinity("shop", "/", 2).wanted(cookies(second)); got != 2 {
		t.Errorf("slot %d, want 2", got)
	}
	if got := newAffinity("shop", "/", 1).wanted(cookies(second)); got != 0 {
		t.Errorf("slot %d of 1", got)
	}
	if got := (*affinity)(nil).wanted(cookies(second)); got != 0 {
		t.Errorf("slot %d without affinity", got)
	}
}

func TestAffinityCookie(t *testing.T) {
	a := newAffinity("shop", "/", 3)
	plain, secure := a.cookie(3, false), a.cookie(3, true)
	if !strings.HasSuffix(plain, "; Path=/; HttpOnly; SameSite=Lax") || secure != plain+"; Secure" || strings.HasSuffix(pair(t, a, 3), "=3") {
		t.Errorf("%s\n%s", plain, secure)
	}
	if got := a.cookie(4, false) + a.cookie(0, false) + (*affinity)(nil).cookie(1, false); got != "" {
		t.Errorf("%q for what is not there", got)
	}
}

func FuzzAffinity(f *testing.F) {
	a := newAffinity("shop", "/", 2)
	f.Add("a=1; " + a.cookie(1, true))
	f.Add(";;=;" + string(a.name))
	f.Fuzz(func(t *testing.T, value string) {
		slot := a.wanted(cookies(value))
		if slot > 2 || slot > 0 && !bytes.Contains([]byte(value), a.values[slot-1]) {
			t.Errorf("%q: slot %d", value, slot)
		}
	})
}
