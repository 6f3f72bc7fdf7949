//go:build !race

package accesslog

const raced = false
