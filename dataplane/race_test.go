//go:build race

package dataplane

// raced is set when the race detector makes pools forget things at random.
const raced = true
