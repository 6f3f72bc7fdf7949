package webconfig

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// enforcedCase is what cases.yaml says of the sections that restrict requests and dress answers.
type enforcedCase struct {
	File   string
	Expect struct {
		Outcome string
		Limits  []struct {
			Path                                    string
			MaxAllowedContentLength, MaxQueryString *uint32
			MaxURL                                  *uint32 `yaml:"maxUrl"`
		}
		Headers struct {
			Add map[string]string
		}
		ErrorPages map[string]string `yaml:"error_pages"`
		Warmup     []string
		Honoured   []string
	}
}

func TestEnforcedCases(t *testing.T) {
	data, err := os.ReadFile("testdata/cases.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var cases []enforcedCase
	if err := yaml.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range cases {
		// One file does not show what another inherits from it.
		if c.File == "035-sub-application.config" || c.Expect.Outcome == "refuse" || len(c.Expect.Limits)+len(c.Expect.Headers.Add)+len(c.Expect.ErrorPages)+len(c.Expect.Warmup) == 0 {
			continue
		}
		checked++
		t.Run(c.File, func(t *testing.T) { c.check(t) })
	}
	if checked < 6 {
		t.Errorf("%d cases", checked)
	}
}

func (c *enforcedCase) check(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("testdata", c.File))
	if err != nil {
		t.Fatal(err)
	}
	config, err := Parse("web.config", content)
	if err != nil {
		t.Fatal(err)
	}
	places := map[string]filter.Rules{}
	for _, rules := range Rules(config.Edits) {
		places["/"+rules.Path] = rules
	}
	for _, want := range c.Expect.Limits {
		rules := places[want.Path]
		got := []*uint32{rules.Body, rules.Query, rules.URL}
		for i, n := range []*uint32{want.MaxAllowedContentLength, want.MaxQueryString, want.MaxURL} {
			if n != nil && (got[i] == nil || *got[i] != *n) {
				t.Errorf("limits of %s: %v, want %d", want.Path, got[i], *n)
			}
		}
	}
	for name, value := range c.Expect.Headers.Add {
		if !slices.Contains(places["/"].Add, filter.Header{Name: name, Value: value}) {
			t.Errorf("%s is not added: %v", name, places["/"].Add)
		}
	}
	if set := filter.Compile(Rules(config.Edits)); len(c.Expect.ErrorPages) > 0 {
		for code, file := range map[[2]int]string{{502, 3}: c.Expect.ErrorPages["502.3"], {502, 5}: c.Expect.ErrorPages["502.5"]} {
			if page, _ := set.Application().Page(code[0], code[1], false); "{root}/"+page.File != file {
				t.Errorf("page of %v: %q, want %s", code, page.File, file)
			}
		}
	}
	var warm []string
	if config.Initialization != nil {
		for _, page := range config.Initialization.Pages {
			warm = append(warm, page.Target)
		}
	}
	if !slices.Equal(warm, c.Expect.Warmup) {
		t.Errorf("warm-up %v, want %v", warm, c.Expect.Warmup)
	}
	for _, section := range c.Expect.Honoured {
		if !slices.ContainsFunc(config.Notes, func(n Note) bool { return n.Kind == Honoured && strings.HasPrefix(n.Text, section+" ") }) {
			t.Errorf("%s is not said to be honoured", section)
		}
	}
}

// security wraps the text of sections; they begin on line 6.
func security(sections string) []byte { return in("<security>" + sections + "</security>") }

func filtering(parts string) []byte {
	return security("<requestFiltering>" + parts + "</requestFiltering>")
}

