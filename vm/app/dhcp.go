package app

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"net/netip"

	"ringside/offload"
)

// A dhcpMessage is a message of DHCP [RFC 2131, 2], with the options that are used
// here [RFC 2132]. Addresses that are not valid are not in it.
type dhcpMessage struct {
	Reply     bool // of a server
	Type      dhcpType
	XID       uint32
	Secs      uint16
	Broadcast bool       // the client takes no unicast before it has an address
	Client    netip.Addr // ciaddr: of a client that has one
	Your      netip.Addr // yiaddr: what the client is to have
	Relay     netip.Addr // giaddr
	MAC       [6]byte    // chaddr

	Requested netip.Addr // option 50
	Server    netip.Addr // option 54
	Lease     uint32     // option 51, seconds
	MaskBits  int        // option 1, as the length of a prefix; -1 if there is none
	Router    netip.Addr // option 3, the first one
	DNS       netip.Addr // option 6, the first one
	Host      string     // option 12
}

// A dhcpType is option 53.
type dhcpType uint8

const (
	dhcpDiscover dhcpType = 1 + iota
	dhcpOffer
	dhcpRequest
	dhcpDecline
	dhcpAck
	dhcpNak
	dhcpRelease
	dhcpInform
)

// Options of RFC 2132.
const (
	optPad       = 0
	optMask      = 1
	optRouter    = 3
	optDNS       = 6
	optHost      = 12
	optRequested = 50
	optLease     = 51
	optType      = 53
	optServer    = 54
	optParams    = 55
	optEnd       = 255
)

const (
	dhcpFixed  = 236 // bytes in front of the cookie
	dhcpCookie = 0x63825363
	dhcpMin    = 300 // a message is padded to that: BOOTP relays want it [RFC 1542, 2.1]
)

var errDHCP = errors.New("dhcp: bad message")

// parseDHCP reads a message. Options are read up to the first that is cut short; what
// they say twice counts the first time.
func parseDHCP(b []byte) (m dhcpMessage, err error) {
	if len(b) < dhcpFixed+4 || binary.BigEndian.Uint32(b[dhcpFixed:]) != dhcpCookie {
		return m, fmt.Errorf("%w: no cookie", errDHCP)
	}
	if b[0] != 1 && b[0] != 2 || b[1] != 1 || b[2] != 6 {
		return m, fmt.Errorf("%w: not a request or reply over Ethernet", errDHCP)
	}
	m = dhcpMessage{
		Reply: b[0] == 2, XID: binary.BigEndian.Uint32(b[4:]), Secs: binary.BigEndian.Uint16(b[8:]), Broadcast: b[10]&0x80 != 0,
		Client: addrAt(b, 12), Your: addrAt(b, 16), Relay: addrAt(b, 24), MAC: [6]byte(b[28:]), MaskBits: -1,
	}
	seen := [256]bool{}
	for rest := b[dhcpFixed+4:]; len(rest) > 0 && rest[0] != optEnd; {
		if rest[0] == optPad {
			rest = rest[1:]
			continue
		}
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return m, fmt.Errorf("%w: option %d is cut short", errDHCP, rest[0])
		}
		if code := rest[0]; !seen[code] {
			seen[code] = true
			m.option(code, rest[2:2+int(rest[1])])
		}
		rest = rest[2+int(rest[1]):]
	}
	if m.Type < dhcpDiscover || m.Type > dhcpInform {
		return m, fmt.Errorf("%w: type %d", errDHCP, m.Type)
	}
	return m, nil
}

// option takes one option; one of a wrong length is not there.
func (m *dhcpMessage) option(code byte, v []byte) {
	switch {
	case code == optType && len(v) == 1:
		m.Type = dhcpType(v[0])
	case code == optHost:
		m.Host = string(v)
	case len(v) < 4 || len(v)%4 != 0:
	case code == optRequested && len(v) == 4:
		m.Requested = addrAt(v, 0)
	case code == optServer && len(v) == 4:
		m.Server = addrAt(v, 0)
	case code == optLease && len(v) == 4:
		m.Lease = binary.BigEndian.Uint32(v)
	case code == optMask && len(v) == 4:
		mask := binary.BigEndian.Uint32(v)
		if n := bits.LeadingZeros32(^mask); mask<<n == 0 {
			m.MaskBits = n
		}
	case code == optRouter:
		m.Router = addrAt(v, 0)
	case code == optDNS:
		m.DNS = addrAt(v, 0)
	}
}

// addrAt is the IPv4 address there; 0.0.0.0 is none.
func addrAt(b []byte, at int) netip.Addr {
	a := netip.AddrFrom4([4]byte(b[at:]))
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}

