package explain

import (
	"fmt"
	"slices"
)

// Hosted is what one host would do.
type Hosted struct {
	Host string
	*Trail
}

// Group puts hosts that decide the same together, in the order in which the first of each comes.
func Group(all []Hosted) [][]Hosted {
	var groups [][]Hosted
	for _, h := range all {
		i := slices.IndexFunc(groups, func(g []Hosted) bool { return Same(g[0].Trail, h.Trail) })
		if i < 0 {
			groups = append(groups, []Hosted{h})
			continue
		}
		groups[i] = append(groups[i], h)
	}
	return groups
}

// sign begins the line of a step.
func (o Outcome) sign() string {
	switch o {
	case Stops:
		return "x"
	case Warns:
		return "!"
	}
	return " "
}

// Lines are what hosts that decide the same have to say: a line for each step, and for what each host alone knows of it, then
// the answer. They are not safe for a terminal: names come from files and requests.
func Lines(group []Hosted) []string {
	var lines []string
	for i, step := range group[0].Steps {
		text := fmt.Sprintf("%s %-11s  %s", step.Outcome.sign(), step.Kind, step.Text)
		if at := step.Place.String(); at != "" {
			text += "  [" + at + "]"
		}
		details := make([]string, len(group))
		for n, h := range group {
			details[n] = h.Steps[i].Detail
		}
		if same := len(slices.Compact(slices.Clone(details))) == 1; same {
			if details[0] != "" {
				text += "  (" + details[0] + ")"
			}
			lines = append(lines, text)
			continue
		}
		lines = append(lines, text)
		for n, h := range group {
			if details[n] != "" {
				lines = append(lines, fmt.Sprintf("  %-11s    %s: %s", "", h.Host, details[n]))
			}
		}
	}
	answer := group[0].Answer.String()
	if group[0].Site != "" {
		answer += ", site " + group[0].Site
		if group[0].Application != "" && group[0].Application != "/" {
			answer += " application " + group[0].Application
		}
	}
	return append(lines, "= "+answer)
}
