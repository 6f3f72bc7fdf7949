package proctree

import (
	"bufio"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// Socket is a listening socket.
type Socket struct {
	Address netip.AddrPort // not of a unix socket
	inode   string
}

// Listening gives the listening TCP sockets of the network namespace, of both address families: a dual-stack socket
// stands only in tcp6.
func Listening() ([]Socket, error) {
	var all []Socket
	for _, file := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(file)
		if os.IsNotExist(err) {
			continue // no IPv6
		} else if err != nil {
			return nil, err
		}
		all = append(all, parseSockets(f)...)
		_ = f.Close()
	}
	return all, nil
}

func parseSockets(r io.Reader) []Socket {
	const listen = "0A"
	var all []Socket
	for lines := bufio.NewScanner(r); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != listen {
			continue
		}
		if address, ok := parseAddress(fields[1]); ok {
			all = append(all, Socket{address, fields[9]})
		}
	}
	return all
}

// parseAddress reads 0100007F:1F90: each group of four bytes is in the machine's order, which is little endian here.
func parseAddress(text string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	n, perr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || perr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
	}
	address, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(address.Unmap(), uint16(n)), ok
}

// ListeningAt gives the listening unix sockets that were bound to path.
func ListeningAt(path string) ([]Socket, error) {
	f, err := os.Open("/proc/self/net/unix")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseUnix(f, path), nil
}

// parseUnix reads "Num RefCount Protocol Flags Type St Inode Path". A path is not escaped, and stands last.
func parseUnix(r io.Reader, path string) []Socket {
	const accepts = 1 << 16 // SO_ACCEPTCON: it listens
	var all []Socket
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var fields [7]string
		rest := lines.Text()
		for i := range fields {
			fields[i], rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
		}
		flags, err := strconv.ParseUint(fields[3], 16, 32)
		if err == nil && flags&accepts != 0 && rest == path {
			all = append(all, Socket{inode: fields[6]})
		}
	}
	return all
}

// OwnedBy says which of the sockets one of the processes holds.
func OwnedBy(sockets []Socket, pids []int) []Socket {
	byInode := make(map[string]Socket, len(sockets))
	for _, s := range sockets {
		byInode["socket:["+s.inode+"]"] = s
	}
	var owned []Socket
	for _, pid := range pids {
		dir := "/proc/" + strconv.Itoa(pid) + "/fd"
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // it has ended, or is not ours to look into
		}
		for _, e := range entries {
			link, err := os.Readlink(dir + "/" + e.Name())
			if err != nil {
				continue
			}
			if s, ok := byInode[link]; ok {
				owned = append(owned, s)
				delete(byInode, link)
			}
		}
	}
	return owned
}