// bytes writes the message.
func (m *dhcpMessage) bytes() []byte {
	b := make([]byte, dhcpFixed, dhcpMin)
	b[0], b[1], b[2] = 1, 1, 6
	if m.Reply {
		b[0] = 2
	}
	binary.BigEndian.PutUint32(b[4:], m.XID)
	binary.BigEndian.PutUint16(b[8:], m.Secs)
	if m.Broadcast {
		b[10] = 0x80
	}
	copy(b[12:], m.Client.AsSlice())
	copy(b[16:], m.Your.AsSlice())
	copy(b[24:], m.Relay.AsSlice())
	copy(b[28:], m.MAC[:])
	b = binary.BigEndian.AppendUint32(b, dhcpCookie)
	b = append(b, optType, 1, byte(m.Type))
	for _, o := range []struct {
		code byte
		addr netip.Addr
	}{{optRequested, m.Requested}, {optServer, m.Server}, {optRouter, m.Router}, {optDNS, m.DNS}} {
		if o.addr.IsValid() {
			b = append(append(b, o.code, 4), o.addr.AsSlice()...)
		}
	}
	if m.Lease > 0 {
		b = binary.BigEndian.AppendUint32(append(b, optLease, 4), m.Lease)
	}
	if m.MaskBits >= 0 && m.Reply {
		b = binary.BigEndian.AppendUint32(append(b, optMask, 4), ^uint32(0)<<(32-m.MaskBits))
	}
	if n := min(len(m.Host), 255); n > 0 {
		b = append(append(b, optHost, byte(n)), m.Host[:n]...)
	}
	if !m.Reply && (m.Type == dhcpDiscover || m.Type == dhcpRequest) {
		b = append(b, optParams, 4, optMask, optRouter, optDNS, optLease)
	}
	b = append(b, optEnd)
	return append(b, make([]byte, max(dhcpMin-len(b), 0))...)
}

// Ports of DHCP.
const (
	dhcpServerPort = 67
	dhcpClientPort = 68
)

// A datagram is a UDP datagram over IPv4 as a whole frame, for a program that has no
// address yet.
type datagram struct {
	srcMAC, dstMAC [6]byte
	src, dst       netip.AddrPort
	payload        []byte
}

var broadcastMAC = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// frame writes the datagram, and what is left to do of it: the sum of UDP.
func (d *datagram) frame() ([]byte, offload.Meta) {
	n := len(d.payload)
	b := make([]byte, 14+20+8, 14+20+8+n)
	copy(b, d.dstMAC[:])
	copy(b[6:], d.srcMAC[:])
	b[12], b[13] = 8, 0
	ip, udp := b[14:34], b[34:42]
	ip[0], ip[8], ip[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(28+n))
	src, dst := d.src.Addr().As4(), d.dst.Addr().As4()
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(ip[10:], ^fold(sum(ip, 0)))
	binary.BigEndian.PutUint16(udp, d.src.Port())
	binary.BigEndian.PutUint16(udp[2:], d.dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(8+n))
	binary.BigEndian.PutUint16(udp[6:], fold(sum(ip[12:20], uint32(17+8+n))))
	return append(b, d.payload...), offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 6}
}

// sum adds up 16-bit words.
func sum(b []byte, s uint32) uint32 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

// fold makes a sum one of 16 bits.
func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// readDatagram takes a frame apart. It is not one if it is a fragment, or its headers
// are wrong, or its sum is and nobody has seen to that.
func readDatagram(b []byte, m offload.Meta) (d datagram, ok bool) {
	if len(b) < 42 || b[12] != 8 || b[13] != 0 || b[14] != 0x45 || b[23] != 17 || binary.BigEndian.Uint16(b[20:])&0x3fff != 0 {
		return d, false
	}
	total := int(binary.BigEndian.Uint16(b[16:]))
	length := int(binary.BigEndian.Uint16(b[38:]))
	if total > len(b)-14 || length < 8 || length > total-20 || fold(sum(b[14:34], 0)) != 0xffff {
		return d, false
	}
	udp := b[34 : 34+length]
	if !m.Valid && !m.NeedsCsum && (udp[6] != 0 || udp[7] != 0) && fold(sum(udp, sum(b[26:34], uint32(17+length)))) != 0xffff {
		return d, false
	}
	d.dstMAC, d.srcMAC = [6]byte(b), [6]byte(b[6:])
	d.src = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[26:])), binary.BigEndian.Uint16(udp))
	d.dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[30:])), binary.BigEndian.Uint16(udp[2:]))
	d.payload = udp[8:]
	return d, true
}

// toPort is a filter for datagrams of IPv4 to a port.
func toPort(port uint16) func(head []byte) bool {
	return func(b []byte) bool {
		return len(b) >= 42 && b[12] == 8 && b[13] == 0 && b[14] == 0x45 && b[23] == 17 && binary.BigEndian.Uint16(b[36:]) == port
	}
}
