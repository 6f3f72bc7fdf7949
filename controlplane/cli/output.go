package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// Formats of -o. wide is the table with more columns; json is the wire's own JSON; name is `noun/name`, one a line.
const (
	formatTable = "table"
	formatWide  = "wide"
	formatJSON  = "json"
	formatYAML  = "yaml"
	formatName  = "name"
)

func formatFlag(cmd *cobra.Command, format *string) {
	formats := []string{formatTable, formatWide, formatJSON, formatYAML, formatName}
	choiceFlag(cmd, format, "output", "o", formatTable, formats, "how to print")
}

// choiceFlag is a string flag with a closed list of values, checked when it is read and completed by the shell.
func choiceFlag(cmd *cobra.Command, value *string, name, short, preset string, choices []string, usage string) {
	*value = preset
	cmd.Flags().VarP(&choice{value: value, choices: choices}, name, short, usage+": "+strings.Join(choices, ", "))
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
}

type choice struct {
	value   *string
	choices []string
}

func (c *choice) String() string { return *c.value }
func (c *choice) Type() string   { return "string" }
func (c *choice) Set(s string) error {
	if !slices.Contains(c.choices, s) {
		return fmt.Errorf("is none of %s", strings.Join(c.choices, ", "))
	}
	*c.value = s
	return nil
}

// listing is one answer of `get`, printable in every format.
type listing struct {
	// noun in the singular, for -o name.
	noun  string
	names []string
	// message holds all of it; items the single ones, in the order of names.
	message proto.Message
	items   []proto.Message
	table   func(wide bool) *table
	// yaml overrides the JSON's keys in YAML, for what has a file format of its own.
	yaml func() ([]byte, error)
}

// print writes l. single: the caller named one, so json and yaml are the thing itself and not a list.
func (p *program) print(l *listing, format string, single bool) error {
	message := l.message
	if single && len(l.items) == 1 {
		message = l.items[0]
	}
	switch format {
	case formatName:
		for _, name := range l.names {
			p.say("%s/%s", l.noun, name)
		}
		return nil
	case formatJSON:
		return writeJSON(p.Out, message)
	case formatYAML:
		return p.writeYAML(l, message)
	}
	if len(l.names) == 0 {
		p.note("no %ss", l.noun)
		return nil
	}
	return l.table(format == formatWide).write(p.Out, "")
}

func (p *program) writeYAML(l *listing, message proto.Message) error {
	var text []byte
	var err error
	if l.yaml != nil {
		text, err = l.yaml()
	} else {
		text, err = yamlOf(message)
	}
	if err != nil {
		return err
	}
	return p.writeText(text)
}

// writeText writes a result of many lines.
func (p *program) writeText(text []byte) error {
	if isTerminal(p.Out) {
		text = []byte(escapeText(string(text)))
	}
	_, err := p.Out.Write(text)
	return err
}

func writeJSON(w io.Writer, message proto.Message) error {
	text, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(message)
	if err != nil {
		return err
	}
	// protojson varies its white space on purpose; people diff this.
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = io.WriteString(w, escapeJSON(b.String()))
	return err
}
