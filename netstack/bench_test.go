package netstack

import (
	"encoding/binary"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// What a segment's checksum costs: made here over all of it, by gVisor, or half done
// for the link to finish.
func BenchmarkSum(b *testing.B) {
	frame := frameOf(ether(peerMAC, 0x0800), ip4("10.0.0.1", "10.0.0.2", 6), payload(make([]byte, 20+1448)))
	ip := header.IPv4(frame[14:])
	b.Run("complete", func(b *testing.B) {
		for b.Loop() {
			complete(frame[34:54], 16, pseudoSum(ip, 6, 1468), checksum.Checksum(frame[54:], 0))
		}
	})
	b.Run("gVisor", func(b *testing.B) {
		for b.Loop() {
			sum := header.PseudoHeaderChecksum(tcpip.TransportProtocolNumber(6), ip.SourceAddress(), ip.DestinationAddress(), 1468)
			header.TCP(frame[34:54]).SetChecksum(^checksum.Combine(checksum.Checksum(frame[34:54], sum), checksum.Checksum(frame[54:], 0)))
		}
	})
	b.Run("half", func(b *testing.B) {
		for b.Loop() {
			binary.BigEndian.PutUint16(frame[50:], pseudoSum(ip, 6, 1468))
		}
	})
}
