//go:build !netconn

package socket

// Direct says that sockets are read and written past net.Conn. The build tag netconn switches that off, to compare and to
// find out where a fault lies.
const Direct = true
