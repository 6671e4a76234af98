package guest_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"ringside/vm/guest"
	"ringside/vm/guest/guesttest"
)

// two is a lab of two machines on one cable.
func two(t testing.TB, c guesttest.Cable, server, client []guest.Process) (*guesttest.Lab, *guesttest.Machine, *guesttest.Machine) {
	lab := guesttest.New(t, 1)
	s := lab.Machine(guest.Config{Name: "server", Processes: server}, "10.0.0.1/24 2001:db8::1/64")
	m := lab.Machine(guest.Config{Name: "client", Processes: client}, "10.0.0.2/24 2001:db8::2/64")
	lab.Join(s.NIC(0), m.NIC(0), c)
	return lab, s, m
}

func process(name string, main guest.Program) []guest.Process {
	return []guest.Process{{Name: name, Main: main}}
}

// echoTCP answers every connection with what it says.
func echoTCP(p *guest.Proc) error {
	l, err := p.Listen("tcp", ":7")
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		p.Go(fmt.Sprint("conn", i), func(p *guest.Proc) error {
			defer c.Close()
			_, err := io.Copy(struct{ io.Writer }{c}, c)
			return err
		})
	}
}

func TestStreamComesBackAsItWasSent(t *testing.T) {
	for name, addr := range map[string]string{"IPv4": "10.0.0.1:7", "IPv6": "[2001:db8::1]:7"} {
		t.Run(name, func(t *testing.T) {
			var got []byte
			want := bytes.Repeat([]byte("0123456789abcdef"), 5000)
			lab, _, _ := two(t, guesttest.Cable{}, process("echo", echoTCP), process("client", func(p *guest.Proc) error {
				c, err := p.Dial("tcp", addr)
				if err != nil {
					return err
				}
				p.Go("writer", func(p *guest.Proc) error {
					if _, err := c.Write(want); err != nil {
						return err
					}
					return c.(*guest.Conn).CloseWrite()
				})
				got, err = io.ReadAll(c)
				return err
			}))
			lab.Run()
			require.True(t, bytes.Equal(want, got), "%d bytes of %d", len(got), len(want))
		})
	}
}

var _ net.Conn
