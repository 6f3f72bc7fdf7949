// Package site is the model of a site: where it runs, where it is reached, which applications it has. It is a leaf of
// plain structs that both planes share, so that what a controller accepts is what a host runs.
package site

import "time"

// Site is what an operator configures.
type Site struct {
	// Name is an RFC 1123 label.
	Name   string
	Labels map[string]string
	// Placement says on which hosts the site runs.
	Placement Placement
	// Bindings has at least one entry.
	Bindings []Binding
	// Applications has at least one entry; their paths differ without regard to case.
	Applications []Application
	// AccessLog is empty for AccessLogOff.
	AccessLog AccessLog
	// CreateTime decides between two sites that claim one hostname and path: the older keeps it.
	CreateTime time.Time
	// Revision is 0 for a site that comes from a file.
	Revision int64
}

// Placement picks hosts by their labels.
type Placement struct {
	// Hosts is a selector, or `all`.
	Hosts string
}

// Binding is a listener's name and the hostnames the site answers to there.
type Binding struct {
	Listener string
	// Hostnames are DNS names, or `*.` and a name for those one label below it; an exact one goes before a pattern. None means
	// every Host that no other site claims on the listener.
	Hostnames []string
	// TLS is nil for connections without it. All bindings of a listener have it, or none.
	TLS *TLS
	// Redirect is empty for none.
	Redirect Redirect
}

// Application is one process configuration under a path of a site. What is nil or empty comes from web.config, then from
// the defaults of Limits.
type Application struct {
	// Path is `/`, or begins with a slash and does not end with one.
	Path string
	// Root is an absolute folder on the host.
	Root string
	// User is whom the process runs as; empty is the policy's default.
	User string
	// Profile says by which variables the application learns its port; empty is ProfileASPNETCore.
	Profile Profile
	// Socket is what an instance listens on; empty is SocketTCP.
	Socket Socket
	// Protocol is what an instance speaks; empty: it is found out.
	Protocol Protocol
	// IISEnvironment adds the variables by which an application finds out about site and application pool of IIS (ENV-10 to
	// ENV-16); only with ProfileASPNETCore.
	IISEnvironment bool
	// Command is program and arguments, without a shell; empty is what web.config or the folder says.
	Command []string
	Env     []Variable
	// Start is empty for StartOnRequest.
	Start StartMode
	// StartupTimeLimit is how long an instance may take until it listens.
	StartupTimeLimit *time.Duration
	// ShutdownTimeLimit is how long an instance may take to end before it is killed.
	ShutdownTimeLimit *time.Duration
	// Drain is how long requests in flight may go on when an instance is replaced, before ShutdownTimeLimit begins.
	Drain *time.Duration
	// Overlap, where it is false, ends what runs before what replaces it starts: for applications that hold something of
	// which there is one, as a fixed port is. nil is true, unless the port is fixed.
	Overlap *bool
	// Instances is how many there are at once; nil is web.config's processesPerApplication, else 1.
	Instances *uint32
	// Balance is empty for BalanceRotation, Affinity for AffinityNone.
	Balance  Balance
	Affinity Affinity
	// RequestTimeout is inactivity for each read or write, not a total (FWD-30); 0 is no limit.
	RequestTimeout *time.Duration
	// RapidFailsPerMinute is how many failures a rolling minute may hold (RFP-9); 0 refuses after the first.
	RapidFailsPerMinute *uint32
	// DisableStartUpErrorPage answers a failed start with its status alone: 502, in-process 500 (ERR-4).
	DisableStartUpErrorPage *bool
	// BodyLimit is how many bytes the body of a request may have; 0 is no body at all, Unlimited any number.
	BodyLimit *int64
	// Concurrency is how many requests may be with instances at once; Queue is how many further ones may wait, each for
	// QueueTimeout at most.
	Concurrency, Queue *uint32
	QueueTimeout       *time.Duration
	// Idle is after how long without a request an instance is stopped; nil and 0 are never. Not with StartAlways.
	Idle *time.Duration
	// Recycle says when instances are replaced.
	Recycle Recycle
	// Warmup are the targets, below Path, that a new instance is asked for before it gets requests; nil is what web.config's
	// applicationInitialization says, an empty list is none.
	Warmup []string
	// Open names what of web.config keeps visitors out, is not enforced, and may be open to everybody all the same: of
	// Restrictions, each once.
	Open []string
}

// Restrictions are the names that Open takes.
func Restrictions() []string {
	return []string{"anonymousAuthentication", "authorization", "dynamicIpSecurity", "filteringRules", "rewrite"}
}

// Variable is one environment variable. Names differ without regard to case and are passed as spelled; an empty value is
// passed as empty.
type Variable struct{ Name, Value string }

// AccessLog is the form in which a host keeps a line about every request of a site.
type AccessLog string

const (
	AccessLogOff AccessLog = "off"
	// AccessLogJSON is one JSON object a line.
	AccessLogJSON AccessLog = "json"
	// AccessLogCombined is Apache's combined format.
	AccessLogCombined AccessLog = "combined"
	// AccessLogW3C is W3C extended, with the fields of IIS.
	AccessLogW3C AccessLog = "w3c"
)

// Profile is the set of variables an application is told its port and surroundings by.
type Profile string

const (
	// ProfileASPNETCore sets the variables of the ASP.NET Core Module and ASPNETCORE_URLS.
	ProfileASPNETCore Profile = "aspnetcore"
	// ProfileGeneric sets PORT, HTTP_PLATFORM_PORT and ASPNETCORE_URLS, for any other program; its requests have no field of
	// IIS, no ports in X-Forwarded-For, and X-Forwarded-Host.
	ProfileGeneric Profile = "generic"
)

// Socket is what an instance listens on.
type Socket string

const (
	// SocketTCP is a port of 127.0.0.1.
	SocketTCP Socket = "tcp"
	// SocketUnix is a unix socket, whose path the application gets as SOCKET. Only with ProfileGeneric: IIS integration
	// listens on a port and nowhere else.
	SocketUnix Socket = "unix"
)

// Protocol is what an instance speaks.
type Protocol string

const (
	// ProtocolHTTP1 is HTTP/1.1 and nothing else.
	ProtocolHTTP1 Protocol = "http/1.1"
	// ProtocolH2C is HTTP/2 with prior knowledge and nothing else, as gRPC servers on a port without TLS speak.
	ProtocolH2C Protocol = "h2c"
)

// Balance says which of several instances answers a request.
type Balance string

const (
	// BalanceRotation asks each in turn, strictly (LCH-14).
	BalanceRotation Balance = "rotation"
	// BalanceLeastOutstanding asks the one with the fewest requests.
	BalanceLeastOutstanding Balance = "leastOutstanding"
)

// Affinity says what brings a visitor back to the instance that answered before.
type Affinity string

const (
	AffinityNone Affinity = "none"
	// AffinityCookie is a cookie that names the slot.
	AffinityCookie Affinity = "cookie"
)

// StartMode says when the first instance starts.
type StartMode string

const (
	// StartOnRequest starts an instance when the first request comes.
	StartOnRequest StartMode = "onRequest"
	// StartAlways keeps an instance running.
	StartAlways StartMode = "always"
)
