package site

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func good() *Site {
	return &Site{Name: "shop", Placement: Placement{Hosts: "role=web"}, Bindings: []Binding{{Listener: "http", Hostnames: []string{"shop.example.com"}}},
		Applications: []Application{{Path: "/", Root: "/srv/shop"}}}
}

func TestValidate(t *testing.T) {
	second := 1500 * time.Millisecond
	hour := 2 * time.Hour
	many, none, lots := uint32(101), uint32(0), uint32(100_001)
	negative, huge, unlimited, nothing := int64(-2), int64(1_000_000_000_001), int64(Unlimited), int64(0)
	for name, c := range map[string]struct {
		change func(*Site)
		want   []string
	}{
		"good":            {func(*Site) {}, nil},
		"name":            {func(s *Site) { s.Name = "Shop" }, []string{"name"}},
		"no name":         {func(s *Site) { s.Name = "" }, []string{"name"}},
		"label":           {func(s *Site) { s.Labels = map[string]string{"team": "a b"} }, []string{"labels.team"}},
		"no placement":    {func(s *Site) { s.Placement.Hosts = "" }, []string{"placement.hosts"}},
		"selector":        {func(s *Site) { s.Placement.Hosts = "role in web" }, []string{"placement.hosts"}},
		"no binding":      {func(s *Site) { s.Bindings = nil }, []string{"bindings"}},
		"listener":        {func(s *Site) { s.Bindings[0].Listener = "" }, []string{"bindings[0].listener"}},
		"hostname":        {func(s *Site) { s.Bindings[0].Hostnames = []string{"a:80"} }, []string{"bindings[0].hostnames[0]"}},
		"wildcard":        {func(s *Site) { s.Bindings[0].Hostnames = []string{"*.a.b", "a.b"} }, nil},
		"bare wildcard":   {func(s *Site) { s.Bindings[0].Hostnames = []string{"*", "*."} }, []string{"bindings[0].hostnames[0]", "bindings[0].hostnames[1]"}},
		"inner wildcard":  {func(s *Site) { s.Bindings[0].Hostnames = []string{"a.*.b", "*.*.b"} }, []string{"bindings[0].hostnames[0]", "bindings[0].hostnames[1]"}},
		"part of a label": {func(s *Site) { s.Bindings[0].Hostnames = []string{"*a.b"} }, []string{"bindings[0].hostnames[0]"}},
		"wildcard twice":  {func(s *Site) { s.Bindings[0].Hostnames = []string{"*.a.b", "*.A.b"} }, []string{"bindings[0].hostnames[1]"}},
		"hostname twice":  {func(s *Site) { s.Bindings[0].Hostnames = []string{"a.b", "A.b"} }, []string{"bindings[0].hostnames[1]"}},
		"default twice":   {func(s *Site) { s.Bindings = []Binding{{Listener: "http"}, {Listener: "http"}} }, []string{"bindings[1]"}},
		"no application":  {func(s *Site) { s.Applications = nil }, []string{"applications"}},
		"relative root":   {func(s *Site) { s.Applications[0].Root = "srv" }, []string{"applications[0].root"}},
		"unclean root":    {func(s *Site) { s.Applications[0].Root = "/srv/../etc" }, []string{"applications[0].root"}},
		"path":            {func(s *Site) { s.Applications[0].Path = "/a/" }, []string{"applications[0].path"}},
		"path twice":      {func(s *Site) { s.Applications = append(s.Applications, s.Applications[0]) }, []string{"applications[1].path"}},
		"protocol":        {func(s *Site) { s.Applications[0].Protocol = "h2" }, []string{"applications[0].protocol"}},
		"socket":          {func(s *Site) { s.Applications[0].Socket = "pipe" }, []string{"applications[0].socket"}},
		"socket of IIS":   {func(s *Site) { s.Applications[0].Socket = SocketUnix }, []string{"applications[0].socket"}},
		"unix socket":     {func(s *Site) { s.Applications[0].Socket, s.Applications[0].Profile = SocketUnix, ProfileGeneric }, nil},
		"profile":         {func(s *Site) { s.Applications[0].Profile = "node" }, []string{"applications[0].profile"}},
		"start":           {func(s *Site) { s.Applications[0].Start = "never" }, []string{"applications[0].start"}},
		"access log":      {func(s *Site) { s.AccessLog = "xml" }, []string{"accessLog"}},
		"no access log":   {func(s *Site) { s.AccessLog = AccessLogOff }, nil},
		"half seconds":    {func(s *Site) { s.Applications[0].StartupTimeLimit = &second }, []string{"applications[0].ready.timeout"}},
		"drains for ever": {func(s *Site) { d := 3601 * time.Second; s.Applications[0].Drain = &d }, []string{"applications[0].drain"}},
		"no instance":     {func(s *Site) { n := uint32(0); s.Applications[0].Instances = &n }, []string{"applications[0].instances"}},
		"instances":       {func(s *Site) { n := uint32(100); s.Applications[0].Instances = &n }, nil},
		"balance":         {func(s *Site) { s.Applications[0].Balance = "random" }, []string{"applications[0].balance"}},
		"affinity":        {func(s *Site) { s.Applications[0].Affinity = "ip" }, []string{"applications[0].affinity"}},
		"too long":        {func(s *Site) { s.Applications[0].ShutdownTimeLimit = &hour }, []string{"applications[0].stop.timeout"}},
		"rapid fails":     {func(s *Site) { s.Applications[0].RapidFailsPerMinute = &many }, []string{"applications[0].rapidFailsPerMinute"}},
		"body below none": {func(s *Site) { s.Applications[0].BodyLimit = &negative }, []string{"applications[0].limits.body"}},
		"huge body":       {func(s *Site) { s.Applications[0].BodyLimit = &huge }, []string{"applications[0].limits.body"}},
		"any body":        {func(s *Site) { s.Applications[0].BodyLimit = &unlimited }, nil},
		"no body":         {func(s *Site) { s.Applications[0].BodyLimit = &nothing }, nil},
		"no concurrency":  {func(s *Site) { s.Applications[0].Concurrency = &none }, []string{"applications[0].limits.concurrency"}},
		"long queue":      {func(s *Site) { s.Applications[0].Queue = &lots }, []string{"applications[0].limits.queue"}},
		"no queue":        {func(s *Site) { s.Applications[0].Queue = &none }, nil},
		"long wait":       {func(s *Site) { s.Applications[0].QueueTimeout = &hour }, []string{"applications[0].limits.queueTimeout"}},
		"open":            {func(s *Site) { s.Applications[0].Open = Restrictions() }, nil},
		"open unknown":    {func(s *Site) { s.Applications[0].Open = []string{"rewrite", "ipSecurity", "rewrite"} }, []string{"applications[0].webConfig.open[1]", "applications[0].webConfig.open[2]"}},
		"idle":            {func(s *Site) { s.Applications[0].Idle = &hour }, nil},
		"idle at once":    {func(s *Site) { s.Applications[0].Idle = &second }, []string{"applications[0].idle"}},
		"idle for months": {func(s *Site) { d := 31 * 24 * time.Hour; s.Applications[0].Idle = &d }, []string{"applications[0].idle"}},
		"idle always":     {func(s *Site) { s.Applications[0].Idle, s.Applications[0].Start = &hour, StartAlways }, []string{"applications[0].idle"}},
		"never idle always": {func(s *Site) {
			d := time.Duration(0)
			s.Applications[0].Idle, s.Applications[0].Start = &d, StartAlways
		}, nil},
		"recycle": {func(s *Site) {
			s.Applications[0].Recycle = Recycle{Memory: &unlimited, Requests: &none, Age: &hour, Schedule: []string{"00:00", "23:59"}}
		}, nil},
		"recycle for ever": {func(s *Site) {
			d, n := 366*24*time.Hour, int64(1_000_000_000_001)
			s.Applications[0].Recycle = Recycle{Memory: &n, Age: &d, Schedule: []string{"24:00", "3:00", "03:00", "03:00", "03:00:00", ""}}
		}, []string{
			"applications[0].recycle.memory", "applications[0].recycle.age", "applications[0].recycle.schedule[0]", "applications[0].recycle.schedule[1]",
			"applications[0].recycle.schedule[3]", "applications[0].recycle.schedule[4]", "applications[0].recycle.schedule[5]",
		}},
		"negative memory": {func(s *Site) { s.Applications[0].Recycle.Memory = &negative }, []string{"applications[0].recycle.memory"}},
		"many times":      {func(s *Site) { s.Applications[0].Recycle.Schedule = slices.Repeat([]string{"03:00"}, 25) }, append([]string{"applications[0].recycle.schedule"}, twice(25)...)},
		"warm-up":         {func(s *Site) { s.Applications[0].Warmup = []string{"/", "/a%20b?c=d"} }, nil},
		"no warm-up":      {func(s *Site) { s.Applications[0].Warmup = []string{} }, nil},
		"wrong warm-up": {func(s *Site) {
			s.Applications[0].Warmup = []string{"a", "/a b", "/a\r\nX: y", "/é", "/#a", "/" + strings.Repeat("a", 2048)}
		}, []string{
			"applications[0].warmup.requests[0]", "applications[0].warmup.requests[1]", "applications[0].warmup.requests[2]",
			"applications[0].warmup.requests[3]", "applications[0].warmup.requests[4]", "applications[0].warmup.requests[5]",
		}},
		"no variable":       {func(s *Site) { s.Applications[0].Env = []Variable{{"A=B", "x"}} }, []string{"applications[0].env.A=B"}},
		"loader variable":   {func(s *Site) { s.Applications[0].Env = []Variable{{"LD_LIBRARY_PATH", "/opt/lib"}, {"Path", "x"}} }, nil},
		"variable twice":    {func(s *Site) { s.Applications[0].Env = []Variable{{"A", "x"}, {"a", ""}} }, []string{"applications[0].env.a"}},
		"empty program":     {func(s *Site) { s.Applications[0].Command = []string{""} }, []string{"applications[0].command[0]"}},
		"all that is wrong": {func(s *Site) { s.Name, s.Bindings, s.Applications = "", nil, nil }, []string{"name", "bindings", "applications"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := good()
			c.change(s)
			var got []string
			for _, p := range s.Validate() {
				got = append(got, p.Path)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("problems at %v, want %v", got, c.want)
			}
		})
	}
}

