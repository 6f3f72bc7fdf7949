// Package auth says who is calling, and whether they may. One interceptor guards each listener, and both refuse what they
// do not know: operators come by bearer token, agents by client certificate.
package auth

import (
	"context"

	"github.com/ancora-fleet/ancora/controlplane/store"
)

// RoleAdmin may do everything.
const RoleAdmin = "admin"

// Views gives the desired state as of now.
type Views interface{ View() *store.View }

type hostKey struct{}

type operatorKey struct{}

// Operator is who calls on the operators' listener.
type Operator struct {
	// ID names the credential without giving it away.
	ID   string
	Role string
}

// Host is the name of the host that is calling, from its certificate and from nothing else; empty on a call without one.
func Host(ctx context.Context) string {
	host, _ := ctx.Value(hostKey{}).(string)
	return host
}

// Caller is the operator that is calling; zero on a call without one.
func Caller(ctx context.Context) Operator {
	operator, _ := ctx.Value(operatorKey{}).(Operator)
	return operator
}
