package app

import (
	"fmt"
	"io"
	"net"

	"ringside/vm/guest"
)

// EchoConfig describes the program Echo. The zero value answers on port 7.
type EchoConfig struct {
	Port uint16 // of TCP and UDP; 0 means 7
}

// Echo sends back what it is sent, over TCP and UDP [RFC 862]. It does not end. It
// records connections, bytes and datagrams.
func Echo(c EchoConfig) guest.Program {
	if c.Port == 0 {
		c.Port = 7
	}
	return func(p *guest.Proc) error {
		e := echo{address: fmt.Sprintf(":%d", c.Port)}
		p.RecordFunc("connections", "", func() int64 { return e.connections })
		p.RecordFunc("bytes", "B", func() int64 { return e.bytes })
		p.RecordFunc("datagrams", "", func() int64 { return e.datagrams })
		p.Go(p.Name()+"/udp", e.udp)
		return serveTCP(p, e.address, &e.connections, e.tcp)
	}
}

type echo struct {
	address                       string
	connections, bytes, datagrams int64
}

func (e *echo) tcp(p *guest.Proc, conn net.Conn) error {
	n, err := io.Copy(plainWriter{conn}, conn)
	e.bytes += n
	return err
}

func (e *echo) udp(p *guest.Proc) error {
	c, err := p.ListenPacket("udp", e.address)
	if err != nil {
		return err
	}
	buf := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		e.datagrams++
		if _, err := c.WriteTo(buf[:n], from); err != nil {
			p.Logf("%v", err)
		}
	}
}

// plainWriter hides that a connection can do more than write.
type plainWriter struct{ io.Writer }

// late says that a deadline is over.
func late(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

var _ = register(&Spec{
	Name: "echo",
	Does: "sends back what it is sent, over TCP and UDP",
	Args: []Arg{portArg("port", 7, "to listen on")},
	make: func(v values) guest.Program { return Echo(EchoConfig{Port: get[uint16](v, "port")}) },
})
