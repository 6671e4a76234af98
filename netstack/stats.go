package netstack

import "gvisor.dev/gvisor/pkg/tcpip"

// An InterfaceStats counts what an interface saw. All frames, with their Ethernet
// headers.
type InterfaceStats struct {
	RxFrames, RxBytes uint64
	RxOtherHost       uint64 // dropped: for another station
	RxLength          uint64 // dropped: no Ethernet header, or longer than IP allows
	TxFrames, TxBytes uint64
	TxDropped         uint64 // the link had no room
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
	add := func(reason string, counters ...*tcpip.StatCounter) {
		var n uint64
		for _, c := range counters {
			n += c.Value()
		}
		if n > 0 {
			list = append(list, Drop{reason, n})
		}
	}
	ip, f := &g.IP, &g.IP.Forwarding
	var other, short, failed uint64
	for _, i := range s.ifaces {
		other += i.stat.RxOtherHost
		short += i.stat.RxLength
		failed += i.stat.NeighbourDropped
	}
	for _, d := range []Drop{{"OTHERHOST", other}, {"PKT_TOO_SMALL", short}, {"NEIGH_FAILED", failed}} {
		if d.Count > 0 {
			list = append(list, d)
		}
	}
	add("IP_INHDR", ip.MalformedPacketsReceived, ip.MalformedFragmentsReceived, f.ExtensionHeaderProblem) // gVisor counts a wrong sum as malformed
	add("IP_INADDRERRORS", ip.InvalidDestinationAddressesReceived, ip.InvalidSourceAddressesReceived, f.InitializingSource, f.LinkLocalSource, f.LinkLocalDestination)
	add("IP_INNOROUTES", f.Unrouteable)
	add("IP_TTL", f.ExhaustedTTL)
	add("PKT_TOO_BIG", f.PacketTooBig)
	add("NO_SOCKET", g.UDP.UnknownPortErrors)
	add("SOCKET_RCVBUFF", g.UDP.ReceiveBufferErrors)
	add("UDP_CSUM", g.UDP.ChecksumErrors)
	add("TCP_CSUM", g.TCP.ChecksumErrors)
	add("TCP_INVALID", g.TCP.InvalidSegmentsReceived)
	add("QDISC_DROP", f.OutgoingDeviceNoBufferSpace)
	return list
}
