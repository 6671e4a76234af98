package neigh

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// The parts of an ARP message for IPv4 over Ethernet.
const (
	arpLen = 28

	arpProtocol       = 2
	arpHardwareLen    = 4
	arpProtocolLen    = 5
	arpOperation      = 6
	arpSenderHardware = 8
	arpSender         = 14
	arpTarget         = 24
)

// Operations.
const (
	arpRequest = 1
	arpReply   = 2
	rarp       = 3 // a request of RARP
	rarpReply  = 4
)

const (
	hardwareEthernet = 1
	etherIPv4        = 0x0800
)

func (q *Query) arp(t *Table, lookup Lookup, buf []byte) (Verdict, []byte) {
	m := q.Frame[q.Network:]
	if len(m) < arpLen || binary.BigEndian.Uint16(m[arpProtocol:]) != etherIPv4 || m[arpHardwareLen] != 6 || m[arpProtocolLen] != 4 {
		return Pass, nil
	}
	sender, target := m[arpSender:arpSender+4], m[arpTarget:arpTarget+4]
	operation := binary.BigEndian.Uint16(m[arpOperation:])
	addr := netip.AddrFrom4([4]byte(target))
	switch {
	case addr.IsLoopback() || addr.IsMulticast() || q.Suppressed:
		return Pass, nil
	case operation == arpRequest && q.toOne():
		return Pass, nil
	case operation != rarp && operation != rarpReply && (sender[0] == 0 || bytes.Equal(sender, target)):
		return Suppress, nil // a probe or an announcement
	case operation != arpRequest:
		return Pass, nil
	}
	n, v := q.find(addr, t, lookup)
	if v != Reply {
		return v, nil
	}
	if q.Host && q.VID == 0 {
		return Suppress, nil // the answer ends in the bridge
	}
	return Reply, q.arpReply(m, n.MAC, buf)
}

// arpReply answers the request m in the name of who has the address.
func (q *Query) arpReply(m []byte, has [6]byte, buf []byte) []byte {
	asks := [6]byte(m[arpSenderHardware:])
	buf = q.header(buf, asks, has, EtherARP)
	buf = binary.BigEndian.AppendUint16(buf, hardwareEthernet)
	buf = binary.BigEndian.AppendUint16(buf, etherIPv4)
	buf = append(buf, 6, 4)
	buf = binary.BigEndian.AppendUint16(buf, arpReply)
	buf = append(append(buf, has[:]...), m[arpTarget:arpTarget+4]...)
	return append(append(buf, asks[:]...), m[arpSender:arpSender+4]...)
}
