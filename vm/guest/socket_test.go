package guest_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ringside/netstack"
	"ringside/sim"
	"ringside/syscall"
	"ringside/vm/guest"
	"ringside/vm/guest/guesttest"
)

// accept serves one connection.
func accept(f func(*guest.Proc, *guest.Conn) error) guest.Program {
	return func(p *guest.Proc) error {
		l, err := p.Listen("tcp", ":80")
		if err != nil {
			return err
		}
		c, err := l.Accept()
		if err != nil {
			return err
		}
		return f(p, c.(*guest.Conn))
	}
}

// dial has a connection to accept's.
func dial(f func(*guest.Proc, *guest.Conn) error) guest.Program {
	return func(p *guest.Proc) error {
		c, err := p.Dial("tcp", "10.0.0.1:80")
		if err != nil {
			return err
		}
		return f(p, c.(*guest.Conn))
	}
}

// between runs a server's end and a client's of one connection.
func between(t testing.TB, server, client func(*guest.Proc, *guest.Conn) error) {
	t.Helper()
	lab, _, _ := two(t, guesttest.Cable{}, process("server", accept(server)), process("client", dial(client)))
	lab.Run()
}

func nothing(*guest.Proc, *guest.Conn) error { return nil }

func TestHalfClosedConnectionsGoOnTheOtherWay(t *testing.T) {
	var heard, answered string
	between(t, func(p *guest.Proc, c *guest.Conn) error {
		b, err := io.ReadAll(c)
		heard = string(b)
		p.Sleep(time.Second)
		io.WriteString(c, "and I, later")
		c.Close()
		return err
	}, func(p *guest.Proc, c *guest.Conn) error {
		io.WriteString(c, "I have said all")
		if err := c.CloseWrite(); err != nil {
			return err
		}
		_, err := c.Write([]byte("or not"))
		require.ErrorIs(t, err, syscall.EPIPE)
		b, err := io.ReadAll(c)
		answered = string(b)
		return err
	})
	require.Equal(t, "I have said all", heard)
	require.Equal(t, "and I, later", answered)
}

func TestErrorsOfConnectionsAreThoseOfPackageNet(t *testing.T) {
	for name, row := range map[string]struct {
		network, address string
		is               error
		op, says         string
	}{
		"refused":         {"tcp", "10.0.0.1:81", syscall.ECONNREFUSED, "dial", ""},
		"refused, IPv6":   {"tcp", "[2001:db8::1]:81", syscall.ECONNREFUSED, "dial", ""},
		"no station":      {"tcp", "10.0.0.9:80", syscall.EHOSTUNREACH, "dial", ""},
		"no route":        {"tcp", "192.0.2.1:80", syscall.ENETUNREACH, "dial", ""},
		"no network":      {"unix", "/tmp/x", nil, "dial", "unknown network unix"},
		"wrong family":    {"tcp4", "[2001:db8::1]:80", nil, "dial", "no suitable address"},
		"no port":         {"tcp", "10.0.0.1", nil, "dial", "missing port"},
		"port of no name": {"tcp", "10.0.0.1:warp", nil, "dial", "unknown port"},
		"name, no server": {"tcp", "www:80", nil, "dial", "no such host"},
		"connected, UDP":  {"udp", "192.0.2.1:80", syscall.ENETUNREACH, "dial", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			lab, _, _ := two(t, guesttest.Cable{}, process("server", accept(nothing)), process("client", func(p *guest.Proc) error {
				_, err = p.Dial(row.network, row.address)
				return nil
			}))
			lab.Run()
			var op *net.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, row.op, op.Op)
			require.Equal(t, row.network, op.Net)
			if row.is != nil {
				require.ErrorIs(t, err, row.is)
			}
			require.ErrorContains(t, err, row.says)
			require.Nil(t, op.Source)
		})
	}
}

func TestDialGivesUpWhenItsTimeIsOver(t *testing.T) {
	var err error
	var took time.Duration
	lab := guesttest.New(t, 1)
	m := lab.Machine(guest.Config{Name: "alone", Processes: process("client", func(p *guest.Proc) error {
		began := p.Now()
		_, err = p.DialTimeout("tcp", "10.0.0.1:80", 200*time.Millisecond)
		took = p.Now().Sub(began)
		return nil
	})}, "10.0.0.2/24")
	lab.Join(m.NIC(0), lab.Machine(guest.Config{Name: "deaf"}, "10.0.0.3/24").NIC(0), guesttest.Cable{})
	lab.Run()
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.True(t, err.(net.Error).Timeout())
	require.InDelta(t, 200*time.Millisecond, took, float64(time.Millisecond))
}

