package debuglog

import "strings"

// Level is how much is told; each tells what those before it tell, too.
type Level int

// The levels of debugLevel (DBG-1); Off is not one that can be written.
const (
	Off Level = iota
	Error
	Warning
	Info
	Trace
)

func (l Level) String() string { return [...]string{"OFF", "ERROR", "WARNING", "INFO", "TRACE"}[l] }

// Sinks is where it is told.
type Sinks struct{ Console, Events, File bool }

// Parse reads debugLevel: levels and sinks in any order and any case, between commas. Sinks without a level mean Info
// (DBG-1). What is no word of it is given back.
func Parse(text string) (level Level, to Sinks, unknown []string) {
	for word := range strings.SplitSeq(text, ",") {
		switch word = strings.TrimSpace(word); strings.ToUpper(word) {
		case "":
		case "ERROR":
			level = max(level, Error)
		case "WARNING":
			level = max(level, Warning)
		case "INFO":
			level = max(level, Info)
		case "TRACE":
			level = max(level, Trace)
		case "CONSOLE":
			to.Console = true
		case "EVENTLOG":
			to.Events = true
		case "FILE":
			to.File = true
		default:
			unknown = append(unknown, word)
		}
	}
	if level == Off && to != (Sinks{}) {
		level = Info
	}
	return level, to, unknown
}
