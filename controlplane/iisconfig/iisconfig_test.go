package iisconfig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/sitefile"
)

func options(t *testing.T, maps ...string) Options {
	t.Helper()
	o := Options{Hosts: "all", Certificates: "/etc/ssl/ancora"}
	for _, text := range maps {
		m, err := ParseMap(text)
		if err != nil {
			t.Fatal(err)
		}
		o.Maps = append(o.Maps, m)
	}
	return o
}

func fleet(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile("testdata/fleet.config")
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func documents(result *Import) []byte {
	var all [][]byte
	for _, s := range result.Sites {
		if s.Site != nil {
			all = append(all, sitefile.Format(s.Site))
		}
	}
	return bytes.Join(all, []byte("---\n"))
}

// A whole file: what is written, and a line for everything that stands in it.
func TestFleet(t *testing.T) {
	result, err := Read("fleet.config", fleet(t), options(t, `c:\inetpub=/srv`, `D:/sites/=/srv/sites`, `\\nas01\web=/mnt/web`))
	if err != nil {
		t.Fatal(err)
	}
	var report strings.Builder
	group := func(name string, lines []Line) {
		fmt.Fprintf(&report, "%s\n", name)
		for _, l := range lines {
			fmt.Fprintf(&report, "%d: %s: %s\n", l.Line, l.Kind, l.Text)
		}
	}
	for _, s := range result.Sites {
		group(s.Name, s.Lines)
	}
	group("the server", result.Server)
	for file, got := range map[string]string{"testdata/fleet.yaml": string(documents(result)), "testdata/fleet.report": report.String()} {
		want, err := os.ReadFile(file)
		if diff := cmp.Diff(string(want), got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", file, err, diff)
		}
		for _, secret := range []string{"[enc:", "ZmFrZSBjaXBoZXIgdGV4dA", "bW9yZSBmYWtlIHRleHQ", "YWdhaW4gZmFrZQ", "C:\\tools"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s has %s, which must not be passed on", file, secret)
			}
		}
	}
	again, err := sitefile.Parse("again", documents(result))
	if err != nil {
		t.Fatal(err)
	}
	var written []*site.Site
	for _, s := range result.Sites {
		if s.Site != nil {
			written = append(written, s.Site)
		}
	}
	if diff := cmp.Diff(written, again, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// Every attribute below a site or its pool is told or written: one that nobody knows is enough to see it.
func TestNothingIsLost(t *testing.T) {
	for _, place := range []string{"add name=\"p\"", "processModel", "recycling", "periodicRestart", "failure", "cpu", "site name=\"s\"", "limits", "logFile", "application path=\"/\" applicationPool=\"p\""} {
		text := strings.Replace(small, "<"+place, "<"+place+` neverHeardOf="7"`, 1)
		if text == small {
			t.Fatalf("%s is not there", place)
		}
		result, err := Read("f", []byte(text), options(t, `C:\s=/srv/s`))
		if err != nil {
			t.Errorf("%s: %v", place, err)
			continue
		}
		if all := fmt.Sprint(result.Sites[0].Lines); !strings.Contains(all, `neverHeardOf="7": nothing here does this`) {
			t.Errorf("%s: not told: %s", place, all)
		}
	}
}

// Whatever is encrypted, wherever it stands: not a byte of it comes out again, in a file, a line or a problem.
func TestNothingEncryptedIsPassedOn(t *testing.T) {
	text := strings.Replace(small, "<environmentVariables/>", `<environmentVariables><add name="A" value="b"/></environmentVariables>`, 1)
	values := regexp.MustCompile(`="[^"]*"`).FindAllStringIndex(text, -1)
	if len(values) < 8 {
		t.Fatalf("%d values", len(values))
	}
	for _, at := range values {
		changed := text[:at[0]] + `="[enc:AesProvider:c2VjcmV0:enc]"` + text[at[1]:]
		result, err := Read("f", []byte(changed), options(t, `C:\s=/srv/s`))
		got := fmt.Sprint(result, err)
		if result != nil {
			got += string(documents(result))
		}
		if strings.Contains(got, "c2VjcmV0") {
			t.Errorf("%s is passed on: %s", text[at[0]-10:at[1]], got)
		}
	}
}

const small = `<configuration><system.applicationHost>
<applicationPools><add name="p"><processModel/><recycling><periodicRestart/></recycling><failure/><cpu/><environmentVariables/></add></applicationPools>
<sites><site name="s"><application path="/" applicationPool="p"><virtualDirectory path="/" physicalPath="C:\s"/></application>
<bindings><binding protocol="http" bindingInformation="*:80:"/></bindings><limits/><logFile/></site></sites>
</system.applicationHost></configuration>`

// One setting at a time: what it writes, and what is said of it.
func TestSettings(t *testing.T) {
	plain, err := Read("f", []byte(small), options(t, `C:\s=/srv/s`))
	if err != nil {
		t.Fatal(err)
	}
	standard := string(documents(plain))
	for name, c := range map[string]struct{ from, to, written, says string }{
		"queue":               {`<add name="p"`, `<add name="p" queueLength="50"`, "limits: {queue: 50}", `carried over: application pool "p": queueLength="50"`},
		"queue as ever":       {`<add name="p"`, `<add name="p" queueLength="1000"`, "", ""},
		"always":              {`<add name="p"`, `<add name="p" startMode="AlwaysRunning"`, "start: always", "carried over: "},
		"on demand":           {`<add name="p"`, `<add name="p" startMode="OnDemand"`, "", ""},
		"preload":             {`path="/" app`, `path="/" preloadEnabled="true" app`, "start: always", "carried over: "},
		"no preload":          {`path="/" app`, `path="/" preloadEnabled="false" app`, "", ""},
		"idle":                {`<processModel`, `<processModel idleTimeout="00:45:00"`, "idle: 45m", "carried over: application pool \"p\": idleTimeout 45 minutes: "},
		"idle as ever":        {`<cpu/>`, ``, "idle: 20m", "carried over: application pool \"p\": idleTimeout 20 minutes (IIS's default): "},
		"never idle":          {`<processModel`, `<processModel idleTimeout="00:00:00"`, "", "not needed: application pool \"p\": idleTimeout 0"},
		"always, so not idle": {`<add name="p"`, `<add name="p" startMode="AlwaysRunning"`, "start: always", "not needed: application pool \"p\": application /: idleTimeout 20 minutes (IIS's default): it is kept running"},
		"restart":             {`<periodicRestart`, `<periodicRestart time="1.00:00:00"`, "recycle: {age: 24h}", "carried over: application pool \"p\": periodicRestart time 1440 minutes: "},
		"restart as ever":     {`<cpu/>`, ``, "recycle: {age: 29h}", "carried over: application pool \"p\": periodicRestart time 1740 minutes (IIS's default): "},
		"restart in hours":    {`<periodicRestart`, `<periodicRestart time="29:00:00"`, "recycle: {age: 29h}", "periodicRestart time 1740 minutes: "},
		"no restart":          {`<periodicRestart`, `<periodicRestart time="00:00:00"`, "", "not needed: application pool \"p\": periodicRestart time 0"},
		"requests":            {`<periodicRestart`, `<periodicRestart requests="5000"`, "recycle: {requests: 5000, age: 29h}", "carried over: application pool \"p\": periodicRestart requests 5000"},
		"virtual memory":      {`<periodicRestart`, `<periodicRestart memory="900000"`, "", "no equivalent: application pool \"p\": periodicRestart memory 900000 KB is virtual"},
		"memory":              {`<periodicRestart`, `<periodicRestart privateMemory="1048576"`, "recycle: {memory: 1GiB, age: 29h}", "carried over: application pool \"p\": periodicRestart privateMemory 1048576 KB"},
		"schedule":            {`<periodicRestart/>`, `<periodicRestart><schedule><clear/><add value="04:00:00"/></schedule></periodicRestart>`, `schedule: ["04:00"]`, "carried over: application pool \"p\": periodicRestart schedule 04:00:00: "},
		"crashes in a minute": {`<failure`, `<failure rapidFailProtectionInterval="00:01:00"`, "rapidFailsPerMinute: 5", "rapidFailProtectionMaxCrashes 5 in a minute"},
		"crashes":             {`<failure`, `<failure rapidFailProtectionMaxCrashes="7"`, "", "rapidFailProtectionMaxCrashes 7 in 5 minutes: failures are counted in a rolling minute here: rapidFailsPerMinute, 0 to 100, 10 unless set"},
		"too many crashes":    {`<failure`, `<failure rapidFailProtectionInterval="00:01:00" rapidFailProtectionMaxCrashes="101"`, "", "no equivalent: application pool \"p\": rapidFailProtectionMaxCrashes 101 in 1 minutes"},
		"space in a path":     {`path="/" app`, `path="/My App" app`, `path: "/My App"`, "carried over: application /My App"},
		"name DNS has not":    {`</bindings>`, `<binding protocol="http" bindingInformation="*:80:my_host"/></bindings>`, "", `no equivalent: binding http "*:80:my_host": "my_host" is no host name`},
		"identity":            {`<processModel`, `<processModel userName="A\b" password="plain"`, "", `userName="A\b": choose a user`},
		"variable":            {`<environmentVariables/>`, `<environmentVariables><add name="A" value="b"/></environmentVariables>`, "      A: b", "environment variable A: env"},
		"no name":             {`<environmentVariables/>`, `<environmentVariables><add name="A=B" value="b"/></environmentVariables>`, "", `has no = and no NUL`},
		"one at a time":       {`<recycling`, `<recycling disallowOverlappingRotation="true"`, "overlap: false", "carried over: application pool \"p\": disallowOverlappingRotation"},
		"drain":               {`<processModel`, `<processModel shutdownTimeLimit="00:02:00"`, "drain: 2m", "shutdownTimeLimit 2 minutes: drain"},
		"drain as ever":       {`<processModel`, `<processModel shutdownTimeLimit="00:01:30"`, "", ""},
		"garden":              {`<processModel`, `<processModel maxProcesses="4"`, "instances: 4", "carried over: application pool \"p\": maxProcesses 4: "},
		"NUMA":                {`<processModel`, `<processModel maxProcesses="0"`, "", "no equivalent: application pool \"p\": maxProcesses 0"},
		"no log":              {`<logFile`, `<logFile enabled="false"`, "", "no accessLog"},
		"log of IIS":          {`<logFile`, `<logFile logFormat="IIS"`, "accessLog: w3c", "no equivalent: logFile"},
		"log of its own":      {`<logFile`, `<logFile logFormat="Custom"`, "", "choose accessLog"},
		"log as ever":         {`<cpu/>`, ``, "accessLog: w3c", "W3C (IIS's default)"},
		"no such pool":        {`Pool="p"`, `Pool="q"`, "", `application pool "q" does not stand in the file`},
		"connections":         {`<limits`, `<limits maxConnections="9"`, "", `limits/maxConnections="9": `},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(small, c.from, c.to, 1)
			if text == small {
				t.Fatal("nothing was changed")
			}
			result, err := Read("f", []byte(text), options(t, `C:\s=/srv/s`))
			if err != nil {
				t.Fatal(err)
			}
			var lines strings.Builder
			for _, l := range result.Sites[0].Lines {
				fmt.Fprintf(&lines, "%s: %s\n", l.Kind, l.Text)
			}
			written := string(documents(result))
			if !strings.Contains(written, c.written) || !strings.Contains(lines.String(), c.says) {
				t.Errorf("written\n%s\nsays\n%s", written, lines.String())
			}
			if c.written == "" && strings.Count(written, "\n") > strings.Count(standard, "\n") {
				t.Errorf("more than expected is written\n%s", written)
			}
			if strings.Contains(written+lines.String(), "plain") {
				t.Error("a password is passed on")
			}
		})
	}
}

