package app

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"ringside/sim"
	"ringside/vm/guest"
)

// DHCPServerConfig describes the program DHCPServer. First and Last are required.
type DHCPServerConfig struct {
	Interface   string        // "" means eth0; its IPv4 address is the server's and says the network
	First, Last netip.Addr    // up to 65536 addresses
	Router      netip.Addr    // the zero Addr is none
	DNS         netip.Addr    // likewise
	Lease       time.Duration // 0 means 1 h
}

// DHCPServer gives IPv4 addresses to the stations of one network, the lowest that is
// free [RFC 2131]. Relays are not served. It does not end. It records discovers,
// offers, requests, acks, naks, bad (messages), and leases: those that hold.
func DHCPServer(c DHCPServerConfig) guest.Program {
	if c.Interface == "" {
		c.Interface = "eth0"
	}
	if c.Lease == 0 {
		c.Lease = time.Hour
	}
	return func(p *guest.Proc) error {
		in, err := p.Interface(c.Interface)
		if err != nil {
			return err
		}
		s := &dhcpServer{c: c, mac: in.MAC, leases: map[netip.Addr]lease{}}
		for _, a := range in.Addresses {
			if a.Addr().Is4() && !s.net.IsValid() {
				s.net = a
			}
		}
		if !s.net.IsValid() || !s.net.Contains(c.First) || !s.net.Contains(c.Last) || rangeSize(c.First, c.Last) == 0 {
			return fmt.Errorf("addresses %v to %v: not up to %d in the network of %s, %v", c.First, c.Last, maxLeases, c.Interface, s.net)
		}
		conn, err := p.Packets(c.Interface, guest.RawOptions{Take: true, Filter: toPort(dhcpServerPort)})
		if err != nil {
			return err
		}
		s.results(p)
		return s.run(p, conn)
	}
}

type dhcpServer struct {
	c      DHCPServerConfig
	net    netip.Prefix // its own address, and the network
	mac    [6]byte
	leases map[netip.Addr]lease
	now    sim.Time

	discovers, offers, requests, acks, naks, bad int64
}

// A lease says who has an address, or was offered it, and how long.
type lease struct {
	mac   [6]byte
	until sim.Time
}

// offered is how long an offer is kept for a client.
const offered = 60 * sim.Second

func (s *dhcpServer) results(p *guest.Proc) {
	for _, r := range []struct {
		name string
		n    *int64
	}{{"discovers", &s.discovers}, {"offers", &s.offers}, {"requests", &s.requests}, {"acks", &s.acks}, {"naks", &s.naks}, {"bad", &s.bad}} {
		p.RecordFunc(r.name, "", func() int64 { return *r.n })
	}
	p.RecordFunc("leases", "", func() int64 { return int64(s.holding()) })
}

// holding counts the leases that have not ended.
func (s *dhcpServer) holding() (n int) {
	for a := s.c.First; s.net.Contains(a) && !s.c.Last.Less(a); a = a.Next() {
		if l, ok := s.leases[a]; ok && l.until > s.now {
			n++
		}
	}
	return n
}

func (s *dhcpServer) run(p *guest.Proc, conn *guest.RawConn) error {
	b := make([]byte, 2048)
	for {
		n, meta, err := conn.ReadFrame(b)
		if err != nil {
			return err
		}
		d, ok := readDatagram(b[:n], meta)
		if !ok {
			s.bad++
			continue
		}
		m, err := parseDHCP(d.payload)
		if err != nil || m.Reply || m.Relay.IsValid() {
			s.bad++
			continue
		}
		s.now = p.Time()
		if answer := s.answer(&m); answer != nil {
			f, meta := s.towards(&m, answer).frame()
			if err := conn.WriteFrame(f, meta); err != nil {
				p.Logf("%v", err)
			}
		}
	}
}

// towards addresses an answer [RFC 2131, 4.1].
func (s *dhcpServer) towards(m, answer *dhcpMessage) *datagram {
	d := &datagram{
		srcMAC: s.mac, dstMAC: m.MAC, payload: answer.bytes(),
		src: netip.AddrPortFrom(s.net.Addr(), dhcpServerPort), dst: netip.AddrPortFrom(answer.Your, dhcpClientPort),
	}
	switch {
	case answer.Type == dhcpNak || !m.Client.IsValid() && m.Broadcast:
		d.dstMAC, d.dst = broadcastMAC, netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), dhcpClientPort)
	case m.Client.IsValid():
		d.dst = netip.AddrPortFrom(m.Client, dhcpClientPort)
	}
	return d
}

