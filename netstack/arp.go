package netstack

import (
	"encoding/binary"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// An ARP packet for IPv4 on Ethernet [RFC 826].
const (
	arpSize    = 28
	arpOp      = 6
	arpSender  = 8 // hardware address, then protocol address
	arpTarget  = 18
	arpRequest = 1
	arpReply   = 2
)

var arpKind = [6]byte{0, 1, 0x08, 0x00, 6, 4} // Ethernet, IPv4, lengths of addresses

// arp takes an ARP packet that came for a station, or for all.
func (i *Interface) arp(b []byte, host bool) {
	if len(b) < arpSize || [6]byte(b) != arpKind {
		i.stat.RxMalformed++
		return
	}
	op := binary.BigEndian.Uint16(b[arpOp:])
	mac := [6]byte(b[arpSender:])
	sender, target := tcpip.AddrFrom4([4]byte(b[arpSender+6:])), tcpip.AddrFrom4([4]byte(b[arpTarget+6:]))
	if mac[0]&1 != 0 || i.s.owner(addrOf(sender)) != nil {
		return // no station, or it says that it is us
	}
	known := i.neighbour(sender)
	if op == arpRequest && i.s.owner(addrOf(target)) != nil {
		if sender != header.IPv4Any { // else it asks whether the address is free [RFC 5227, 2.1.1]
			if known == nil && !i.subnetBroadcast(sender) && !header.IsV4MulticastAddress(sender) {
				known = i.newNeighbour(sender)
			}
			if known != nil {
				known.probed(mac)
			}
		}
		i.sendARP(arpReply, target, mac, sender, mac)
		return
	}
	if known == nil || sender == header.IPv4Any {
		return // nobody has asked
	}
	if known.mac != mac && known.state != nudIncomplete && known.state != nudFailed && i.s.now() < known.updated+lockTime {
		return
	}
	known.answered(mac, op == arpReply && host)
}

// askARP asks who has an address.
func (i *Interface) askARP(a tcpip.Address, to [6]byte) {
	from, ok := i.source(a)
	if !ok {
		return
	}
	dst := to
	if to == [6]byte{} {
		dst = allStations
	}
	i.sendARP(arpRequest, from, dst, a, to)
}

func (i *Interface) sendARP(op uint16, sender tcpip.Address, dst [6]byte, target tcpip.Address, targetMAC [6]byte) {
	b := i.ownFrame(dst, header.ARPProtocolNumber, arpSize)
	copy(b, arpKind[:])
	binary.BigEndian.PutUint16(b[arpOp:], op)
	copy(b[arpSender:], i.cfg.MAC[:])
	copy(b[arpSender+6:], sender.AsSlice())
	copy(b[arpTarget:], targetMAC[:])
	copy(b[arpTarget+6:], target.AsSlice())
	i.sendOwn()
}

// source is the address from which the interface asks for another: the one in the
// same network, else the first of that family.
func (i *Interface) source(a tcpip.Address) (tcpip.Address, bool) {
	to := addrOf(a)
	first := -1
	for n, p := range i.addrs {
		if p.Addr().Is4() != to.Is4() {
			continue
		}
		if p.Contains(to) {
			return addressOf(p.Addr()), true
		}
		if first < 0 {
			first = n
		}
	}
	if first < 0 {
		return tcpip.Address{}, false
	}
	return addressOf(i.addrs[first].Addr()), true
}

// ownFrame begins a frame that the interface makes itself, with n bytes behind the
// Ethernet header, and returns those.
func (i *Interface) ownFrame(dst [6]byte, proto tcpip.NetworkProtocolNumber, n int) []byte {
	b := i.made[:header.EthernetMinimumSize+n]
	clear(b)
	copy(b, dst[:])
	copy(b[6:], i.cfg.MAC[:])
	binary.BigEndian.PutUint16(b[12:], uint16(proto))
	i.madeParts[0] = b
	return b[header.EthernetMinimumSize:]
}

func (i *Interface) sendOwn() {
	i.send(&Packet{Parts: i.madeParts[:], Len: len(i.madeParts[0])})
}
