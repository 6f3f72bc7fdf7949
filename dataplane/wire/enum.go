package wire

import (
	"fmt"

	"github.com/ancora-fleet/ancora/dataplane/site"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// enum is the words of the model and the numbers of messages that mean the same. The empty word is 0, unspecified, which is
// for site.Validate to judge.
type enum[W ~string, N ~int32] []struct {
	word   W
	number N
}

// word gives the word of a number. One that is not in the list comes from a newer version.
func (e enum[W, N]) word(field string, n N) (W, error) {
	if n == 0 {
		return "", nil
	}
	for _, pair := range e {
		if pair.number == n {
			return pair.word, nil
		}
	}
	return "", fmt.Errorf("%s %d is not known to this version", field, n)
}

// number gives the number of a word.
func (e enum[W, N]) number(w W) N {
	for _, pair := range e {
		if pair.word == w {
			return pair.number
		}
	}
	return 0
}

func accessLogs() enum[site.AccessLog, typesv1.AccessLog] {
	return enum[site.AccessLog, typesv1.AccessLog]{
		{site.AccessLogOff, typesv1.AccessLog_ACCESS_LOG_OFF},
		{site.AccessLogJSON, typesv1.AccessLog_ACCESS_LOG_JSON},
		{site.AccessLogCombined, typesv1.AccessLog_ACCESS_LOG_COMBINED},
		{site.AccessLogW3C, typesv1.AccessLog_ACCESS_LOG_W3C},
	}
}

func profiles() enum[site.Profile, typesv1.Profile] {
	return enum[site.Profile, typesv1.Profile]{
		{site.ProfileASPNETCore, typesv1.Profile_PROFILE_ASPNETCORE},
		{site.ProfileGeneric, typesv1.Profile_PROFILE_GENERIC},
	}
}

func protocols() enum[site.Protocol, typesv1.Protocol] {
	return enum[site.Protocol, typesv1.Protocol]{
		{site.ProtocolHTTP1, typesv1.Protocol_PROTOCOL_HTTP1},
		{site.ProtocolH2C, typesv1.Protocol_PROTOCOL_H2C},
	}
}

func sockets() enum[site.Socket, typesv1.Socket] {
	return enum[site.Socket, typesv1.Socket]{
		{site.SocketTCP, typesv1.Socket_SOCKET_TCP},
		{site.SocketUnix, typesv1.Socket_SOCKET_UNIX},
	}
}

func startModes() enum[site.StartMode, typesv1.StartMode] {
	return enum[site.StartMode, typesv1.StartMode]{
		{site.StartOnRequest, typesv1.StartMode_START_MODE_ON_REQUEST},
		{site.StartAlways, typesv1.StartMode_START_MODE_ALWAYS},
	}
}

func balances() enum[site.Balance, typesv1.Balance] {
	return enum[site.Balance, typesv1.Balance]{
		{site.BalanceRotation, typesv1.Balance_BALANCE_ROTATION},
		{site.BalanceLeastOutstanding, typesv1.Balance_BALANCE_LEAST_OUTSTANDING},
	}
}

func affinities() enum[site.Affinity, typesv1.Affinity] {
	return enum[site.Affinity, typesv1.Affinity]{
		{site.AffinityNone, typesv1.Affinity_AFFINITY_NONE},
		{site.AffinityCookie, typesv1.Affinity_AFFINITY_COOKIE},
	}
}

func redirects() enum[site.Redirect, typesv1.Redirect] {
	return enum[site.Redirect, typesv1.Redirect]{{site.RedirectHTTPS, typesv1.Redirect_REDIRECT_HTTPS}}
}

func clientCertModes() enum[site.ClientCertMode, typesv1.ClientCertificateMode] {
	return enum[site.ClientCertMode, typesv1.ClientCertificateMode]{
		{site.ClientCertRequest, typesv1.ClientCertificateMode_CLIENT_CERTIFICATE_MODE_REQUEST},
		{site.ClientCertRequire, typesv1.ClientCertificateMode_CLIENT_CERTIFICATE_MODE_REQUIRE},
	}
}