// Everything that is read, in one file, with what a place in the application changes of it.
func TestRules(t *testing.T) {
	content := `<configuration><location path="files\upload"><system.webServer>
 <security>
  <requestFiltering removeServerHeader="false">
   <requestLimits maxAllowedContentLength="0"><headerLimits><remove header="cookie"/></headerLimits></requestLimits>
   <verbs allowUnlisted="true"><clear/><add verb="PUT" allowed="false"/></verbs>
   <fileExtensions><add fileExtension=".BAK" allowed="true"/></fileExtensions>
   <hiddenSegments><remove segment="Private"/></hiddenSegments>
  </requestFiltering>
  <ipSecurity><add ipAddress="10.0.0.1"/></ipSecurity>
 </security>
 <httpProtocol><customHeaders><remove name="x-a"/><add name="X-B" value="2"/></customHeaders></httpProtocol>
</system.webServer></location>
<system.webServer>
 <security>
  <requestFiltering allowDoubleEscaping="false" allowHighBitCharacters="false" unescapeQueryString="False" removeServerHeader="true">
   <requestLimits maxAllowedContentLength="4294967295" maxUrl="100" maxQueryString="200"><headerLimits><add header="Cookie" sizeLimit="300"/></headerLimits></requestLimits>
   <verbs allowUnlisted="false"><add verb="GET" allowed="true"/></verbs>
   <fileExtensions><add fileExtension=".bak" allowed="false"/><add fileExtension="old" allowed="false"/></fileExtensions>
   <hiddenSegments applyToWebDAV="true"><add segment="private"/><add segment="bin"/></hiddenSegments>
   <denyUrlSequences><add sequence="/old/"/></denyUrlSequences>
   <alwaysAllowedUrls><add url="/old/x"/></alwaysAllowedUrls>
   <denyQueryStringSequences><add sequence="--"/></denyQueryStringSequences>
   <alwaysAllowedQueryStrings><add queryString="--"/></alwaysAllowedQueryStrings>
  </requestFiltering>
 </security>
 <security>
  <ipSecurity allowUnlisted="false" denyAction="notfound"><add ipAddress="10.20.1.1" subnetMask="255.255.0.0" allowed="true"/><add ipAddress="2001:db8::" subnetMask="32" allowed="true"/></ipSecurity>
  <access sslFlags="ssl, SslRequireCert"/>
 </security>
 <httpProtocol><customHeaders><clear/><add name="X-A" value="1"/></customHeaders></httpProtocol>
 <webSocket enabled="false"/>
 <httpErrors errorMode="Custom"><error statusCode="404" subStatusCode="8" path="pages\none.html"/><error statusCode="403" path="https://example.com/" responseMode="Redirect"/></httpErrors>
</system.webServer></configuration>`
	config, err := Parse("web.config", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	top := filter.Rules{
		NoDoubleEscaping: true, NoHighBit: true, RawQuery: true, NoServer: true,
		Body: pointer(uint32(4294967295)), URL: pointer(uint32(100)), Query: pointer(uint32(200)), Headers: []filter.HeaderLimit{{Name: "Cookie", Most: 300}},
		Verbs:      filter.List{DenyUnlisted: true, Names: []filter.Listed{{Name: "GET", Allowed: true}}},
		Extensions: filter.List{Names: []filter.Listed{{Name: ".bak"}, {Name: ".old"}}},
		Segments:   []string{"private", "bin"}, DenyURL: []string{"/old/"}, AllowURL: []string{"/old/x"}, DenyQuery: []string{"--"}, AllowQuery: []string{"--"},
		Clients: filter.Clients{DenyUnlisted: true, Status: 404, Ranges: []filter.Range{{Network: netip.MustParsePrefix("10.20.0.0/16"), Allowed: true}, {Network: netip.MustParsePrefix("2001:db8::/32"), Allowed: true}}},
		TLS:     true, Certificate: true, NoWebSockets: true, Add: []filter.Header{{Name: "X-A", Value: "1"}},
		Pages: []filter.Page{{Status: 404, Substatus: 8, File: "pages/none.html"}, {Status: 403, Substatus: -1, Location: "https://example.com/"}},
	}
	upload := top
	upload.Path, upload.NoServer, upload.Body, upload.Headers = "files/upload", false, pointer(uint32(0)), []filter.HeaderLimit{}
	upload.Verbs = filter.List{Names: []filter.Listed{{Name: "PUT"}}}
	upload.Extensions.Names = []filter.Listed{{Name: ".old"}, {Name: ".BAK", Allowed: true}}
	upload.Segments, upload.Add = []string{"bin"}, []filter.Header{{Name: "X-B", Value: "2"}}
	upload.Clients.Ranges = append([]filter.Range{{Network: netip.MustParsePrefix("10.0.0.1/32")}}, top.Clients.Ranges...)
	if diff := cmp.Diff([]filter.Rules{top, upload}, sourceless(Rules(config.Edits)), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

// What is ours is strict: unknown names, values out of range and what stands twice, each with its place.
func TestEnforcedProblems(t *testing.T) {
	for content, want := range map[string]string{
		string(filtering(`<requestLimits maxAllowedContentLength="4294967296"/>`)):                                                                                    `6:44: maxAllowedContentLength="4294967296": is not in 0 to 4294967295`,
		string(filtering(`<requestLimits maxAllowedContentLength="-1"/>`)):                                                                                            `is not in 0 to 4294967295`,
		string(filtering(`<requestLimits maxURL="1"/>`)):                                                                                                              `maxURL="1": is no attribute of requestLimits: maxUrl is meant`,
		string(filtering(`<requestLimit/>`)):                                                                                                                          `6:29: <requestLimit>: is no element of requestFiltering: `,
		string(filtering(`<requestLimits/><requestLimits/>`)):                                                                                                         `<requestLimits>: stands twice: line 6 has it already`,
		string(filtering(`<requestLimits><headerLimits><add header="a"/></headerLimits></requestLimits>`)):                                                            `sizeLimit: is missing in <add>`,
		string(filtering(`<verbs><add verb="A" allowed="no"/></verbs>`)):                                                                                              `allowed="no": is neither true nor false`,
		string(filtering(`<verbs><add verb="A"/></verbs>`)):                                                                                                           `allowed: is missing in <add>`,
		string(filtering(`<verbs><add verb="" allowed="true"/></verbs>`)):                                                                                             `verb: is empty`,
		string(filtering(`<verbs><add verb="A" allowed="true"/><add verb="a" allowed="true"/></verbs>`)):                                                              `verb="a": stands twice: line 6 has it already`,
		string(filtering(`<denyUrlSequences><add sequence=""/></denyUrlSequences>`)):                                                                                  `sequence: is empty`,
		string(filtering(`<denyUrlSequences><add url="a"/></denyUrlSequences>`)):                                                                                      `url="a": is no attribute of add: sequence`,
		string(filtering(`<hiddenSegments>bin</hiddenSegments>`)):                                                                                                     `hiddenSegments: holds text`,
		string(filtering(`<hiddenSegments><remove/></hiddenSegments>`)):                                                                                               `segment: is missing in <remove>`,
		string(filtering(`<filteringRules><filteringRule name="a"/></filteringRules>`)):                                                                               `open: [filteringRules]`,
		string(security(`<requestfiltering/>`)):                                                                                                                       `6:11: <requestfiltering>: is spelled wrongly: security/requestFiltering is meant`,
		string(security(`<requestFiltering configSource="x"/>`)):                                                                                                      `configSource="x": is no attribute of requestFiltering`,
		string(security(`<ipSecurity><add ipAddress="10.0.0"/></ipSecurity>`)):                                                                                        `ipAddress="10.0.0": is no address`,
		string(security(`<ipSecurity><add ipAddress="10.0.0.0" subnetMask="255.0.255.0"/></ipSecurity>`)):                                                             `has a gap`,
		string(security(`<ipSecurity><add ipAddress="10.0.0.0" subnetMask="33"/></ipSecurity>`)):                                                                      `is not in 0 to 32`,
		string(security(`<ipSecurity><add ipAddress="::1" subnetMask="255.255.255.0"/></ipSecurity>`)):                                                                `is no mask`,
		string(security(`<ipSecurity><add domainName="example.com" allowed="true"/></ipSecurity>`)):                                                                   `domainName="example.com": is not looked up`,
		string(security(`<ipSecurity denyAction="Refuse"/>`)):                                                                                                         `denyAction="Refuse": is not known: Forbidden, Unauthorized, NotFound, AbortRequest`,
		string(security(`<access sslFlags="Ssl,Tls"/>`)):                                                                                                              `"Tls" is not known`,
		string(security(`<authentication><anonymousAuthentication enabled="FALSE"/></authentication>`)):                                                               `6:27: anonymousAuthentication: is disabled`,
		string(security(`<authorization><add accessType="Deny" users="?"/></authorization>`)):                                                                         `6:26: authorization: `,
		string(security(`<authorization><remove users="*" roles="" verbs=""/><add accessType="Deny" users="?"/><add accessType="Allow" users="*"/></authorization>`)): `authorization: `,
		string(security(`<authorization><clear/><add accessType="Deny" users="?"/><add accessType="Allow" users="*"/></authorization>`)):                              `authorization: `,
		string(security(`<authorization><deny users="?"/></authorization>`)):                                                                                          `6:26: authorization: `,
		string(security(`<authorization><remove users="*"/><add accessType="Allow" roles="a"/></authorization>`)):                                                     `open: [authorization]`,
		string(security(`<dynamicIpSecurity><denyByRequestRate enabled="true"/></dynamicIpSecurity>`)):                                                                `open: [dynamicIpSecurity]`,
		"<configuration>\n\n<system.webServer><rewrite><rules><rule name='a'><action type='Rewrite' url='http://localhost:5000/{R:1}'/></rule></rules></rewrite></system.webServer></configuration>": `forwards to an address`,
		string(in(`<rewrite><rules><rule name="a"><action type="AbortRequest"/></rule></rules></rewrite>`)):                                                                                          `6:32: rewrite: rule "a" cuts requests off`,
		string(in(`<rewrite><rules configSource="rules.config"/></rewrite>`)):                                                                                                                        `6:17: rewrite: stands in another file, rules.config`,
		string(security(`<authorization configSource="a.config"/>`)):                                                                                                                                 `6:26: authorization: stands in another file`,
		string(security(`<dynamicIpSecurity configSource="a.config"/>`)):                                                                                                                             `open: [dynamicIpSecurity]`,
		string(security(`<authentication><anonymousAuthentication configSource="a.config"/></authentication>`)):                                                                                      `open: [anonymousAuthentication]`,
		string(in(`<rewrite><rules><rule><action type="CustomResponse" statusCode="403"/></rule></rules></rewrite>`)):                                                                                `open: [rewrite]`,
		string(in(`<httpErrors existing="PassThrough"/>`)):                                                                                                                                           `existing="PassThrough": is no attribute of httpErrors`,
		string(in(`<httpErrors><error statusCode="200" path="a"/></httpErrors>`)):                                                                                                                    `statusCode="200": is not in 400 to 999`,
		string(in(`<httpErrors><error statusCode="404"/></httpErrors>`)):                                                                                                                             `path: is missing in <error>`,
		string(in(`<httpErrors><error statusCode="404" path="a"/><error statusCode="404" path="b"/></httpErrors>`)):                                                                                  `statusCode="404": stands twice`,
		string(in(`<httpErrors><add statusCode="404" path="a"/></httpErrors>`)):                                                                                                                      `<add>: is no element of httpErrors: clear, error, remove`,
		string(in(`<httpProtocol><customHeaders><add name="A B" value=""/></customHeaders></httpProtocol>`)):                                                                                         `name="A B": is no name of a header`,
		string(in("<httpProtocol><customHeaders><add name=\"A\" value=\"b&#10;c: d\"/></customHeaders></httpProtocol>")):                                                                             `value: holds a control character`,
		string(in(`<webSocket enabled="off"/>`)):                                                                                                                                                     `enabled="off": is neither true nor false`,
		string(in(`<websocket enabled="false"/>`)):                                                                                                                                                   `<websocket>: is spelled wrongly: webSocket is meant`,
		string(in(`<applicationInitialization><add page="/"/></applicationInitialization>`)):                                                                                                         `page="/": is no attribute of add`,
	} {
		_, err := Parse("web.config", []byte(content))
		if _, ok := errors.AsType[Errors](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", content[strings.Index(content, "\n\n")+2:], err, want)
		}
	}
}

// What is accepted, and what is said of it.
func TestEnforcedNotes(t *testing.T) {
	for content, want := range map[string]struct {
		kind Kind
		text string
	}{
		string(filtering(`<requestLimits/>`)):                                                                                            {Honoured, "security/requestFiltering/requestLimits is honoured"},
		string(security(`<requestFiltering/>`)):                                                                                          {Honoured, "security/requestFiltering is honoured"},
		string(security(`<access sslFlags="None"/>`)):                                                                                    {Honoured, "security/access is honoured"},
		string(security(`<access sslFlags="SslRequireCert"/>`)):                                                                          {Warning, "clientCert"},
		string(security(`<ipSecurity enableProxyMode="true"/>`)):                                                                         {Warning, "X-Forwarded-For"},
		string(security(`<isapiCgiRestriction/>`)):                                                                                       {Ignored, "security/isapiCgiRestriction"},
		string(security(`<authentication><windowsAuthentication enabled="true"/></authentication>`)):                                     {Ignored, "security/authentication/windowsAuthentication"},
		string(security(`<authorization><remove users="*"/><add accessType="Allow" users="*"/></authorization>`)):                        {Ignored, "security/authorization"},
		string(security(`<dynamicIpSecurity enableLoggingOnlyMode="true"><denyByRequestRate enabled="true"/></dynamicIpSecurity>`)):      {Ignored, "security/dynamicIpSecurity"},
		string(in(`<rewrite><rules><rule name="to https"><action type="Redirect" url="https://x"/></rule></rules></rewrite>`)):           {Warning, `"to https" redirects to https://x: it is not followed`},
		string(in(`<rewrite><rules><rule enabled="false"><action type="AbortRequest"/></rule></rules></rewrite>`)):                       {Ignored, "rewrite is not honoured yet"},
		string(in(`<httpRedirect enabled="true" destination="https://x"/>`)):                                                             {Warning, "httpRedirect to https://x is not followed"},
		string(in(`<httpErrors existingResponse="replace"/>`)):                                                                           {Warning, "never replaced"},
		string(in(`<httpErrors><error statusCode="404" path="..\a.html"/></httpErrors>`)):                                                {Warning, `404: "..\a.html" is not below`},
		string(in(`<httpErrors><error statusCode="404" path="C:\a.html"/></httpErrors>`)):                                                {Warning, `is not below`},
		string(in(`<httpErrors><error statusCode="404" path="a.html" prefixLanguageFilePath="x"/></httpErrors>`)):                        {Warning, "prefixLanguageFilePath"},
		string(in(`<httpErrors><error statusCode="404" path="/a" responseMode="ExecuteURL"/></httpErrors>`)):                             {Ignored, "httpErrors: 404: ExecuteURL has no effect"},
		string(in(`<httpProtocol><customHeaders><add name="content_length" value="1"/></customHeaders></httpProtocol>`)):                 {Warning, "content_length is not added"},
		string(in(`<httpProtocol><customHeaders><add name="X-Ancora-Error" value="1"/></customHeaders></httpProtocol>`)):                 {Warning, "X-Ancora-Error is not added"},
		string(in(`<httpProtocol allowKeepAlive="false"/>`)):                                                                             {Ignored, "httpProtocol"},
		string(in(`<applicationInitialization/>`)):                                                                                       {Honoured, "applicationInitialization is honoured"},
		string(in(`<applicationInitialization doAppInitAfterRestart="false"/>`)):                                                         {Ignored, `applicationInitialization: doAppInitAfterRestart="false" has no effect: every new`},
		string(in(`<applicationInitialization skipManagedModules="true"/>`)):                                                             {Ignored, `applicationInitialization: skipManagedModules="true" has no effect`},
		string(in(`<applicationInitialization remapManagedRequestsTo="wait.htm"/>`)):                                                     {Ignored, `applicationInitialization: remapManagedRequestsTo="wait.htm" has no effect`},
		string(in(`<applicationInitialization><add initializationPage="a b"/></applicationInitialization>`)):                             {Warning, `a page is not asked for: "/a b" holds a space`},
		string(in(`<applicationInitialization><add initializationPage="a&#13;&#10;b"/></applicationInitialization>`)):                    {Warning, `a page is not asked for: `},
		string(in(`<applicationInitialization><add initializationPage="a" hostName="x&#13;&#10;y"/></applicationInitialization>`)):       {Warning, `is no name of a host`},
		string(in(`<applicationInitialization>` + strings.Repeat(`<add initializationPage="a"/>`, 65) + `</applicationInitialization>`)): {Warning, "more than 64 pages"},
		`<configuration><location path="a"><system.webServer><applicationInitialization/></system.webServer></location></configuration>`: {Ignored, `applicationInitialization of location path="a" has no effect`},
		`<configuration><location path="a"><system.webServer><webSocket/><caching/></system.webServer></location></configuration>`:       {Honoured, `webSocket of location path="a" is honoured`},
		`<configuration><location path="a"><system.webServer><caching/></system.webServer></location></configuration>`:                   {Ignored, `caching of location path="a" is not honoured yet`},
	} {
		config, err := Parse("web.config", []byte(content))
		if err != nil {
			t.Errorf("%s: %v", content, err)
			continue
		}
		if !slices.ContainsFunc(config.Notes, func(n Note) bool { return n.Kind == want.kind && strings.Contains(n.Text, want.text) && n.Line > 0 }) {
			t.Errorf("%s: nothing says %s %q: %v", content, want.kind, want.text, config.Notes)
		}
	}
}

// A page that cannot be shown and pages that are switched off leave ours.
func TestNoPages(t *testing.T) {
	for _, content := range []string{
		`<httpErrors><error statusCode="404" path="..\a.html"/></httpErrors>`,
		`<httpErrors errorMode="Detailed"><error statusCode="404" path="a.html"/></httpErrors>`,
		`<httpErrors existingResponse="PassThrough"><error statusCode="404" path="a.html"/></httpErrors>`,
	} {
		config, err := Parse("web.config", in(content))
		if err != nil {
			t.Fatal(err)
		}
		if set := filter.Compile(Rules(config.Edits)); set != nil {
			t.Errorf("%s: %+v", content, Rules(config.Edits))
		}
	}
}

// What keeps visitors out and is not enforced is accepted only by its own name.
func TestOpen(t *testing.T) {
	content := in(`<security><authentication><anonymousAuthentication enabled="false"/></authentication><authorization><clear/></authorization>
<dynamicIpSecurity><denyByConcurrentRequests enabled="true"/></dynamicIpSecurity><requestFiltering><filteringRules><filteringRule/></filteringRules></requestFiltering></security>
<rewrite><rules><rule><action type="AbortRequest"/></rule></rules></rewrite>`)
	for _, missing := range site.Restrictions() {
		others := slices.DeleteFunc(site.Restrictions(), func(name string) bool { return name == missing })
		_, err := Parse("web.config", content, others...)
		all, _ := errors.AsType[Errors](err)
		if len(all) != 1 || all[0].Field != missing || all[0].Line < 6 {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	config, err := Parse("web.config", content, site.Restrictions()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range site.Restrictions() {
		if !slices.ContainsFunc(config.Notes, func(n Note) bool { return n.Kind == Warning && strings.HasPrefix(n.Text, name+" ") }) {
			t.Errorf("nothing warns of %s: %v", name, config.Notes)
		}
	}
}

// sourceless gives the rules without where they come from.
func sourceless(all []filter.Rules) []filter.Rules {
	for i := range all {
		all[i].Sources = nil
	}
	return all
}

// An application below another one inherits what is not private, and what holds for a place in it as well; also what keeps
// visitors out.
func TestEditsBelow(t *testing.T) {
	parent := `<configuration><location path="." inheritInChildApplications="false"><system.webServer><webSocket enabled="false"/></system.webServer></location>
<location path="api/files"><system.webServer><security><requestFiltering><requestLimits maxUrl="3"/></requestFiltering></security></system.webServer></location>
<location path="API"><system.webServer><security><requestFiltering><requestLimits maxUrl="2"/></requestFiltering></security></system.webServer></location>
<location path="apia"><system.webServer><security><requestFiltering><requestLimits maxUrl="9"/></requestFiltering></security></system.webServer></location>
<system.webServer><security><requestFiltering><requestLimits maxUrl="1" maxQueryString="1"/></requestFiltering></security></system.webServer></configuration>`
	above, err := Bequest(nil, "parent.config", []byte(parent))
	if err != nil {
		t.Fatal(err)
	}
	above.Edits = EditsBelow(above.Edits, "api")
	child, err := ParseBelow(above, "web.config", filtering(`<requestLimits maxQueryString="5"/>`))
	if err != nil {
		t.Fatal(err)
	}
	want := []filter.Rules{{URL: pointer(uint32(2)), Query: pointer(uint32(5))}, {Path: "files", URL: pointer(uint32(3)), Query: pointer(uint32(5))}}
	if diff := cmp.Diff(want, sourceless(Rules(child.Edits))); diff != "" {
		t.Error(diff)
	}
	// Whatever is said of the same thing further away, the place that was read last is the one to look at.
	for place, sources := range []map[filter.Rule]filter.Source{
		{filter.RuleURL: {Section: "requestLimits", File: "parent.config", Line: 3, Column: 68}, filter.RuleQuery: {Section: "requestLimits", File: "web.config", Line: 6, Column: 29}},
		{filter.RuleURL: {Section: "requestLimits", File: "parent.config", Line: 2, Column: 74}, filter.RuleQuery: {Section: "requestLimits", File: "web.config", Line: 6, Column: 29}},
	} {
		if diff := cmp.Diff(sources, Rules(child.Edits)[place].Sources); diff != "" {
			t.Errorf("place %d: %s", place, diff)
		}
	}
	if diff := cmp.Diff(want[0].URL, Rules(Below(above).Edits)[0].URL); diff != "" {
		t.Error(diff)
	}
	shut := security(`<authorization><clear/></authorization>`)
	shut = []byte(strings.Replace(string(shut), `inheritInChildApplications="false"`, "", 1))
	if _, err := Bequest(nil, "parent.config", shut); err == nil || !strings.Contains(err.Error(), "open: [authorization]") {
		t.Errorf("%v", err)
	}
	if _, err := Bequest(nil, "parent.config", shut, "authorization"); err != nil {
		t.Error(err)
	}
}
