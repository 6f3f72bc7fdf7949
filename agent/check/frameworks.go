package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// RuntimeConfig is what of a runtimeconfig.json says which runtime an application needs.
type RuntimeConfig struct {
	Frameworks []Reference
	// Included are those that a self-contained application brings along.
	Included    []Reference
	RollForward string
	Properties  map[string]any
}

// Reference is a framework and the version that is asked for.
type Reference struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	RollForward string `json:"rollForward"`
}

// ParseRuntimeConfig reads a runtimeconfig.json.
func ParseRuntimeConfig(content []byte) (RuntimeConfig, error) {
	var file struct {
		Options struct {
			Framework   *Reference     `json:"framework"`
			Frameworks  []Reference    `json:"frameworks"`
			Included    []Reference    `json:"includedFrameworks"`
			RollForward string         `json:"rollForward"`
			Older       *int           `json:"rollForwardOnNoCandidateFx"`
			Properties  map[string]any `json:"configProperties"`
		} `json:"runtimeOptions"`
	}
	content = []byte(strings.TrimPrefix(string(content), "\ufeff"))
	if err := json.Unmarshal(content, &file); err != nil {
		return RuntimeConfig{}, err
	}
	o := file.Options
	c := RuntimeConfig{Frameworks: o.Frameworks, Included: o.Included, RollForward: o.RollForward, Properties: o.Properties}
	if o.Framework != nil && len(o.Frameworks) == 0 {
		c.Frameworks = []Reference{*o.Framework}
	}
	if o.Older != nil && c.RollForward == "" {
		c.RollForward = map[int]string{0: "LatestPatch", 1: "Minor", 2: "Major"}[*o.Older]
	}
	return c, nil
}

// version is major.minor.patch with what may follow a hyphen.
type version struct {
	number     [3]int
	prerelease string
}

func parseVersion(text string) (version, bool) {
	var v version
	text, _, _ = strings.Cut(text, "+")
	text, v.prerelease, _ = strings.Cut(text, "-")
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return v, false
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return v, false
		}
		v.number[i] = int(n)
	}
	return v, true
}

// compare orders versions as semver does.
func (v version) compare(w version) int {
	if c := slices.Compare(v.number[:], w.number[:]); c != 0 {
		return c
	}
	switch {
	case v.prerelease == w.prerelease:
		return 0
	case v.prerelease == "":
		return 1
	case w.prerelease == "":
		return -1
	}
	a, b := strings.Split(v.prerelease, "."), strings.Split(w.prerelease, ".")
	for i := range min(len(a), len(b)) {
		x, errX := strconv.Atoi(a[i])
		y, errY := strconv.Atoi(b[i])
		c := cmp.Compare(a[i], b[i])
		switch {
		case errX == nil && errY == nil:
			c = cmp.Compare(x, y)
		case errX == nil:
			c = -1
		case errY == nil:
			c = 1
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// rolls are the words of rollForward.
func rolls() []string {
	return []string{"Disable", "LatestPatch", "Minor", "LatestMinor", "Major", "LatestMajor"}
}

func knownRoll(word string) (string, bool) {
	for _, r := range rolls() {
		if strings.EqualFold(r, word) {
			return r, true
		}
	}
	return "", false
}

// pick gives the version that the .NET host takes for a reference; false: none will do. Where a release is asked for, prereleases
// count only if no release will do.
func pick(wanted version, roll string, there []version) (version, bool) {
	if wanted.prerelease == "" {
		releases := slices.DeleteFunc(slices.Clone(there), func(v version) bool { return v.prerelease != "" })
		if v, ok := pickOf(wanted, roll, releases); ok {
			return v, true
		}
	}
	return pickOf(wanted, roll, there)
}

func pickOf(wanted version, roll string, there []version) (version, bool) {
	there = slices.SortedFunc(slices.Values(there), version.compare)
	var fits []version
	for _, v := range there {
		sameMajor := v.number[0] == wanted.number[0]
		sameMinor := sameMajor && v.number[1] == wanted.number[1]
		ok := v.compare(wanted) >= 0
		switch roll {
		case "Disable":
			ok = v == wanted
		case "LatestPatch":
			ok = ok && sameMinor
		case "Minor", "LatestMinor":
			ok = ok && sameMajor
		}
		if ok {
			fits = append(fits, v)
		}
	}
	if len(fits) == 0 {
		return version{}, false
	}
	if roll == "LatestMinor" || roll == "LatestMajor" {
		return fits[len(fits)-1], true
	}
	// The nearest minor version, and of that the newest patch; a prerelease is taken as it is.
	best := fits[0]
	if best.prerelease != "" {
		return best, true
	}
	for _, v := range fits {
		if v.number[0] == best.number[0] && v.number[1] == best.number[1] {
			best = v
		}
	}
	return best, true
}

// resolved is a framework that was found, or not.
type resolved struct {
	Reference
	roll, found string
}

// resolve finds the version of every framework that an application needs, those that frameworks need among them. Of two that ask
// for the same one the higher version counts.
func (d *DotNet) resolve(env func(name string) string) (all []resolved, problems []string) {
	override, by := d.RollForward, "--roll-forward "
	if override == "" {
		override, by = env("DOTNET_ROLL_FORWARD"), "DOTNET_ROLL_FORWARD="
	}
	if override != "" {
		word, ok := knownRoll(override)
		if !ok {
			return nil, []string{fmt.Sprintf("%s%q is not known: %s", by, override, strings.Join(rolls(), ", "))}
		}
		override = word
	}
	general := d.Config.RollForward
	queue := slices.Clone(d.Config.Frameworks)
	at := map[string]int{}
	for n := 0; n < len(queue) && n < 100; n++ {
		ref := queue[n]
		wanted, ok := parseVersion(ref.Version)
		if !ok {
			problems = append(problems, fmt.Sprintf("framework %s: %q is no version", ref.Name, ref.Version))
			continue
		}
		roll := cmp.Or(override, ref.RollForward, general, "Minor")
		if n >= len(d.Config.Frameworks) {
			roll = cmp.Or(override, ref.RollForward, "Minor")
		}
		word, ok := knownRoll(roll)
		if !ok {
			problems = append(problems, fmt.Sprintf("rollForward %q is not known: %s", roll, strings.Join(rolls(), ", ")))
			continue
		}
		if i, met := at[ref.Name]; met {
			if before, _ := parseVersion(all[i].Version); before.compare(wanted) >= 0 {
				continue
			}
			all[i] = d.find(ref, wanted, word)
		} else {
			at[ref.Name] = len(all)
			all = append(all, d.find(ref, wanted, word))
		}
		for _, i := range d.Installed {
			if i.Name == ref.Name && i.Version == all[at[ref.Name]].found {
				queue = append(queue, i.Needs...)
			}
		}
	}
	return all, problems
}

func (d *DotNet) find(ref Reference, wanted version, roll string) resolved {
	r := resolved{Reference: ref, roll: roll}
	var there []version
	spelled := map[version]string{}
	for _, i := range d.Installed {
		if v, ok := parseVersion(i.Version); ok && strings.EqualFold(i.Name, ref.Name) {
			there, spelled[v] = append(there, v), i.Version
		}
	}
	if v, ok := pick(wanted, roll, there); ok {
		r.found = spelled[v]
	}
	return r
}
