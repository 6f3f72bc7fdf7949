//go:build netconn

package socket

// Direct says that sockets are read and written through net.Conn, which costs more.
const Direct = false
