// Package offline answers one question: is this application out of service, and with what page? Notices pushed by an
// operator and an app_offline.htm in the application's folder end in one State.
package offline

import (
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/page"
)

// Local is what holds an application offline when its folder has an app_offline.htm.
const Local = "local"

// Notice is an operator's order, as one host sees it.
type Notice struct {
	Name string
	// Sites are names; none means all.
	Sites []string
	// Page is whole HTML; without one Message goes into the default page.
	Page    []byte
	Message string
	// RetryAfter is 0 for the time left, or none.
	RetryAfter time.Duration
	CreateTime time.Time
	// ExpireTime is this host's own deadline; zero: none.
	ExpireTime time.Time
	Digest     []byte
}

// Means says whether the notice is about a site.
func (n *Notice) Means(site string) bool { return len(n.Sites) == 0 || slices.Contains(n.Sites, site) }

// Expired says whether its end has come.
func (n *Notice) Expired(now time.Time) bool {
	return !n.ExpireTime.IsZero() && !now.Before(n.ExpireTime)
}

// Answer is what an application that is offline says to every request.
type Answer struct {
	// Holders are all that hold it: names of notices, in their order, and Local.
	Holders []string
	Body    []byte
	// retryAfter is fixed; until, when it is not zero, counts down.
	retryAfter time.Duration
	until      time.Time
}

// RetryAfter gives seconds for the Retry-After field, 0 for none.
func (a *Answer) RetryAfter(now time.Time) int {
	d := a.retryAfter
	if d == 0 && !a.until.IsZero() {
		d = a.until.Sub(now)
	}
	if d <= 0 {
		return 0
	}
	return int((d + time.Second - 1) / time.Second)
}

// decide makes the answer; nil is online. A page in the folder wins, then a notice for the site, then one for all; of
// equals the newest.
func decide(site string, notices []Notice, local []byte, here bool, now time.Time) *Answer {
	var holding []Notice
	for _, n := range notices {
		if n.Means(site) && !n.Expired(now) {
			holding = append(holding, n)
		}
	}
	if len(holding) == 0 && !here {
		return nil
	}
	slices.SortStableFunc(holding, func(a, b Notice) int {
		if (len(a.Sites) == 0) != (len(b.Sites) == 0) {
			if len(a.Sites) == 0 {
				return 1
			}
			return -1
		}
		return b.CreateTime.Compare(a.CreateTime)
	})
	a := &Answer{}
	for i, n := range holding {
		a.Holders = append(a.Holders, n.Name)
		if i == 0 {
			a.retryAfter, a.until = n.RetryAfter, n.ExpireTime
			if a.Body = n.Page; a.Body == nil {
				a.Body = page.Offline(n.Message)
			}
		}
	}
	slices.SortFunc(a.Holders, strings.Compare)
	if here {
		a.Holders = append(a.Holders, Local)
		a.Body = local
	}
	return a
}

// nextEnd is when the first of the notices expires; zero: never.
func nextEnd(notices []Notice, now time.Time) time.Time {
	var end time.Time
	for _, n := range notices {
		if !n.ExpireTime.IsZero() && n.ExpireTime.After(now) && (end.IsZero() || n.ExpireTime.Before(end)) {
			end = n.ExpireTime
		}
	}
	return end
}
