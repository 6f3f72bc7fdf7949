package cli

import (
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
)

func (p *program) tokenCommand() *cobra.Command {
	c := &cobra.Command{Use: "token create", Short: "Make tokens with which hosts join", Args: cobra.ArbitraryArgs, RunE: helpOrUnknown}
	c.AddCommand(p.tokenCreate())
	return c
}

func (p *program) tokenCreate() *cobra.Command {
	var host, format string
	var labels []string
	var uses int32
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "create",
		Short: "Make a join token; it is shown once",
		Example: `  ancora token create --host web1 --label role=web
  ancora token create --uses 50 --ttl 24h --label role=web
  ancora-agent join $(ancora token create --host web2 -o command)`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, remove, err := parseLabels(labels)
			if err != nil {
				return err
			}
			if len(remove) > 0 {
				return usagef("--label: %s-: a token sets labels, it removes none", remove[0])
			}
			conn, err := p.connect()
			if err != nil {
				return err
			}
			answer, err := conn.tokens.CreateToken(cmd.Context(), &controlv1.CreateTokenRequest{Host: host, Labels: set, MaxUses: uses, Ttl: durationpb.New(ttl)})
			if err != nil {
				return err
			}
			switch format {
			case "token":
				p.say("%s", answer.GetJoinToken())
			case "command":
				p.say("%s --token %s", conn.context.agents(), answer.GetJoinToken())
			case formatJSON:
				return writeJSON(p.Out, answer)
			default:
				p.note("good for %s until %s; on the host:", plural(int(answer.GetToken().GetMaxUses()), "use"), answer.GetToken().GetExpireTime().AsTime().Local().Format(time.DateTime))
				p.say("ancora-agent join %s --token %s", conn.context.agents(), answer.GetJoinToken())
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&host, "host", "", "the one host that may join, also when its name is taken: `name`")
	f.StringArrayVar(&labels, "label", nil, "label that hosts get which join with it: `KEY=VALUE`")
	f.Int32Var(&uses, "uses", 1, "how many hosts may join with it, 1 to 10000")
	f.DurationVar(&ttl, "ttl", time.Hour, "how long it is good, 1s to 720h")
	choiceFlag(c, &format, "output", "o", "text", []string{"text", "token", "command", formatJSON}, "what to print: the command to type, the token alone, the arguments of join, or all")
	return c
}
