package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// Neighbour solicitations and advertisements [RFC 4861, 4.3, 4.4].
const (
	ndBody   = 24 // type, code, checksum, flags, target
	ndSize   = ndBody + 8
	ndHops   = 255 // no router has passed it on
	ndSource = 1   // option: link-layer address of the sender
	ndTarget = 2   // and of the target

	naRouter    = 0x80
	naSolicited = 0x40
	naOverride  = 0x20
)

// nd takes a neighbour solicitation or advertisement, and says whether the packet
// was one for this machine.
func (i *Interface) nd(b []byte, valid bool) bool {
	if len(b) < header.IPv6MinimumSize+ndBody || b[6] != uint8(header.ICMPv6ProtocolNumber) {
		return false
	}
	ip, icmp := header.IPv6(b), header.ICMPv6(b[header.IPv6MinimumSize:])
	kind := icmp.Type()
	if kind != header.ICMPv6NeighborSolicit && kind != header.ICMPv6NeighborAdvert {
		return false
	}
	dst := ip.DestinationAddress()
	group := header.IsV6MulticastAddress(dst)
	if !group && i.s.owner(addrOf(dst)) == nil {
		return false
	}
	n := int(ip.PayloadLength())
	if n < ndBody || n > len(icmp) || ip.HopLimit() != ndHops || icmp.Code() != 0 || !valid && !ndSummed(ip, icmp[:n]) {
		i.stat.RxMalformed++
		return true
	}
	icmp = icmp[:n]
	target := tcpip.AddrFrom16([16]byte(icmp[8:]))
	mac, there, ok := ndOption(icmp[ndBody:], kind)
	if !ok || header.IsV6MulticastAddress(target) {
		i.stat.RxMalformed++
		return true
	}
	if kind == header.ICMPv6NeighborSolicit {
		i.solicited(ip.SourceAddress(), dst, target, mac, there)
	} else {
		i.advertised(target, icmp[4], mac, there, group)
	}
	return true
}

func ndSummed(ip header.IPv6, icmp header.ICMPv6) bool {
	sum := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, ip.SourceAddress(), ip.DestinationAddress(), uint16(len(icmp)))
	return checksum.Checksum(icmp, sum) == 0xFFFF
}

// ndOption finds the link-layer address that belongs to a message. Ok is false if
// the options are malformed [RFC 4861, 4.6].
func ndOption(b []byte, kind header.ICMPv6Type) (mac [6]byte, there, ok bool) {
	want := byte(ndSource)
	if kind == header.ICMPv6NeighborAdvert {
		want = ndTarget
	}
	for len(b) > 0 {
		if len(b) < 8 || b[1] == 0 || int(b[1])*8 > len(b) {
			return mac, false, false
		}
		if b[0] == want && !there {
			if b[1] != 1 || b[2]&1 != 0 {
				return mac, false, false
			}
			mac, there = [6]byte(b[2:]), true
		}
		b = b[int(b[1])*8:]
	}
	return mac, there, true
}

// solicited answers a question for an address of this machine.
func (i *Interface) solicited(src, dst, target tcpip.Address, mac [6]byte, there bool) {
	free := src == header.IPv6Any // whoever asks has no address yet
	switch owner := i.s.owner(addrOf(target)); {
	case owner != i:
		return
	case free && (there || !header.IsSolicitedNodeAddr(dst)), !free && !there && header.IsV6MulticastAddress(dst):
		i.stat.RxMalformed++
		return
	case header.IsV6MulticastAddress(src) || i.s.owner(addrOf(src)) != nil:
		return
	}
	flags := byte(naOverride)
	if i.s.cfg.Forward {
		flags |= naRouter
	}
	if free {
		to := header.IPv6AllNodesMulticastAddress
		copy(mac[:], header.EthernetAddressFromMulticastIPv6Address(to))
		i.sendND(header.ICMPv6NeighborAdvert, flags, target, to, target, mac, ndTarget)
		return
	}
	n := i.neighbour(src)
	if there {
		if n == nil {
			n = i.newNeighbour(src)
		}
		n.probed(mac)
	} else if n == nil || n.state == nudIncomplete || n.state == nudFailed {
		return // it can say who it is when it asks
	} else {
		mac, _ = n.link()
	}
	i.sendND(header.ICMPv6NeighborAdvert, flags|naSolicited, target, src, target, mac, ndTarget)
}

// advertised is what an advertisement does to an entry [RFC 4861, 7.2.5]. Nobody
// has asked for what has none.
func (i *Interface) advertised(target tcpip.Address, flags byte, mac [6]byte, there, group bool) {
	solicited, override := flags&naSolicited != 0, flags&naOverride != 0
	if group && solicited {
		i.stat.RxMalformed++
		return
	}
	n := i.neighbour(target)
	if n == nil || n.state == nudFailed || n.state == nudNone || n.state == nudPermanent {
		return
	}
	if n.state == nudIncomplete {
		if there {
			n.router = flags&naRouter != 0
			n.answered(mac, solicited)
		}
		return
	}
	if other := there && mac != n.mac; other && !override {
		if n.state == nudReachable {
			n.set(nudStale, 0)
		}
		return
	} else if !other {
		mac = n.mac
		if !solicited {
			n.router = flags&naRouter != 0
			return
		}
	}
	n.router = flags&naRouter != 0
	n.answered(mac, solicited)
}

// askND asks for the link-layer address of a neighbour.
func (i *Interface) askND(a tcpip.Address, to [6]byte) {
	from, ok := i.source(a)
	if !ok {
		return
	}
	dst := a
	if to == [6]byte{} {
		dst = header.SolicitedNodeAddr(a)
		copy(to[:], header.EthernetAddressFromMulticastIPv6Address(dst))
	}
	i.sendND(header.ICMPv6NeighborSolicit, 0, from, dst, a, to, ndSource)
}

func (i *Interface) sendND(kind header.ICMPv6Type, flags byte, src, dst, target tcpip.Address, mac [6]byte, option byte) {
	b := i.ownFrame(mac, header.IPv6ProtocolNumber, header.IPv6MinimumSize+ndSize)
	header.IPv6(b).Encode(&header.IPv6Fields{
		PayloadLength: ndSize, TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: ndHops, SrcAddr: src, DstAddr: dst,
	})
	icmp := header.ICMPv6(b[header.IPv6MinimumSize:])
	icmp.SetType(kind)
	icmp[4] = flags
	copy(icmp[8:], target.AsSlice())
	icmp[ndBody], icmp[ndBody+1] = option, 1
	copy(icmp[ndBody+2:], i.cfg.MAC[:])
	icmp.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: icmp, Src: src, Dst: dst}))
	i.sendOwn()
}
