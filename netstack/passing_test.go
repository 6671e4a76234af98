package netstack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"ringside/offload"
	"ringside/syscall"
)

// What travels beside a packet that is passed on.

// A datagram whose checksum is half done is completed before a router cuts it: no
// fragment holds all that the sum is of.
func TestAHalfDoneSumIsCompletedBeforeFragments(t *testing.T) {
	_, _, in, out := station(t)
	in.i.cfg.RxChecksum, out.i.cfg.TxChecksum, out.i.cfg.MTU = true, true, 1280
	want := udpTo([6]byte{2, 0, 0, 0, 0, 3}, ip4("10.0.0.9", "10.0.1.9", 17), 1, 2, strings.Repeat("datagram", 170))
	half := bytes.Clone(want)
	binary.BigEndian.PutUint16(half[40:], pseudoSum(half[14:34], 17, len(half)-34))
	in.i.Deliver(&Packet{Parts: [][]byte{half}, Len: len(half), Meta: offload.Meta{NeedsCsum: true, CsumStart: 34, CsumOffset: 6}})
	require.Len(t, out.gone, 2)
	got := want[:34:34]
	for n, f := range out.gone {
		assert.True(t, out.metas[n].Plain())
		got = append(got, f[34:]...)
	}
	require.Equal(t, want, got)
}

// merged is a TCP packet for 10.0.1.9 with n bytes, to be cut to size.
func merged(t testing.TB, n int, size, hdrLen uint16) *Packet {
	ip, tcp := ip4("10.0.0.9", "10.0.1.9", 6), &layers.TCP{SrcPort: 1, DstPort: 2, Seq: 1, ACK: true, Window: 100}
	require.NoError(t, tcp.SetNetworkLayerForChecksum(ip))
	b := frameOf(ether([6]byte{2, 0, 0, 0, 0, 3}, layers.EthernetTypeIPv4), ip, tcp, gopacket.Payload(make([]byte, n)))
	return &Packet{Parts: [][]byte{b}, Len: len(b), Meta: offload.Meta{
		NeedsCsum: true, GSO: offload.GSOTCPv4, GSOSize: size, HdrLen: hdrLen, CsumStart: 34, CsumOffset: 16,
	}}
}

// How long the headers of a merged packet are it says itself, whatever its Meta does:
// segments that are longer than the next network takes do not go there.
func TestAMergedPacketWhoseSegmentsDoNotFitIsNotPassedOn(t *testing.T) {
	for _, hint := range []uint16{0, 14, 54, 1000} {
		_, _, in, out := station(t)
		in.i.cfg.RxChecksum = true
		in.i.Deliver(merged(t, 9000, 1490, hint))
		assert.Empty(t, out.gone, "packets of 1530 bytes, hdr_len %d", hint)
		in.i.Deliver(merged(t, 9000, 1460, hint))
		assert.Len(t, out.gone, 7, "hdr_len %d", hint)
	}
}

// A tunnel that a merged packet is passed on by has the MTU of its own way, not of the
// packet that is being passed on.
func TestATunnelKnowsItsMTUWhileAMergedPacketIsPassedOn(t *testing.T) {
	_, r, in, out := station(t)
	in.i.cfg.RxChecksum = true
	tunnel := &relay{s: r, from: netip.MustParseAddrPort("10.0.0.254:9999"), to: netip.MustParseAddrPort("10.0.0.9:7777")}
	out.i.cfg.Link = tunnel
	in.i.Deliver(merged(t, 4*1460, 1460, 54))
	require.Len(t, tunnel.errno, 4)
	for _, errno := range tunnel.errno {
		assert.Equal(t, syscall.EMSGSIZE, errno)
	}
	assert.Len(t, in.gone, 0)
}
