package sitefile

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "0MB": 0, "500": 500, "500B": 500, "1kB": 1000, "1KB": 1000, "30MB": 30_000_000, "2GB": 2_000_000_000,
		"1KiB": 1 << 10, "64MiB": 64 << 20, "3GiB": 3 << 30, "none": site.Unlimited, "007": 7,
		"99999999999999999999": math.MaxInt64, "99999999999GB": math.MaxInt64,
	} {
		if got, ok := parseSize(text); !ok || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "MB", "30 MB", "30mb", "30M", "30Mb", "1.5MB", "-1", "-1MB", "+1", "1e6", "0x10", "1_000", "None", "unlimited", "30MBB", "30BB"} {
		if got, ok := parseSize(text); ok {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

func TestFormatSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0", 1: "1", 999: "999", 1000: "1kB", 1024: "1KiB", 30_000_000: "30MB", 64 << 20: "64MiB", 1_000_000_000_000: "1000GB", site.Unlimited: "none",
	} {
		if got := formatSize(bytes); got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
}

// A size that a file may hold is written so that it is read as the same.
func FuzzSize(f *testing.F) {
	for _, seed := range []string{"0", "30MB", "64KiB", "none", "12345678GiB", "-1", "1 MB"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bytes, ok := parseSize(text)
		if !ok {
			return
		}
		again, ok := parseSize(formatSize(bytes))
		if diff := cmp.Diff(bytes, again); !ok || diff != "" {
			t.Errorf("%q is %d, written %q: %s", text, bytes, formatSize(bytes), diff)
		}
		if strings.ContainsAny(formatSize(bytes), " -") {
			t.Errorf("%q is written %q", text, formatSize(bytes))
		}
	})
}