// What is for the .NET Framework is not to be carried into a web.config, and its keys are secrets.
func TestFrameworkSections(t *testing.T) {
	text := strings.Replace(small, "</configuration>", `<location path="s"><system.web><machineKey validationKey="hush"/></system.web></location></configuration>`, 1)
	result, err := Read("f", []byte(text), options(t, `C:\s=/srv/s`))
	if err != nil {
		t.Fatal(err)
	}
	said := fmt.Sprintf("%+v", result.Sites[0].Lines)
	if !strings.Contains(said, `no equivalent Text:system.web for "s": it is for the .NET Framework (machineKey)`) || strings.Contains(said, "hush") {
		t.Error(said)
	}
}

// All that is wrong is told at once, with its place, and nothing is given.
func TestProblems(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"port":          {"*:80:", "*:0:", `f:4:36: bindingInformation: "*:0:" is no ip:port:host`},
		"idle":          {"<processModel", `<processModel idleTimeout="20"`, `f:2:47: idleTimeout="20" is no length of time`},
		"queue":         {`<add name="p"`, `<add name="p" queueLength="200000"`, `f:2:33: queueLength="200000" is not in 0 to 100000`},
		"drain":         {"<processModel", `<processModel shutdownTimeLimit="02:00:00"`, "shutdownTimeLimit 120 minutes is not in 0 to 3600 seconds"},
		"idle for ever": {"<processModel", `<processModel idleTimeout="31.00:00:00"`, "idleTimeout 44640 minutes is not in 0 to 2592000 seconds"},
		"processes":     {"<processModel", `<processModel maxProcesses="101"`, "maxProcesses 101 is not in 0 to 100"},
		"old":           {"<periodicRestart", `<periodicRestart time="366.00:00:00"`, "periodicRestart time 527040 minutes is not in 0 to 31536000 seconds"},
		"all memory":    {"<periodicRestart", `<periodicRestart privateMemory="4294967295"`, "periodicRestart privateMemory 4294967295 KB is more than"},
		"midnight":      {"<periodicRestart/>", `<periodicRestart><schedule><add value="24:00:00"/><add value="03:00:30"/><add value="3"/></schedule></periodicRestart>`, `periodicRestart schedule "24:00:00" is no time of day`},
		"negative":      {`<add name="p"`, `<add name="p" queueLength="-1"`, `queueLength="-1" is no whole number`},
		"no name":       {`<site name="s"`, `<site`, "f:3:8: a site has no name"},
		"no folder":     {` physicalPath="C:\s"`, ``, `a virtual directory of site "s" has no physicalPath`},
		"secret folder": {`"C:\s"`, `"[enc:x:eA==:enc]"`, "physicalPath is encrypted: write the folder"},
		"path":          {`path="/" app`, `path="/a%b" app`, `site "s" cannot be written: applications[0].path: "/a%b" holds a character`},
		"twice":         {"</site>", `</site><site name="s2"><application path="/"><virtualDirectory path="/" physicalPath="C:\s"/></application><application path="/"><virtualDirectory path="/" physicalPath="C:\s"/></application><bindings><binding protocol="http" bindingInformation="*:81:"/></bindings></site>`, `"/" is the path of applications[0] already`},
		"locked":        {"<sites>", `<sites configProtectionProvider="p">`, "sites is encrypted as a whole"},
		"elsewhere":     {"<sites>", `<sites configSource="sites.config">`, "sites stands in another file, sites.config"},
		"unknown":       {"<sites>", `<sites><webSite/>`, "<webSite> is not known in sites"},
		"two pools":     {"</applicationPools>", `<add name="P"/></applicationPools>`, `application pool "P" stands in line 2 already`},
		"not XML":       {"</sites>", "", "is not XML"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(small, c.from, c.to, 1)
			result, err := Read("f", []byte(text), options(t, `C:\s=/srv/s`))
			var wrong Errors
			if !errors.As(err, &wrong) || result != nil || !strings.Contains(err.Error(), c.want) || text == small {
				t.Errorf("%v", err)
			}
		})
	}
	text := strings.NewReplacer("*:80:", "x", "<processModel", `<processModel idleTimeout="a"`).Replace(small)
	if _, err := Read("f", []byte(text), options(t)); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("not all at once: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(small))
	if content, err := os.ReadFile("testdata/fleet.config"); err == nil {
		f.Add(content)
	}
	o := Options{Hosts: "all", Certificates: "/etc/ssl", Maps: []Map{{`C:`, "/srv/c"}, {`D:`, "/srv/d"}, {`\\nas01`, "/mnt"}, {"%SystemDrive%", "/srv"}}}
	f.Fuzz(func(t *testing.T, content []byte) {
		result, err := Read("f", content, o)
		if err != nil {
			return
		}
		for _, s := range result.Sites {
			if s.Site == nil {
				continue
			}
			text := sitefile.Format(s.Site)
			again, err := sitefile.Parse("again", text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if diff := cmp.Diff([]*site.Site{s.Site}, again, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		}
	})
}
