package sitefile

import (
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// none lifts a limit.
const none = "none"

// Unit is one of a number of bytes, decimal or binary as its name says.
type Unit struct {
	Name  string
	Bytes int64
}

// Units gives the larger ones first, of equal ones the decimal.
func Units() []Unit {
	return []Unit{{"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"kB", 1e3}, {"KB", 1e3}, {"B", 1}}
}

// size takes a number of bytes: 30MB, 64KiB, 500 (bytes), or none.
func (r *reader) size(to **int64) field {
	return func(n ast.Node, path string) {
		if r.described(path, Size) {
			return
		}
		text, ok := scalar(n)
		if !ok {
			r.wrong(n, path, "%s is no size: write it as 30MB, 64KiB, a number of bytes, or none", describe(n))
			return
		}
		bytes, ok := parseSize(text)
		if !ok {
			r.wrong(n, path, "%q is no size: write it as 30MB, 64KiB, a number of bytes, or none; B, kB, MB, GB and KiB, MiB, GiB are known", text)
			return
		}
		*to = &bytes
	}
}

// parseSize reads whole numbers only; what is too large to count is as large as can be counted, for whoever checks ranges.
func parseSize(text string) (int64, bool) {
	if text == none {
		return site.Unlimited, true
	}
	factor := int64(1)
	for _, u := range Units() {
		if number, ok := strings.CutSuffix(text, u.Name); ok {
			text, factor = number, u.Bytes
			break
		}
	}
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > math.MaxInt64/factor {
		return math.MaxInt64, true
	}
	return n * factor, true
}

// formatSize writes the shortest number that says the same.
func formatSize(bytes int64) string {
	if bytes == site.Unlimited {
		return none
	}
	for _, u := range Units() {
		if bytes != 0 && bytes%u.Bytes == 0 && u.Bytes > 1 {
			return strconv.FormatInt(bytes/u.Bytes, 10) + u.Name
		}
	}
	return strconv.FormatInt(bytes, 10)
}
