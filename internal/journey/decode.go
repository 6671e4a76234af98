package journey

import (
	"fmt"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Decode says in a few words what a frame is, one entry for each of its layers.
// It is for people: the frame is a stranger's, so what cannot be decoded is said
// to be just that.
func Decode(frame []byte) (words []string) {
	defer func() {
		if recover() != nil {
			words = append(words, "undecodable")
		}
	}()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true})
	for _, l := range p.Layers() {
		if s := layer(l); s != "" {
			words = append(words, s)
		}
	}
	return words
}

func layer(l gopacket.Layer) string {
	switch l := l.(type) {
	case *layers.Ethernet:
		s := fmt.Sprintf("%v > %v", l.SrcMAC, l.DstMAC)
		if l.Length > 0 {
			s += fmt.Sprintf(", 802.3 length %d", l.Length)
		}
		return s
	case *layers.Dot1Q:
		return fmt.Sprintf("VLAN %d priority %d", l.VLANIdentifier, l.Priority)
	case *layers.ARP:
		return arp(l)
	case *layers.IPv4:
		s := fmt.Sprintf("IPv4 %v > %v, ttl %d", l.SrcIP, l.DstIP, l.TTL)
		if l.FragOffset > 0 || l.Flags&layers.IPv4MoreFragments != 0 {
			s += fmt.Sprintf(", fragment at %d", int(l.FragOffset)*8)
		}
		return s
	case *layers.IPv6:
		return fmt.Sprintf("IPv6 %v > %v, hop limit %d", l.SrcIP, l.DstIP, l.HopLimit)
	case *layers.ICMPv4:
		s := "ICMP " + l.TypeCode.String()
		if t := l.TypeCode.Type(); t == layers.ICMPv4TypeEchoRequest || t == layers.ICMPv4TypeEchoReply {
			s += fmt.Sprintf(" id %d seq %d", l.Id, l.Seq)
		}
		return s
	case *layers.ICMPv6:
		return "ICMPv6 " + l.TypeCode.String()
	case *layers.TCP:
		return tcp(l)
	case *layers.UDP:
		return fmt.Sprintf("UDP %d > %d, %d bytes", l.SrcPort, l.DstPort, len(l.Payload))
	case *layers.DNS:
		return dns(l)
	case *layers.STP, *layers.LLC:
		return l.LayerType().String()
	case *gopacket.DecodeFailure:
		return "the rest is undecodable"
	case gopacket.ApplicationLayer:
		if l.LayerType() == gopacket.LayerTypePayload {
			return ""
		}
		return l.LayerType().String()
	}
	return l.LayerType().String()
}

func arp(l *layers.ARP) string {
	if len(l.SourceProtAddress) != 4 || len(l.DstProtAddress) != 4 {
		return "ARP"
	}
	ip := func(b []byte) string { return fmt.Sprintf("%d.%d.%d.%d", b[0], b[1], b[2], b[3]) }
	switch l.Operation {
	case layers.ARPRequest:
		return fmt.Sprintf("ARP who has %s? tell %s", ip(l.DstProtAddress), ip(l.SourceProtAddress))
	case layers.ARPReply:
		return fmt.Sprintf("ARP %s is at %x", ip(l.SourceProtAddress), l.SourceHwAddress)
	}
	return fmt.Sprintf("ARP operation %d", l.Operation)
}

func tcp(l *layers.TCP) string {
	var flags []string
	for _, f := range []struct {
		on   bool
		name string
	}{{l.SYN, "SYN"}, {l.FIN, "FIN"}, {l.RST, "RST"}, {l.PSH, "PSH"}, {l.ACK, "ACK"}, {l.URG, "URG"}} {
		if f.on {
			flags = append(flags, f.name)
		}
	}
	return fmt.Sprintf("TCP %d > %d %s, %d bytes", l.SrcPort, l.DstPort, strings.Join(flags, " "), len(l.Payload))
}

func dns(l *layers.DNS) string {
	what := "query"
	if l.QR {
		what = "response"
	}
	if len(l.Questions) == 0 {
		return "DNS " + what
	}
	// A name comes from the wire: only what a terminal can take is printed.
	name := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '?'
		}
		return r
	}, string(l.Questions[0].Name))
	return fmt.Sprintf("DNS %s %v %s", what, l.Questions[0].Type, name)
}
