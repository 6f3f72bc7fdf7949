// Package explain has the words in which the data plane says what would become of a request: the steps of its decision, each
// with what stands in the way, and the answer at their end. It decides nothing: who decides writes into a Trail.
package explain

import (
	"fmt"
	"strconv"
)

// Kind is what a step is about.
type Kind string

const (
	Listener    Kind = "listener"
	TLS         Kind = "tls"
	Request     Kind = "request"
	Hostname    Kind = "hostname"
	Site        Kind = "site"
	Redirect    Kind = "redirect"
	Application Kind = "application"
	Offline     Kind = "offline"
	Config      Kind = "config"
	Rules       Kind = "rules"
	Handler     Kind = "handler"
	Queue       Kind = "queue"
	Instance    Kind = "instance"
)

// Outcome is what a step comes to.
type Outcome string

const (
	// Passes leads to the next step.
	Passes Outcome = "passes"
	// Warns does too, and is not as it was meant, or not sure.
	Warns Outcome = "warns"
	// Stops is why the request gets no further.
	Stops Outcome = "stops"
)

// Place is where in a file something is said. Line and Column count from 1; 0: the file as a whole.
type Place struct {
	File         string
	Line, Column int
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Step is one decision on the way of a request.
type Step struct {
	Kind    Kind
	Outcome Outcome
	// Text is the same on every host that decides the same; Detail has what is this host's or this moment's: addresses,
	// process ids, times.
	Text, Detail string
	Place        Place
}

// Answer is what the client gets.
type Answer struct {
	// Status and Substatus are those of an answer of ours; 0: an instance answers, or nobody does.
	Status, Substatus int
	// Instance is the slot of the instance that the request goes to, from 1. Starts says that it is started for it.
	Instance uint32
	Starts   bool
	// Location is where a redirect leads.
	Location string
}

// Code is the answer as X-Ancora-Error has it; empty when it is not ours.
func (a Answer) Code() string {
	switch {
	case a.Status == 0:
		return ""
	case a.Substatus == 0:
		return strconv.Itoa(a.Status)
	}
	return fmt.Sprintf("%d.%d", a.Status, a.Substatus)
}

func (a Answer) String() string {
	switch {
	case a.Location != "":
		return a.Code() + " to " + a.Location
	case a.Status != 0:
		return a.Code()
	case a.Instance != 0 && a.Starts:
		return fmt.Sprintf("instance %d is started and answers", a.Instance)
	case a.Instance != 0:
		return fmt.Sprintf("instance %d answers", a.Instance)
	}
	return "no answer, the connection is closed"
}

// InstanceStatus is an instance of the application that the request leads to.
type InstanceStatus struct {
	Instance uint32
	Run      uint64
	// State is starting, ready, draining, stopping, exited or refused.
	State    string
	Revision int64
	PID      int
	Port     uint16
	// InFlight is how many requests it has.
	InFlight int64
	// Message is why it does not run.
	Message string
}

// Trail is what would become of a request. Every method adds the next step.
type Trail struct {
	// Site and Application are those that the request leads to; empty: none.
	Site, Application string
	Steps             []Step
	Answer            Answer
	// Instances are those of the application that have, or had, a process.
	Instances []InstanceStatus
}

// Pass adds a step that leads on.
func (t *Trail) Pass(k Kind, format string, args ...any) *Step { return t.add(k, Passes, format, args) }

// Warn adds a step that leads on and is not as it was meant.
func (t *Trail) Warn(k Kind, format string, args ...any) *Step { return t.add(k, Warns, format, args) }

// Stop adds the last step and the answer it gives; 0 is none.
func (t *Trail) Stop(k Kind, status, substatus int, format string, args ...any) *Step {
	t.Answer = Answer{Status: status, Substatus: substatus}
	return t.add(k, Stops, format, args)
}

func (t *Trail) add(k Kind, o Outcome, format string, args []any) *Step {
	t.Steps = append(t.Steps, Step{Kind: k, Outcome: o, Text: fmt.Sprintf(format, args...)})
	return &t.Steps[len(t.Steps)-1]
}

// At says where the step's reason stands.
func (s *Step) At(p Place) *Step {
	s.Place = p
	return s
}

// Here adds what is this host's alone.
func (s *Step) Here(format string, args ...any) *Step {
	s.Detail = fmt.Sprintf(format, args...)
	return s
}

// Same says whether two hosts decide the same for the same reasons, whatever their addresses and processes.
func Same(a, b *Trail) bool {
	if a.Site != b.Site || a.Application != b.Application || a.Answer != b.Answer || len(a.Steps) != len(b.Steps) {
		return false
	}
	for i := range a.Steps {
		x, y := a.Steps[i], b.Steps[i]
		x.Detail, y.Detail = "", ""
		if x != y {
			return false
		}
	}
	return true
}
