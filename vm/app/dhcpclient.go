package app

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"ringside/sim"
	"ringside/vm/guest"
)

// DHCPClientConfig describes the program DHCPClient.
type DHCPClientConfig struct {
	Interface string // "" means eth0
	Host      string // name that it tells the server; "" means the machine's
	Tries     int    // of one message, until it gives up; 0 means 4
}

// DHCPClient gets an IPv4 address for an interface [RFC 2131], and a default route and
// name server if the server has them for it. It ends then: leases are not renewed. It
// fails when no server answers. It records address, server, lease and span.
func DHCPClient(c DHCPClientConfig) guest.Program {
	if c.Interface == "" {
		c.Interface = "eth0"
	}
	if c.Tries == 0 {
		c.Tries = 4
	}
	return func(p *guest.Proc) error {
		if c.Host == "" {
			c.Host = p.Machine()
		}
		in, err := p.Interface(c.Interface)
		if err != nil {
			return err
		}
		conn, err := p.Packets(c.Interface, guest.RawOptions{Take: true, Filter: toPort(dhcpClientPort)})
		if err != nil {
			return err
		}
		defer conn.Close()
		d := &dhcpClient{c: c, p: p, conn: conn, mac: in.MAC, began: p.Time()}
		ack, err := d.acquire()
		if err != nil {
			return fmt.Errorf("dhcp: %s: %w", c.Interface, err)
		}
		return d.use(ack)
	}
}

type dhcpClient struct {
	c     DHCPClientConfig
	p     *guest.Proc
	conn  *guest.RawConn
	mac   [6]byte
	began sim.Time
	xid   uint32
}

var errNak = errors.New("the server refused the address")

// acquire goes from INIT to BOUND. A refusal begins it anew.
func (d *dhcpClient) acquire() (*dhcpMessage, error) {
	for range d.c.Tries {
		d.xid = d.p.Rand().Uint32()
		offer, err := d.exchange(&dhcpMessage{Type: dhcpDiscover}, dhcpOffer)
		if err != nil {
			return nil, err
		}
		ack, err := d.exchange(&dhcpMessage{Type: dhcpRequest, Requested: offer.Your, Server: offer.Server}, dhcpAck)
		if !errors.Is(err, errNak) {
			return ack, err
		}
	}
	return nil, errNak
}

// exchange sends a message until it is answered: after 4 s, 8 s, 16 s and so on, each
// a second more or less [RFC 2131, 4.1].
func (d *dhcpClient) exchange(m *dhcpMessage, want dhcpType) (*dhcpMessage, error) {
	m.XID, m.MAC, m.Host, m.MaskBits, m.Broadcast = d.xid, d.mac, d.c.Host, -1, true
	for try := range d.c.Tries {
		m.Secs = uint16(min((d.p.Time()-d.began)/sim.Second, 0xffff))
		f, meta := (&datagram{
			srcMAC: d.mac, dstMAC: broadcastMAC, payload: m.bytes(),
			src: netip.AddrPortFrom(netip.IPv4Unspecified(), dhcpClientPort),
			dst: netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), dhcpServerPort),
		}).frame()
		if err := d.conn.WriteFrame(f, meta); err != nil {
			return nil, err
		}
		wait := 4*time.Second<<min(try, 4) + time.Duration(d.p.Rand().Int64N(int64(2*time.Second))) - time.Second
		r, err := d.listen(d.p.Now().Add(wait), want)
		if !late(err) {
			return r, err
		}
	}
	return nil, fmt.Errorf("no server answered in %d tries", d.c.Tries)
}

// listen takes what comes until the date by, or the answer.
func (d *dhcpClient) listen(by time.Time, want dhcpType) (*dhcpMessage, error) {
	d.conn.SetReadDeadline(by)
	b := make([]byte, 2048)
	for {
		n, meta, err := d.conn.ReadFrame(b)
		if err != nil {
			return nil, err
		}
		g, ok := readDatagram(b[:n], meta)
		if !ok {
			continue
		}
		m, err := parseDHCP(g.payload)
		if err != nil || !m.Reply || m.XID != d.xid || m.MAC != d.mac {
			continue
		}
		switch {
		case m.Type == dhcpNak && want == dhcpAck:
			return nil, errNak
		case m.Type == want && m.Your.IsValid() && m.Server.IsValid():
			return &m, nil
		}
	}
}

// use gives the interface what the server said.
func (d *dhcpClient) use(m *dhcpMessage) error {
	bits := m.MaskBits
	if bits < 0 {
		bits = 24
	}
	if err := d.p.AddAddress(d.c.Interface, netip.PrefixFrom(m.Your, bits)); err != nil {
		return err
	}
	if m.Router.IsValid() {
		if err := d.p.SetGateway(m.Router); err != nil {
			return err
		}
	}
	if m.DNS.IsValid() {
		d.p.SetResolver(m.DNS)
	}
	d.p.RecordText("address", netip.PrefixFrom(m.Your, bits).String())
	d.p.RecordText("server", m.Server.String())
	d.p.Record("lease", int64(m.Lease), "s")
	d.p.Record("span", (d.p.Time() - d.began).Nanoseconds(), "ns")
	return nil
}

var _ = register(&Spec{
	Name: "dhcp-client",
	Does: "gets an IPv4 address for an interface",
	Args: []Arg{
		textArg("interface", "eth0", "which"),
		textArg("host", "", "name to tell the server; the machine's if it is empty"),
		countArg("tries", 4, 1, 100, "of one message, until it gives up"),
	},
	make: func(v values) guest.Program {
		return DHCPClient(DHCPClientConfig{Interface: get[string](v, "interface"), Host: get[string](v, "host"), Tries: get[int](v, "tries")})
	},
})