// twice are the entries of a schedule of n that stand there already.
func twice(n int) (paths []string) {
	for i := 1; i < n; i++ {
		paths = append(paths, fmt.Sprintf("applications[0].recycle.schedule[%d]", i))
	}
	return paths
}

func TestSelector(t *testing.T) {
	web := map[string]string{"role": "web", "ring": "1"}
	for _, c := range []struct {
		text  string
		match bool
	}{
		{"", false}, {"all", true}, {"role=web", true}, {"role==web", true}, {"role=db", false}, {"role!=db", true}, {"zone!=a", true},
		{"role in (db, web)", true}, {"ring notin (1,2)", false}, {"role", true}, {"zone", false}, {"!zone", true}, {"!role", false},
		{"role=web,ring in (1,2)", true}, {"role=web,ring=2", false},
	} {
		s, err := ParseSelector(c.text)
		if err != nil {
			t.Fatalf("%q: %v", c.text, err)
		}
		if s.Matches(web) != c.match {
			t.Errorf("%q matches: %v, want %v", c.text, !c.match, c.match)
		}
	}
	for _, text := range []string{",", "role=web,", "role in web", "role in (a", "=a", "a b", "role=web,all", "a=b c", "!"} {
		if _, err := ParseSelector(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func FuzzSelector(f *testing.F) {
	for _, seed := range []string{"", "all", "a=b,c in (d,e),!f", "a notin (b)", "((,)", "a!=b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSelector(text)
		if err != nil {
			return
		}
		again, err := ParseSelector(s.String())
		if err != nil || again.String() != s.String() {
			t.Errorf("%q prints %q, which reads as %q, %v", text, s, again, err)
		}
	})
}

func TestCompare(t *testing.T) {
	old := Application{Path: "/", Root: "/a"}
	minute, two, body := time.Minute, uint32(2), int64(0)
	for name, c := range map[string]struct {
		change func(*Application)
		want   Change
	}{
		"same":    {func(*Application) {}, ChangeNone},
		"timeout": {func(a *Application) { a.RequestTimeout = &minute }, ChangeRoutes},
		"limits": {func(a *Application) {
			a.BodyLimit, a.Concurrency, a.Queue, a.QueueTimeout = &body, &two, &two, &minute
		}, ChangeRoutes},
		"recycle": {func(a *Application) { a.Idle, a.Recycle = &minute, Recycle{Requests: &two} }, ChangeRoutes},
		"warm-up": {func(a *Application) { a.Warmup = []string{"/"} }, ChangeSwap},
		"open":    {func(a *Application) { a.Open = []string{"rewrite"} }, ChangeRoutes},
		"env":     {func(a *Application) { a.Env = []Variable{{"A", "b"}} }, ChangeSwap},
		"root":    {func(a *Application) { a.Root = "/b" }, ChangeSwap},
	} {
		t.Run(name, func(t *testing.T) {
			changed := old
			c.change(&changed)
			if got := Compare(&old, &changed); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
