package app

import (
	"fmt"
	"net"

	"ringside/vm/guest"
)

// serveTCP listens at an address, counts the connections that come and gives each to
// serve, in a process of its own that closes it. It does not end.
func serveTCP(p *guest.Proc, address string, connections *int64, serve func(*guest.Proc, net.Conn) error) error {
	l, err := p.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		*connections++
		p.Go(fmt.Sprintf("%s/%d", p.Name(), *connections), func(p *guest.Proc) error {
			defer conn.Close()
			return ended(p, serve(p, conn))
		})
	}
}

// ended takes the end of a connection that the other side, or the way to it, may
// bring about: a server logs it and goes on.
func ended(p *guest.Proc, err error) error {
	if _, ok := err.(net.Error); ok {
		p.Logf("%v", err)
		return nil
	}
	return err
}