func TestDeadlinesAreDatesOfVirtualTime(t *testing.T) {
	between(t, func(p *guest.Proc, c *guest.Conn) error {
		p.Sleep(10 * time.Second)
		return nil
	}, func(p *guest.Proc, c *guest.Conn) error {
		began := p.Now()
		require.NoError(t, c.SetReadDeadline(began.Add(time.Second)))
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.True(t, err.(net.Error).Timeout())
		require.InDelta(t, time.Second, p.Now().Sub(began), float64(50*time.Microsecond))

		_, err = c.Read(make([]byte, 1)) // it stays over
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		_, err = c.Write([]byte("x")) // and is none of writing
		require.NoError(t, err)

		c.SetReadDeadline(time.Time{}) // until it is taken away
		p.Go("later", func(p *guest.Proc) error {
			p.Sleep(time.Second)
			return c.SetReadDeadline(p.Now()) // of a call that waits already
		})
		began = p.Now()
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.InDelta(t, time.Second, p.Now().Sub(began), float64(50*time.Microsecond))
		return nil
	})
}

func TestWritersWaitForRoomUntilTheirDeadline(t *testing.T) {
	between(t, func(p *guest.Proc, c *guest.Conn) error {
		p.Sleep(time.Minute) // and reads nothing
		return nil
	}, func(p *guest.Proc, c *guest.Conn) error {
		c.SetWriteDeadline(p.Now().Add(time.Second))
		n, err := c.Write(make([]byte, 64<<20))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Positive(t, n)
		require.Less(t, n, 64<<20)
		return nil
	})
}

func TestClosingWakesWhoWaits(t *testing.T) {
	var read, acc, packet error
	lab, _, _ := two(t, guesttest.Cable{}, process("server", accept(nothing)), process("client", func(p *guest.Proc) error {
		c, err := p.Dial("tcp", "10.0.0.1:80")
		require.NoError(t, err)
		l, err := p.Listen("tcp", ":8080")
		require.NoError(t, err)
		u, err := p.ListenPacket("udp", ":8080")
		require.NoError(t, err)
		p.Go("reads", func(p *guest.Proc) error { _, read = c.Read(make([]byte, 1)); return nil })
		p.Go("accepts", func(p *guest.Proc) error { _, acc = l.Accept(); return nil })
		p.Go("receives", func(p *guest.Proc) error { _, _, packet = u.ReadFrom(make([]byte, 1)); return nil })
		p.Sleep(time.Second)
		for _, x := range []io.Closer{c, l, u} {
			require.NoError(t, x.Close())
			require.ErrorIs(t, x.Close(), net.ErrClosed)
		}
		_, err = c.Write([]byte("x"))
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, c.SetDeadline(p.Now()), net.ErrClosed)
		return nil
	}))
	lab.Run()
	for _, err := range []error{read, acc, packet} {
		require.ErrorIs(t, err, net.ErrClosed)
	}
}

func TestResetIsSeen(t *testing.T) {
	between(t, func(p *guest.Proc, c *guest.Conn) error {
		p.Sleep(time.Second)
		return c.Close() // with data unread: a reset
	}, func(p *guest.Proc, c *guest.Conn) error {
		io.WriteString(c, "nobody will read this")
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
		return nil
	})
}

func TestAddressesAreThoseOfBothEnds(t *testing.T) {
	between(t, func(p *guest.Proc, c *guest.Conn) error {
		require.Equal(t, "10.0.0.1:80", c.LocalAddr().String())
		require.Equal(t, "10.0.0.2", c.RemoteAddr().(*net.TCPAddr).IP.String())
		return nil
	}, func(p *guest.Proc, c *guest.Conn) error {
		require.Equal(t, "10.0.0.1:80", c.RemoteAddr().String())
		require.Equal(t, "tcp", c.LocalAddr().Network())
		require.NotZero(t, c.LocalAddr().(*net.TCPAddr).Port)
		return nil
	})
}

func TestAPortCanBeTakenOnce(t *testing.T) {
	lab, _, _ := two(t, guesttest.Cable{}, nil, process("client", func(p *guest.Proc) error {
		l, err := p.Listen("tcp", ":0")
		require.NoError(t, err)
		_, err = p.Listen("tcp", l.Addr().String())
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		require.ErrorContains(t, err, "listen tcp "+l.Addr().String()+": ")
		_, err = p.Listen("tcp", "10.0.0.77:80")
		require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
		return nil
	}))
	lab.Run()
}

