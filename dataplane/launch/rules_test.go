package launch

import (
	"slices"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// What web.config asks of requests is passed on; its limits of bodies, at every place, give way to the site's own.
func TestRules(t *testing.T) {
	const content = `<configuration><location path="a"><system.webServer><security><requestFiltering><requestLimits maxAllowedContentLength="5"/></requestFiltering></security></system.webServer></location>
<system.webServer><webSocket enabled="false"/><security><requestFiltering><requestLimits maxAllowedContentLength="7" maxUrl="9"/></requestFiltering></security></system.webServer></configuration>`
	config, err := webconfig.Parse("web.config", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	in := input(t, folder(t, map[string]string{"A": "elf"}), config)
	plan, err := Resolve(in)
	if err != nil || len(plan.Rules) != 2 || *plan.Rules[0].Body != 7 || *plan.Rules[1].Body != 5 {
		t.Fatalf("%+v, %v", plan, err)
	}
	if !slices.Contains(plan.Environ(12345, "", ""), "ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED=false") {
		t.Error("the application is not told that WebSockets are off")
	}
	a, limit := *in.Application, int64(10)
	a.BodyLimit, in.Application = &limit, &a
	plan, err = Resolve(in)
	if err != nil || plan.BodyLimit != 10 || plan.Rules[0].Body != nil || plan.Rules[1].Body != nil || *plan.Rules[1].URL != 9 {
		t.Errorf("%+v, %v", plan, err)
	}
	if !strings.Contains(strings.Join(notes(plan), "\n"), "maxAllowedContentLength has no effect") {
		t.Errorf("nobody is told: %v", plan.Notes)
	}
}

// What cannot be started still says how requests are judged and errors answered, by the variables of web.config as well.
func TestRulesBesideAnError(t *testing.T) {
	const content = `<configuration><system.webServer><httpProtocol><customHeaders><add name="A" value="b"/></customHeaders></httpProtocol>
<aspNetCore processPath="bogus" hostingModel="outofprocess" disableStartUpErrorPage="true"><environmentVariables>
<environmentVariable name="ASPNETCORE_DETAILEDERRORS" value="1"/><environmentVariable name="ANCM_ADDITIONAL_ERROR_PAGE_LINK" value="http://help/"/></environmentVariables></aspNetCore>
</system.webServer></configuration>`
	config, err := webconfig.Parse("web.config", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := Resolve(input(t, folder(t, nil), config))
	if err == nil || !strings.Contains(err.Error(), "bogus") {
		t.Fatal(err)
	}
	if plan.Program != "" || len(plan.Rules) != 1 || len(plan.Rules[0].Add) != 1 || !plan.PlainErrors || !plan.Development || plan.ErrorLink != "http://help/" {
		t.Errorf("%+v", plan)
	}
}

func notes(plan *Plan) (all []string) {
	for _, n := range plan.Notes {
		all = append(all, n.Text)
	}
	return all
}