// answer is the answer to a client's message, nil if there is none.
func (s *dhcpServer) answer(m *dhcpMessage) *dhcpMessage {
	switch m.Type {
	case dhcpDiscover:
		s.discovers++
		a, ok := s.find(m)
		if !ok {
			return nil // another server may have one
		}
		s.leases[a] = lease{m.MAC, s.now + offered}
		s.offers++
		return s.reply(m, dhcpOffer, a)
	case dhcpRequest:
		s.requests++
		return s.request(m)
	case dhcpDecline, dhcpRelease:
		a := m.Client
		if m.Type == dhcpDecline { // somebody else uses it: not before a lease is over
			if a = m.Requested; s.holds(m.MAC, a) {
				s.leases[a] = lease{until: s.now + sim.FromDuration(s.c.Lease)}
			}
		} else if s.holds(m.MAC, a) {
			delete(s.leases, a)
		}
	case dhcpInform:
		if m.Client.IsValid() {
			s.acks++
			return s.reply(m, dhcpAck, netip.Addr{})
		}
	}
	return nil
}

// request answers a DHCPREQUEST: of a client that selects, reboots or renews.
func (s *dhcpServer) request(m *dhcpMessage) *dhcpMessage {
	if m.Server.IsValid() && m.Server != s.net.Addr() {
		return nil // it has taken another server's offer
	}
	a := m.Requested
	if !a.IsValid() {
		a = m.Client
	}
	if !s.inRange(a) || !s.holds(m.MAC, a) {
		if !m.Server.IsValid() && s.net.Contains(a) {
			return nil // [RFC 2131, 4.3.2]: nothing is known of it
		}
		s.naks++
		return s.reply(m, dhcpNak, netip.Addr{})
	}
	s.leases[a] = lease{m.MAC, s.now + sim.FromDuration(s.c.Lease)}
	s.acks++
	return s.reply(m, dhcpAck, a)
}

func (s *dhcpServer) reply(m *dhcpMessage, t dhcpType, a netip.Addr) *dhcpMessage {
	r := &dhcpMessage{Reply: true, Type: t, XID: m.XID, Broadcast: m.Broadcast, MAC: m.MAC, Server: s.net.Addr(), MaskBits: -1}
	if t == dhcpNak {
		return r
	}
	r.Client, r.Your, r.MaskBits, r.Router, r.DNS = m.Client, a, s.net.Bits(), s.c.Router, s.c.DNS
	if t == dhcpOffer {
		r.Client = netip.Addr{}
	}
	if a.IsValid() {
		r.Lease = uint32(s.c.Lease / time.Second)
	}
	return r
}

// find is the address to offer: the one that the client has, or had, or wants, or the
// first that is free.
func (s *dhcpServer) find(m *dhcpMessage) (netip.Addr, bool) {
	wish, first := m.Requested, netip.Addr{}
	for a := s.c.First; s.inRange(a); a = a.Next() {
		l, taken := s.leases[a]
		if taken && l.mac == m.MAC {
			return a, true
		}
		if free := a != s.net.Addr() && a != s.c.Router && (!taken || l.until <= s.now); free {
			if a == wish {
				first, wish = a, netip.Addr{}
			}
			if !first.IsValid() {
				first = a
			}
		}
	}
	return first, first.IsValid()
}

func (s *dhcpServer) inRange(a netip.Addr) bool {
	return a.IsValid() && !a.Less(s.c.First) && !s.c.Last.Less(a)
}

func (s *dhcpServer) holds(mac [6]byte, a netip.Addr) bool {
	l, ok := s.leases[a]
	return ok && l.mac == mac
}

// maxLeases bounds the work of finding an address that is free.
const maxLeases = 1 << 16

// rangeSize is how many addresses there are from first to last; 0 if there are none,
// or more than maxLeases.
func rangeSize(first, last netip.Addr) uint32 {
	a, b := first.As4(), last.As4()
	from, to := binary.BigEndian.Uint32(a[:]), binary.BigEndian.Uint32(b[:])
	if from > to || to-from >= maxLeases {
		return 0
	}
	return to - from + 1
}

// parseRange reads FIRST-LAST.
func parseRange(text string) (r [2]netip.Addr, err error) {
	first, last, ok := cutRange(text)
	if !ok {
		return r, errors.New("not FIRST-LAST")
	}
	if r[0], err = netip.ParseAddr(first); err != nil {
		return r, err
	}
	if r[1], err = netip.ParseAddr(last); err != nil {
		return r, err
	}
	if !r[0].Is4() || !r[1].Is4() || rangeSize(r[0], r[1]) == 0 {
		return r, errors.New("not a range of IPv4 addresses")
	}
	return r, nil
}

var _ = register(&Spec{
	Name: "dhcp-server",
	Does: "gives IPv4 addresses to the stations of its network",
	Args: []Arg{
		required(argOf("range", "FIRST-LAST, of up to 65536 IPv4 addresses", "", "addresses to give", parseRange)),
		textArg("interface", "eth0", "on which"),
		addr4Arg("router", "default route of the stations"),
		addr4Arg("dns", "their name server"),
		spanArg("lease", "1h", "how long an address is theirs"),
	},
	make: func(v values) guest.Program {
		r := get[[2]netip.Addr](v, "range")
		return DHCPServer(DHCPServerConfig{
			Interface: get[string](v, "interface"), First: r[0], Last: r[1], Router: get[netip.Addr](v, "router"),
			DNS: get[netip.Addr](v, "dns"), Lease: get[time.Duration](v, "lease"),
		})
	},
})