func TestDatagramsKeepTheirBoundsAndSenders(t *testing.T) {
	for name, addr := range map[string]string{"IPv4": "10.0.0.1:53", "IPv6": "[2001:db8::1]:53"} {
		t.Run(name, func(t *testing.T) {
			var got []string
			var from net.Addr
			lab, _, _ := two(t, guesttest.Cable{}, process("server", func(p *guest.Proc) error {
				c, err := p.ListenPacket("udp", ":53")
				if err != nil {
					return err
				}
				b := make([]byte, 5)
				for range 3 {
					n, who, err := c.ReadFrom(b)
					if err != nil {
						return err
					}
					got, from = append(got, string(b[:n])), who
				}
				_, err = c.WriteTo([]byte("thanks"), from)
				return err
			}), process("client", func(p *guest.Proc) error {
				c, err := p.Dial("udp", addr)
				if err != nil {
					return err
				}
				for _, s := range []string{"one", "", "three and more"} {
					if _, err := c.Write([]byte(s)); err != nil {
						return err
					}
				}
				b := make([]byte, 64)
				n, err := c.Read(b)
				require.Equal(t, "thanks", string(b[:n]))
				require.Equal(t, c.LocalAddr().String(), from.String())
				return err
			}))
			lab.Run()
			require.Equal(t, []string{"one", "", "three"}, got)
		})
	}
}

func TestADatagramToNobodyIsRefused(t *testing.T) {
	lab, _, _ := two(t, guesttest.Cable{}, nil, process("client", func(p *guest.Proc) error {
		c, err := p.Dial("udp", "10.0.0.1:9")
		require.NoError(t, err)
		c.Write([]byte("x"))
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		return nil
	}))
	lab.Run()
}

func TestCallsAfterTheEndSayThatAllIsClosed(t *testing.T) {
	var c net.Conn
	lab, _, _ := two(t, guesttest.Cable{}, process("server", accept(nothing)), process("client", dial(func(_ *guest.Proc, conn *guest.Conn) error {
		c = conn
		return nil
	})))
	lab.RunUntil(sim.Second)
	lab.Close()
	_, err := c.Read(make([]byte, 1))
	require.True(t, errors.Is(err, net.ErrClosed), "%v", err)
	require.NoError(t, c.Close())
}

// What happens within the call that then would wait is not missed.
func TestAMachineTalksToItself(t *testing.T) {
	lab := guesttest.New(t, 1)
	ok := 0
	lab.Machine(guest.Config{Name: "m", Processes: []guest.Process{{Name: "echo", Main: echoTCP}, {Name: "client", Main: func(p *guest.Proc) error {
		for _, addr := range []string{"10.0.0.1:7", "[2001:db8::1]:7"} {
			c, err := p.Dial("tcp", addr)
			if err != nil {
				return err
			}
			want := make([]byte, 1<<20)
			p.Go("writer", func(p *guest.Proc) error {
				if _, err := c.Write(want); err != nil {
					return err
				}
				return c.(*guest.Conn).CloseWrite()
			})
			got, err := io.ReadAll(c)
			if err != nil || len(got) != len(want) {
				return fmt.Errorf("%d bytes, %w", len(got), err)
			}
			ok++
		}
		return nil
	}}}}, "10.0.0.1/24 2001:db8::1/64")
	lab.Run()
	require.Equal(t, 2, ok)
}

func TestOptionsAreSetAndRead(t *testing.T) {
	between(t, nothing, func(p *guest.Proc, c *guest.Conn) error {
		require.NoError(t, c.SetOption(netstack.TTL, 7))
		v, err := c.Option(netstack.TTL)
		require.NoError(t, err)
		require.Equal(t, 7, v)
		require.ErrorIs(t, c.SetOption(netstack.TTL, 700), syscall.EINVAL)
		return nil
	})
}

func TestPingSocketsSendRequestsAndGetReplies(t *testing.T) {
	for network, row := range map[string]struct {
		to             string
		request, reply byte
	}{"icmp4": {"10.0.0.1", 8, 0}, "icmp6": {"2001:db8::1", 128, 129}} {
		t.Run(network, func(t *testing.T) {
			lab, _, _ := two(t, guesttest.Cable{}, nil, process("p", func(p *guest.Proc) error {
				c, err := p.ListenPacket(network, "")
				require.NoError(t, err)
				to := &net.IPAddr{IP: net.ParseIP(row.to)}
				_, err = c.WriteTo([]byte{row.request, 0, 0, 0, 0, 0, 0, 3, 'h', 'i'}, to)
				require.NoError(t, err)
				b := make([]byte, 20)
				n, from, err := c.ReadFrom(b)
				require.NoError(t, err)
				require.Equal(t, row.reply, b[0])
				require.Equal(t, []byte{0, 3, 'h', 'i'}, b[6:n])
				require.Equal(t, row.to, from.String())
				_, err = c.WriteTo([]byte{row.request}, &net.UnixAddr{})
				require.ErrorContains(t, err, "no address of this network")
				return nil
			}))
			lab.Run()
		})
	}
}
