package keeper

import (
	"context"
	"fmt"
	"net"
	"os"

	"github.com/ancora-fleet/ancora/dataplane/keeper/protocol"
)

// listener is a named socket that outlives workers.
type listener struct {
	file *os.File
	// wanted is what was asked for, address what it became: they differ where the port is 0.
	wanted, address string
}

// listen gives the socket of a name. The same name and address give the same socket for as long as the keeper lives.
func (k *Keeper) listen(name, address string, answer *protocol.Message) (*os.File, error) {
	answer.Name = name
	l, held := k.listeners[name]
	if !held || l.wanted != address && l.address != address {
		opened, err := open(address)
		if err != nil {
			return nil, err
		}
		if held {
			_ = l.file.Close()
		}
		l = opened
		k.listeners[name] = l
	}
	answer.Address = l.address
	return l.file, nil
}

func open(address string) (*listener, error) {
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // its sockets cost more and miss options the engine sets
	socket, err := plain.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	defer socket.Close()
	file, err := socket.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	return &listener{file: file, wanted: address, address: socket.Addr().String()}, nil
}

func (k *Keeper) unlisten(name string) error {
	l, held := k.listeners[name]
	if !held {
		return fmt.Errorf("keeper: listener %q is not open", name)
	}
	delete(k.listeners, name)
	return l.file.Close()
}
