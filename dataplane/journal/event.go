package journal

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Ids of events, as ANCM numbers them (event provider "IIS AspNetCore Module V2").
const (
	EventStartAttemptFailed = 1000 // one attempt to start failed; another may follow
	EventStarted            = 1001
	EventRapidFails         = 1003 // too many failures in a minute: starts are refused
	EventConfiguration      = 1004
	EventShutdownFailed     = 1005 // did not stop in time and was killed
	EventShutdownSent       = 1006
	EventExitedByCode       = 1011 // in-process: the program has ended by itself, with a code
	EventRecycleFile        = 1012 // recycled because a file changed or app_offline.htm came
	EventExited             = 1018 // ended although nobody asked it to; in-process, by an exception or a signal
	EventStartFailed        = 1020 // no attempt succeeded
	EventRecycleConfig      = 1021 // recycled because its config changed
	EventShutdown           = 1030 // ended as asked
	EventFailedInProcess    = 1031 // in-process: it could not be started
	EventStartedInProcess   = 1032
	EventShutdownInProcess  = 1033
	EventConfigLoad         = 1034 // web.config cannot be used as it is
	EventDebug              = 1036 // a line of the debug log
)

// Ids of events that ANCM does not have.
const (
	EventCertificatesRead = 2001 // files of certificates have changed, what they hold now is in force
	EventCertificatesKept = 2002 // they cannot be read as they are now, what they held stays in force
	EventWarmedUp         = 2010 // asked for what is to be ready before visitors come
	EventRecycleFailed    = 2011 // what was to replace an instance does not start, the old one goes on
	EventBodyRefused      = 2021 // has answered 413 by itself, for whatever reason; told once a minute at most
	EventFilesChanged     = 2020 // died since a file of its folder was written to that it had in use
)

// Ids that the service of IIS for its processes has (event provider WAS): what its rules do to an instance.
const (
	EventRecycleAge      = 5074
	EventRecycleRequests = 5075
	EventRecycleSchedule = 5076
	EventRecycleMemory   = 5117
	EventIdle            = 5186 // stopped for want of requests
)

const (
	// maxEvent keeps a line of an encoded event one line: lines are cut at 64 KiB.
	maxEvent = 60 << 10
	// maxPart is how much of a line of output stands in one value when all of it does not fit into a line: quoted it is four
	// times as long at most.
	maxPart = 8 << 10
)

// Event is what the agent saw happen to an application. It is kept as one line of stream `event`.
type Event struct {
	ID      int      // one of the ids above, 1000..9999
	Message string   // one sentence for people
	Reason  string   // why, in few words; may be empty
	Exit    string   // how the process ended ("code 139", "signal SIGKILL"); empty when it did not
	Output  []string // its last lines, oldest first
}

// Encode returns the event as lines of text, each with its line feed; one as a rule:
//
//	[1020] "it did not start" reason="exited before it listened" exit="code 3" output="a line" output="another"
//
// Every value is a quoted Go string, so control bytes of an application's output stay harmless. Output that does not fit
// into 60 KiB goes on in further events with the same id and no message.
func (e Event) Encode() []byte {
	line := fmt.Appendf(nil, "[%04d] ", e.ID)
	line = strconv.AppendQuote(line, cut(e.Message, 4<<10))
	line = appendField(line, "reason", cut(e.Reason, 4<<10))
	line = appendField(line, "exit", cut(e.Exit, 256))
	var all []byte
	for _, out := range e.Output {
		for first := true; first || out != ""; first = false {
			part := out
			field := strconv.AppendQuote([]byte(" output="), part)
			if len(field) > maxEvent-len(`[1020] ""`) {
				part = cut(out, maxPart)
				field = strconv.AppendQuote([]byte(" output="), part)
			}
			out = out[len(part):]
			if len(line)+len(field) > maxEvent {
				all = append(append(all, line...), '\n')
				line = fmt.Appendf(nil, "[%04d] \"\"", e.ID)
			}
			line = append(line, field...)
		}
	}
	return append(append(all, line...), '\n')
}

// cut does not part a character.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	for n := max; n > max-utf8.UTFMax; n-- {
		if utf8.RuneStart(s[n]) {
			return s[:n]
		}
	}
	return s[:max]
}

func appendField(line []byte, name, value string) []byte {
	if value == "" {
		return line
	}
	line = append(line, ' ')
	line = append(line, name...)
	line = append(line, '=')
	return strconv.AppendQuote(line, value)
}

var errNotEvent = errors.New("not an event line")

// ParseEvent reads a line made by Encode.
func ParseEvent(line []byte) (Event, error) {
	text := string(line)
	if len(text) < 7 || text[0] != '[' || text[5] != ']' || text[6] != ' ' {
		return Event{}, errNotEvent
	}
	id, err := strconv.ParseUint(text[1:5], 10, 16)
	if err != nil {
		return Event{}, errNotEvent
	}
	e := Event{ID: int(id)}
	if e.Message, text, err = unquotePrefix(text[7:]); err != nil {
		return Event{}, err
	}
	for text != "" {
		name, rest, ok := strings.Cut(text, "=")
		if !ok {
			return Event{}, errNotEvent
		}
		var value string
		if value, text, err = unquotePrefix(rest); err != nil {
			return Event{}, err
		}
		switch name {
		case " reason":
			e.Reason = value
		case " exit":
			e.Exit = value
		case " output":
			e.Output = append(e.Output, value)
		default:
			return Event{}, errNotEvent
		}
	}
	return e, nil
}

func unquotePrefix(text string) (value, rest string, err error) {
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", "", errNotEvent
	}
	value, err = strconv.Unquote(quoted)
	if err != nil {
		return "", "", errNotEvent
	}
	return value, text[len(quoted):], nil
}
