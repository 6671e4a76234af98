package netstack

import (
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// An InterfaceStats counts what an interface saw. All frames, with their Ethernet
// headers.
type InterfaceStats struct {
	RxFrames, RxBytes uint64
	RxOtherHost       uint64 // dropped: for another station
	RxLength          uint64 // dropped: no Ethernet header, or longer than IP allows
	TxFrames, TxBytes uint64
	TxDropped         uint64 // the link had no room
	RxMartian         uint64 // dropped: from an address of this machine's, on a router
	RxTTL             uint64 // dropped: its time to live ends on this router
	RxMalformed       uint64 // dropped: ARP or ND that is not well-formed
	NeighbourDropped  uint64 // frames whose neighbour did not answer, or too many waited
}

// Stats is what the interface has seen so far.
func (i *Interface) Stats() InterfaceStats { return i.stat }

// A Stats is what a stack has counted, over all interfaces.
type Stats struct {
	IPReceived, IPSent, IPForwarded  uint64
	TCPReceived, TCPSent             uint64 // segments; one that the link cuts counts once
	TCPRetransmits, TCPTimeouts      uint64
	TCPFastRetransmits               uint64
	TCPActiveOpens, TCPPassiveOpens  uint64
	TCPResetsSent, TCPResetsReceived uint64
	TCPEstablished                   uint64 // now
	UDPReceived, UDPSent             uint64
	Drops                            []Drop // those that are not 0, in a fixed order
}

// A Drop is how many packets a stack dropped for a reason. Where Linux has a name
// for it, that is the name.
type Drop struct {
	Reason string
	Count  uint64
}

// Stats is what the stack has counted so far.
func (s *Stack) Stats() Stats {
	g := s.gv.Stats()
	t := &g.TCP
	return Stats{
		IPReceived: g.IP.PacketsReceived.Value(), IPSent: g.IP.PacketsSent.Value(), IPForwarded: s.forwarded,
		TCPReceived: t.ValidSegmentsReceived.Value(), TCPSent: t.SegmentsSent.Value(),
		TCPRetransmits: t.Retransmits.Value(), TCPTimeouts: t.Timeouts.Value(), TCPFastRetransmits: t.FastRetransmit.Value(),
		TCPActiveOpens: t.ActiveConnectionOpenings.Value(), TCPPassiveOpens: t.PassiveConnectionOpenings.Value(),
		TCPResetsSent: t.ResetsSent.Value(), TCPResetsReceived: t.ResetsReceived.Value(),
		TCPEstablished: t.CurrentEstablished.Value(),
		UDPReceived:    g.UDP.PacketsReceived.Value(), UDPSent: g.UDP.PacketsSent.Value(),
		Drops: s.drops(&g),
	}
}

func (s *Stack) drops(g *tcpip.Stats) (list []Drop) {
	add := func(reason string, counters ...*tcpip.StatCounter) *uint64 {
		d := Drop{Reason: reason}
		for _, c := range counters {
			d.Count += c.Value()
		}
		list = append(list, d)
		return &list[len(list)-1].Count
	}
	ip, f := &g.IP, &g.IP.Forwarding
	list = make([]Drop, 0, 16)
	other := add("OTHERHOST")
	short := add("PKT_TOO_SMALL")
	add("IP_INHDR", ip.MalformedPacketsReceived, ip.MalformedFragmentsReceived, f.ExtensionHeaderProblem) // gVisor counts a wrong sum as malformed
	addrs := add("IP_INADDRERRORS", ip.InvalidDestinationAddressesReceived, ip.InvalidSourceAddressesReceived, f.InitializingSource, f.LinkLocalSource, f.LinkLocalDestination)
	add("IP_INNOROUTES", f.Unrouteable)
	ttl := add("IP_TTL", f.ExhaustedTTL)
	add("PKT_TOO_BIG", f.PacketTooBig)
	neigh := add("NEIGH_FAILED")
	malformed := add("NEIGH_MALFORMED")
	add("NO_SOCKET", g.UDP.UnknownPortErrors)
	add("SOCKET_RCVBUFF", g.UDP.ReceiveBufferErrors)
	add("UDP_CSUM", g.UDP.ChecksumErrors)
	add("TCP_CSUM", g.TCP.ChecksumErrors)
	add("TCP_INVALID", g.TCP.InvalidSegmentsReceived)
	add("NETFILTER_DROP", ip.IPTablesPreroutingDropped, ip.IPTablesInputDropped, ip.IPTablesForwardDropped, ip.IPTablesOutputDropped, ip.IPTablesPostroutingDropped)
	full := add("QDISC_DROP")
	for _, i := range s.ifaces {
		*other += i.stat.RxOtherHost
		*short += i.stat.RxLength
		*addrs += i.stat.RxMartian
		*ttl += i.stat.RxTTL
		*neigh += i.stat.NeighbourDropped
		*malformed += i.stat.RxMalformed
		*full += i.stat.TxDropped
	}
	return slices.DeleteFunc(list, func(d Drop) bool { return d.Count == 0 })
}
