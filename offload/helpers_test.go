package offload_test

import (
	"math/rand/v2"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/require"
)

// A spec is a frame that gopacket builds, with all sums right.
type spec struct {
	v6, udp bool
	tags    int
	options int // bytes of TCP options, a multiple of 4
	id      uint16
	df      bool
	seq     uint32
	ack     uint32
	window  uint16
	flags   string // of "FSRPAUEC"
	tos     uint8
	ttl     uint8
	src     uint16 // port
	payload []byte
}

func (s spec) build(t testing.TB) []byte {
	t.Helper()
	var list []gopacket.SerializableLayer
	kind := layers.EthernetTypeIPv4
	if s.v6 {
		kind = layers.EthernetTypeIPv6
	}
	first := kind
	if s.tags > 0 {
		first = layers.EthernetTypeDot1Q
	}
	list = append(list, &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: first})
	for i := range s.tags {
		next := kind
		if i < s.tags-1 {
			next = layers.EthernetTypeDot1Q
		}
		list = append(list, &layers.Dot1Q{VLANIdentifier: uint16(10 + i), Type: next})
	}
	proto := layers.IPProtocolTCP
	if s.udp {
		proto = layers.IPProtocolUDP
	}
	var network gopacket.NetworkLayer
	if s.v6 {
		ip := &layers.IPv6{Version: 6, TrafficClass: s.tos, FlowLabel: 0x12345, NextHeader: proto, HopLimit: s.ttl, SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8::2")}
		network, list = ip, append(list, ip)
	} else {
		ip := &layers.IPv4{Version: 4, TOS: s.tos, Id: s.id, TTL: s.ttl, Protocol: proto, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2}}
		if s.df {
			ip.Flags = layers.IPv4DontFragment
		}
		network, list = ip, append(list, ip)
	}
	if s.udp {
		udp := &layers.UDP{SrcPort: layers.UDPPort(s.src), DstPort: 53}
		require.NoError(t, udp.SetNetworkLayerForChecksum(network))
		list = append(list, udp)
	} else {
		tcp := &layers.TCP{SrcPort: layers.TCPPort(s.src), DstPort: 80, Seq: s.seq, Ack: s.ack, Window: s.window}
		for _, f := range s.flags {
			switch f {
			case 'F':
				tcp.FIN = true
			case 'S':
				tcp.SYN = true
			case 'R':
				tcp.RST = true
			case 'P':
				tcp.PSH = true
			case 'A':
				tcp.ACK = true
			case 'U':
				tcp.URG = true
			case 'E':
				tcp.ECE = true
			case 'C':
				tcp.CWR = true
			}
		}
		for range s.options / 4 {
			tcp.Options = append(tcp.Options, layers.TCPOption{OptionType: layers.TCPOptionKindNop},
				layers.TCPOption{OptionType: layers.TCPOptionKindNop}, layers.TCPOption{OptionType: layers.TCPOptionKindNop}, layers.TCPOption{OptionType: layers.TCPOptionKindNop})
		}
		require.NoError(t, tcp.SetNetworkLayerForChecksum(network))
		list = append(list, tcp)
	}
	list = append(list, gopacket.Payload(s.payload))
	b := gopacket.NewSerializeBuffer()
	require.NoError(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, list...))
	n := 14 + 4*s.tags + 20 + 20 + s.options + len(s.payload)
	if s.v6 {
		n += 20
	}
	if s.udp {
		n -= 12 + s.options
	}
	return append([]byte(nil), b.Bytes()[:n]...) // without the padding that gopacket gives
}

// plain is a spec whose fields are all something.
func plain(n int) spec {
	s := spec{id: 7, df: true, seq: 1000, ack: 77, window: 501, flags: "A", ttl: 64, src: 4242, payload: make([]byte, n)}
	for i := range s.payload {
		s.payload[i] = byte(i*7 + i>>8)
	}
	return s
}

// chance is a spec of a frame that can be cut and merged.
func chance(r *rand.Rand) spec {
	s := plain(1 + r.IntN(9000))
	for i := range s.payload {
		s.payload[i] = byte(r.Uint32())
	}
	s.v6, s.tags, s.options, s.df = r.IntN(2) == 0, r.IntN(3), 4*r.IntN(11), r.IntN(2) == 0
	s.id, s.seq, s.ack, s.window = uint16(r.Uint32()), r.Uint32(), r.Uint32(), uint16(r.Uint32())
	s.flags = []string{"A", "AP", "AF", "APF", "AC", "ACEP"}[r.IntN(6)]
	s.tos, s.ttl = uint8(r.Uint32()), uint8(1+r.IntN(255))
	return s
}

// chop cuts a frame into parts anywhere, the first long enough for headers if
// whole is set.
func chop(r *rand.Rand, frame []byte, whole bool) (parts [][]byte) {
	if whole {
		n := min(len(frame), 160)
		parts, frame = append(parts, frame[:n:n]), frame[n:]
	}
	for len(frame) > 0 {
		n := 1 + r.IntN(min(len(frame), 1500))
		if r.IntN(3) == 0 {
			n = 1 + r.IntN(min(len(frame), 7))
		}
		parts, frame = append(parts, frame[:n:n]), frame[n:]
	}
	return parts
}

// join is the parts of a frame in one piece.
func join(parts ...[]byte) (frame []byte) {
	for _, p := range parts {
		frame = append(frame, p...)
	}
	return frame
}

// slowSum is RFC 1071 as it is written: words of 16 bits, carries at the end.
func slowSum(b []byte, initial uint16) uint16 {
	sum := uint32(initial)
	for i, v := range b {
		if i%2 == 0 {
			sum += uint32(v) << 8
		} else {
			sum += uint32(v)
		}
		for sum > 0xFFFF {
			sum = sum&0xFFFF + sum>>16
		}
	}
	return uint16(sum)
}

// same compares frames and says no more than where they differ.
func same(t testing.TB, want, got [][]byte, format string, args ...any) {
	t.Helper()
	require.Equal(t, len(want), len(got), "number of frames")
	for i := range want {
		require.Equal(t, len(want[i]), len(got[i]), "length of frame %d", i)
		for k := range want[i] {
			if want[i][k] != got[i][k] {
				t.Fatalf("frame %d, byte %d: want %#x, got %#x: "+format, append([]any{i, k, want[i][k], got[i][k]}, args...)...)
			}
		}
	}
}

// brief is a spec without its payload.
func (s spec) brief() spec {
	s.payload = nil
	return s
}
